"""Files that come with facefit: in data/ of a checkout, in facefit/data of an installed package."""

from __future__ import annotations

from pathlib import Path


def bundled(name: str) -> Path:
    """Where the bundled file of that name lies, or would lie in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "data" / name
    return installed if installed.is_file() else package.parent / "data" / name


def bundled_folder() -> Path:
    """Where they all lie."""
    return model_path().parent


def model_path() -> Path:
    """The default face model."""
    return bundled("face_model.npz")


def parser_path() -> Path:
    """The face parser."""
    return bundled("parser.onnx")
