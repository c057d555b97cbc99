"""What files of models of one's own share: settings, and meshes of a template's vertices; see docs/own_model.md."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...anatomy.parts import LABEL
from ...errors import ModelError
from ...files.read_obj import ObjMesh, read_obj_verts
from ...files.untrusted import read_bytes, reading
from ...geometry.winding import outward

UNITS = {"mm": 1.0, "cm": 10.0, "dm": 100.0, "m": 1000.0}
AXES = {"left": "x", "up": "y", "out": "z"}
KINDS = ("activation", "std")
SETTINGS = ("name", "version", "license", "unit", "axes", "expression_kind", "parts", "uv")
PARTS = {name: LABEL[name] for name in ("right_eye", "left_eye", "mouth_inside", "head")}


def settings_of(path: Path, more: tuple[str, ...] = ()) -> dict:
    """Of a model.json; none where there is no such file. Raises ModelError: not JSON, or a setting but SETTINGS and
    `more`."""
    if not path.is_file():
        return {}
    with reading(path, "settings of a model (JSON)"):
        found = json.loads(read_bytes(path).decode("utf-8-sig"))
        if not isinstance(found, dict) or not set(found) <= {*SETTINGS, *more}:
            extra = sorted(set(found) - {*SETTINGS, *more}) if isinstance(found, dict) else type(found).__name__
            raise ModelError(f"unknown settings {extra!r:.80}; accepted: {', '.join((*SETTINGS, *more))}")
        return found


def part_hint(parts: object, mesh: ObjMesh) -> np.ndarray | None:
    """(V,) labels of vertices by the material, group or object of the polygons around them; None without `parts`.

    Raises:
        ModelError: not names of the mesh to those of PARTS.
    """
    if not parts:
        return None
    known = {name for names in mesh.part_names for name in names}
    if not isinstance(parts, dict) or not set(parts) <= known or not set(parts.values()) <= set(PARTS):
        raise ModelError(
            f"model.json: parts {parts!r:.80}; accepted: from {', '.join(sorted(known)[:8])} to {', '.join(PARTS)}"
        )
    hint = np.zeros(len(mesh.verts), np.uint8)
    for number, names in enumerate(mesh.part_names):
        labels = [PARTS[parts[name]] for name in names if name in parts]
        if labels:
            hint[mesh.faces[mesh.part == number]] = labels[0]
    return hint


def delta(file: Path, mesh: ObjMesh, digest: hashlib._Hash) -> np.ndarray:
    """(V, 3) float32: what the mesh in the file differs by; the file counts into the digest. Raises ModelError."""
    verts, data = read_obj_verts(file)
    if len(verts) != len(mesh.verts):
        raise ModelError(f"{file}: {len(verts)} vertices; the template has {len(mesh.verts)}")
    digest.update(data)
    return (verts - mesh.verts).astype(np.float32)


def natural(file: Path) -> list:
    """shape2 before shape10."""
    return [int(part) if part.isdigit() else part.lower() for part in re.split(r"(\d+)", file.stem)]


def one_picture(uv: np.ndarray) -> bool:
    """Tiles of several pictures (UDIM) lie outside the unit square; a model here has one picture, an atlas is made."""
    return bool(uv.min() > -1e-3 and uv.max() < 1 + 1e-3)


def laid_out(
    mesh: ObjMesh, verts: np.ndarray, settings: Mapping
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Triangles (F, 3), counter-clockwise seen from outside; texture coordinates (T, 2) and their triangles (F, 3),
    wound likewise, or None twice where new ones are to be made.

    Args:
        verts: (V, 3) of the mesh, mm, in our axes. settings: `uv` false asks for new ones.
    """
    faces = outward(verts, mesh.faces)
    if mesh.uv is None or not settings.get("uv", True) or not one_picture(mesh.uv):
        return faces, None, None
    uv_faces = mesh.uv_faces
    if uv_faces is not None and faces is not mesh.faces:
        uv_faces = uv_faces[:, ::-1]
    return faces, mesh.uv, uv_faces


def about(settings: Mapping, fallback: str, digest: str) -> dict:
    """What is written into every result: name, version, licence, provenance."""
    return {
        "name": str(settings.get("name", fallback)),
        "version": str(settings.get("version", "1")),
        "license": str(settings.get("license", "unknown")),
        "provenance": {"source": "a model of the user's own", "sha256": digest},
    }


def activation(settings: Mapping) -> bool:
    """Whether expressions are activations in [0, 1]. Raises ModelError: another kind."""
    kind = settings.get("expression_kind", KINDS[0])
    if kind not in KINDS:
        raise ModelError(f"expression_kind {kind!r:.40}; accepted: {', '.join(KINDS)}")
    return kind == "activation"


def colours(colors: np.ndarray) -> np.ndarray:
    """(V, 3) sRGB in [0, 1], from 0 to 255 where a value says so."""
    return np.clip(colors / (255.0 if colors.max(initial=0) > 1.01 else 1.0), 0, 1)


def frame_of(settings: Mapping, verts: np.ndarray) -> np.ndarray:
    """(3, 3) matrix M with `file @ M` = mm to the subject's left, up and out of the face.

    Raises:
        ModelError: unit or axes that are not known, or a template without extent.
    """
    unit = settings.get("unit")
    if unit is None:
        # the longest side of a face, head or bust lies between 100 mm and 1 m: one power of ten fits
        longest = float(np.ptp(verts, axis=0).max(initial=0))
        if not 0 < longest < np.inf:
            raise ModelError("the template has no extent")
        factor = 10.0 ** (2 - np.floor(np.log10(longest)))
    elif unit in UNITS:
        factor = UNITS[unit]
    else:
        raise ModelError(f"unit {unit!r:.40}; accepted: {', '.join(UNITS)}")
    axes = settings.get("axes", AXES)
    words = [str(axes.get(side, "")) for side in AXES] if isinstance(axes, dict) else []
    matrix = np.zeros((3, 3))
    for column, word in enumerate(words):
        if re.fullmatch("-?[xyz]", word):
            matrix["xyz".index(word[-1]), column] = -1.0 if word[0] == "-" else 1.0
    if abs(round(np.linalg.det(matrix))) != 1:
        raise ModelError(
            f"axes {axes!r:.80}; accepted: the axis of the file that points to the subject's left, the one up and the "
            'one out of the face, such as {"left": "x", "up": "z", "out": "-y"}'
        )
    return matrix * factor
