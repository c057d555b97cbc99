"""Files that come with facefit: where they lie, in a checkout and installed."""

from __future__ import annotations

from pathlib import Path


def model_path(name: str = "default") -> Path:
    """Where the bundled model lies, in a checkout or in an installed package."""
    here = Path(__file__).resolve().parent.parent
    for folder in (here / "data", here.parent / "data"):
        if (folder / "face_model.npz").is_file():
            return folder / "face_model.npz"
    return here.parent / "data" / "face_model.npz"


def parser_path() -> Path:
    """Where the bundled parser lies, in a checkout or in an installed package."""
    here = Path(__file__).resolve().parent
    for folder in (here / "data", here.parent / "data"):
        if (folder / "parser.onnx").is_file():
            return folder / "parser.onnx"
    return here.parent / "data" / "parser.onnx"
