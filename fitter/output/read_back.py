"""Fits that were written earlier, read back: which there are in a folder, and what is known of one."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..bundled import model_path
from ..errors import InputError, OutputError
from ..geometry.camera import WindowTransform
from ..model.catalogue import BUNDLED, installed
from ..model.face_model import FaceModel
from ..model.model_file import load_model
from ..photo.photo import read_photo
from ..scene.parameters import Parameters
from ..scene.scene import Scene
from ..vocabulary import MESH_SUFFIXES
from .document import load_parameters
from .paths import detail_paths, output_paths
from .result_format import read_result


@dataclass(frozen=True)
class FitFile:
    """One written result.

    Attributes:
        path: its JSON. document: what is in it, as facefit.output.result_format says.
        name: path without suffix, relative to the folder it was found in.
    """

    path: Path
    document: dict
    name: str

    @property
    def mesh(self) -> Path:
        """Its mesh, beside the JSON."""
        return self.path.with_name(self.document["mesh"]["file"])

    @property
    def photo(self) -> Path | None:
        """Where the photo was when it was fitted."""
        path = self.document["photo"]["path"]
        return Path(path) if path else None

    def files(self) -> list[Path]:
        """What is there of it: its JSON, its mesh with what lies beside that, its photo."""
        files = [self.path]
        with contextlib.suppress(KeyError, TypeError, ValueError, OutputError):  # a damaged one has what it has
            files += [*output_paths(self.mesh), *detail_paths(self.mesh, exr=True)]
            files += [self.photo] if self.photo else []
        return [path for path in files if os.path.exists(path)]

    @property
    def photo_size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.document["photo"]["width"], self.document["photo"]["height"]


def find_fits(paths: Iterable[Path]) -> list[FitFile]:
    """Fits by name: JSON files, meshes with their JSON beside them, or folders, which are searched with all below.

    Raises:
        InputError: a path is no fit, a folder holds none, or a JSON is damaged.
    """
    fits: dict[Path, FitFile] = {}
    for path in map(Path, paths):
        if path.is_dir():
            found = [
                fit for fit in (_read(p, path) for p in sorted(path.rglob("*.json")) if p.is_file()) if fit is not None
            ]
            if not found:
                raise InputError(f"{path}: holds no fit; expected JSON files that facefit wrote")
        else:
            beside = path.with_suffix(".json") if path.suffix.lower() in MESH_SUFFIXES else path
            if beside.suffix.lower() != ".json" or not beside.is_file():
                raise InputError(f"{path}: no fit; expected a folder, a JSON that facefit wrote, or a mesh beside one")
            fit = _read(beside, beside.parent)
            if fit is None:
                raise InputError(f"{beside}: not a facefit result")
            found = [fit]
        fits.update({fit.path.resolve(): fit for fit in found})
    return list(fits.values())


def one_fit(path: Path) -> FitFile:
    """The fit that a JSON, or the mesh beside it, stands for. Raises InputError: it stands for none, or several."""
    if path.is_dir():
        raise InputError(f"{path}: a folder; expected one fit, the JSON that facefit wrote")
    (fit,) = find_fits([path])
    return fit


def _read(path: Path, root: Path) -> FitFile | None:
    """None for other people's JSON."""
    found = read_result(path)
    return None if found is None else FitFile(path, found[0], path.relative_to(root).with_suffix("").as_posix())


def check_model(fits: Sequence[FitFile], model: FaceModel) -> None:
    """Raises InputError when a fit was made with another face model than this one."""
    for fit in fits:
        used = fit.document["model"]
        if used["checksum"] != model.checksum or used["sizes"] != model.sizes:
            theirs = f"{used['name']} {used['version']} ({str(used['checksum'])[:8]})"
            ours = f"{model.name} {model.version} ({model.checksum[:8]})"
            raise InputError(f"{fit.path}: fitted with face model {theirs}, not with {ours}; name it with --model")


def source_model(fit: FitFile, model: str | None = None) -> FaceModel:
    """The model that a fit was made with.

    Args:
        model: its name or file; None: the bundled or installed one with the checksum of the fit.
    Raises:
        InputError: it is another one, or none here has that checksum. ModelError: it cannot be read.
    """
    if model is None:
        wanted = fit.document["model"].get("checksum")
        for name, path in {BUNDLED: model_path(), **installed()}.items():
            if path.is_file() and _checksum(path) == wanted:
                model = name
                break
        else:
            used = fit.document["model"]
            known = ", ".join((BUNDLED, *installed()))
            raise InputError(
                f"{fit.path}: fitted with face model {used.get('name')} {used.get('version')} ({str(wanted)[:8]}), "
                f"which is none of {known}; name its file with --model"
            )
    loaded = load_model(model)
    check_model([fit], loaded)
    return loaded


def _checksum(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def load_scene(fit: FitFile, model: FaceModel) -> Scene:
    """What is known of a written fit: its model, parameters and camera.

    Raises:
        InputError: the JSON is damaged.
    """
    try:
        parameters, camera = load_parameters(fit.path)
        expected = {name: tuple(value.shape) for name, value in Parameters.zeros(model.sizes).tensors().items()}
        for name, value in parameters.tensors().items():
            if tuple(value.shape) != expected[name]:
                raise ValueError(f"{name} has shape {tuple(value.shape[1:])}; expected {expected[name][1:]}")
    except (ValueError, KeyError, TypeError) as error:
        where = "" if str(fit.path) in str(error) else f"{fit.path}: damaged result: "
        raise InputError(f"{where}{error}") from None
    return Scene(model, parameters, camera, exact=True)


def load_window(fit: FitFile) -> WindowTransform:
    """The window that was fitted. Raises InputError: the JSON is damaged."""
    try:
        stored = fit.document["window"]
        return WindowTransform(torch.tensor([stored["origin"]]), torch.tensor([stored["scale"]]), int(stored["size"]))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{fit.path}: damaged result: {error}") from None


def load_photo(fit: FitFile) -> np.ndarray:
    """(H, W, 3) uint8: the photo that was fitted.

    Raises:
        InputError: it is not said where the photo is, or another one is there. ImageError: it is gone.
    """
    if fit.photo is None:
        raise InputError(f"{fit.path}: does not say where its photo is")
    pixels, (width, height) = read_photo(fit.photo).pixels, fit.photo_size
    if pixels.shape[:2] != (height, width):
        size = f"{pixels.shape[1]} x {pixels.shape[0]}"
        raise InputError(f"{fit.photo}: is {size} pixels; the fit was made on {width} x {height}")
    return pixels
