"""Who is who by shape: neutral faces of fits, compared within people and between them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..anatomy.parts import PARTS
from ..errors import InputError
from ..metrics.verification import rigid_distances, verification
from ..model.face_model import FaceModel
from ..output.read_back import FitFile, load_scene


def people_by_pattern(fits: Sequence[FitFile], pattern: str) -> list[str | None]:
    """Who each fit shows: the first group of the pattern (or all it matches) in the fit's name; None: no match.

    Raises:
        ValueError: not a regular expression.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
    found = [expression.search(fit.name) for fit in fits]
    return [None if match is None else match.group(1 if expression.groups else 0) for match in found]


def people_by_table(fits: Sequence[FitFile], path: Path, column: str) -> list[str | None]:
    """Who each fit shows, by a CSV with a row for each photo: its column `name` (the fit's name, its last part, or the
    photo's file name with or without suffix) and the named column. None: the photo is not in it, or the cell is empty.

    Raises:
        InputError: no such file, or it lacks a column.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    for wanted in ("name", column):
        if not rows or wanted not in rows[0]:
            raise InputError(f"{path}: no column {wanted!r} with a row below it")
    table = {row["name"]: row[column] for row in rows}
    out = []
    for fit in fits:
        names = [fit.name, fit.path.stem, *([fit.photo.name, fit.photo.stem] if fit.photo else [])]
        out.append(next((table[name] for name in names if table.get(name)), None))
    return out


def people_by_folder(fits: Sequence[FitFile]) -> list[str | None]:
    """Who each fit shows: the folder it lies in."""
    return [str(fit.path.parent) for fit in fits]


def face_vertices(model: FaceModel) -> np.ndarray:
    """(V,) bool: the eight parts of the face without the eyeballs, which turn."""
    label, eyeball = model.vertex_label.numpy(), model.eyeball.numpy()
    return (label >= 1) & (label <= len(PARTS)) & (eyeball == 0)


@torch.no_grad()
def neutral_shapes(fits: Sequence[FitFile], model: FaceModel) -> np.ndarray:
    """(N, V', 3) mm: the face of each fit without its expression, in model space. Raises InputError."""
    face, rest = face_vertices(model), torch.zeros(1, model.sizes["expression"])
    return np.stack([model.shape(load_scene(fit, model).parameters.identity, rest)[0].numpy()[face] for fit in fits])


def compare_identities(shapes: np.ndarray, mean: np.ndarray, people: Sequence[str]) -> dict[str, Any]:
    """Figures of N neutral faces.

    Args:
        shapes: (N, V, 3) mm; mean: (V, 3) mm, of the model's mean face. people: N names.
    Returns:
        what `verification` says, and to_mean: mean RMS distance of the shapes to the mean face, mm.
    """
    distances = rigid_distances(np.concatenate([mean[None], shapes]))
    return {**verification(distances[1:, 1:], people), "to_mean": float(distances[0, 1:].mean())}
