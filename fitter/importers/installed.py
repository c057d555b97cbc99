"""Model files in the user's folder: put there whole or not at all, looked at, removed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import ModelError, OutputError
from ..files.npz import open_npz
from ..files.outputs import write_files
from ..files.picture_bytes import png_bytes
from ..model.catalogue import BUNDLED, check_name, installed, models_folder
from ..model.face_model import FaceModel
from ..model.model_file import from_arrays, model_bytes
from .gallery import annotated, components

LONGEST_WORDS = 1 << 20  # bytes of a model's name, version and licence


def install(name: str, arrays: dict[str, np.ndarray], picture: Path | None = None) -> tuple[Path, Path]:
    """Write a model and the picture of what was found on it.

    Both appear together: the picture that lies beside a model is its own.

    Args:
        arrays: `install_arrays`.
        picture: where the picture goes; None: beside the model.
    Returns:
        the model file and the picture.
    Raises:
        ModelError: the name or the arrays do not do. OutputError: it cannot be written.
    """
    file = models_folder() / f"{check_name(name)}.npz"
    model = from_arrays(arrays, where=name)
    picture = picture or file.with_suffix(".png")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{file}: {error.strerror or error}") from None
    write_files({picture: png_bytes(annotated(model)), file: model_bytes(arrays, where=name)})
    return file, picture


def uninstall(name: str) -> list[Path]:
    """Delete an installed model and its picture. Raises ModelError when there is none of that name."""
    if name == BUNDLED:
        raise ModelError("the bundled model cannot be removed")
    known = installed()
    if name not in known:
        raise ModelError(f"no model {name!r} is installed; installed: {', '.join(known) or 'none'}")
    gone = []
    for path in (known[name], known[name].with_suffix(".png")):
        if path.is_file():
            path.unlink()
            gone.append(path)
    return gone


def write_sheet(model: FaceModel, path: Path) -> None:
    """The annotated mean face above the grid of components, as one PNG."""
    below = components(model)
    above = annotated(model, below.shape[1] // 3)
    width = max(above.shape[1], below.shape[1])
    rows = [np.pad(part, ((0, 0), (0, width - part.shape[1]), (0, 0)), constant_values=255) for part in (above, below)]
    _write_picture(path, np.concatenate(rows))


def glance(path: Path) -> dict:
    """Name, licence, vertices and components of a model file, from its small arrays and the headers of the large ones.

    Returns:
        the same keys always, or `error` for a file that cannot be read.
    """
    try:
        with open_npz(path) as file:
            shapes = {name: header.shape for name, header in file.headers.items()}
            names = ("name", "version", "license", "expression_kind")
            if file.bytes(names) > LONGEST_WORDS:
                raise ValueError(f"{', '.join(names)} of {file.bytes(names)} bytes")
            words = {key: str(file.read(key)) for key in names}
    except Exception as error:  # a damaged file is one line of the table
        return {"error": f"{path}: {type(error).__name__}: {error}"}
    counts = {key: shapes.get(f"{key}_basis", (0,))[0] for key in ("identity", "expression", "albedo")}
    counts["joints"] = shapes.get("joint_names", (0,))[0]
    return {
        **words,
        "vertices": shapes.get("symmetry", (0,))[0],
        "triangles": shapes.get("faces", (0,))[0],
        "components": ", ".join(f"{count} {what}" for what, count in counts.items() if count),
        "counts": counts,
        "file": str(path),
    }


def _write_picture(path: Path, image: np.ndarray) -> None:
    write_files({path: png_bytes(image)})
