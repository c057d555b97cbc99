"""The page of a sequence that was written earlier."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError
from ..files.schema import parse, read_text
from ..model.face_model import FaceModel
from ..output.read_back import FitFile
from ..output.stored_head import read_glb
from .animation import FORMAT, load_frames, read_sequence
from .page import sequence_page


def is_sequence(path: Path) -> bool:
    """Whether a path is, or lies beside, a JSON that facefit wrote for a sequence. Raises InputError: unreadable."""
    beside = path.with_suffix(".json")
    if not beside.is_file():
        return False
    document = parse(read_text(beside), str(beside))
    return isinstance(document, dict) and document.get("format") == FORMAT


def sequence_fit(path: Path) -> FitFile:
    """The JSON and the mesh (.glb, or a page .html) of a sequence. Raises InputError: they are damaged, or gone."""
    path = path.with_suffix(".json")
    document, read = read_sequence(path)
    name = read.mesh.file
    if Path(name).name != name or Path(name).suffix.lower() not in (".glb", ".html"):
        raise InputError(f"{path}: damaged sequence: mesh.file: expected the name of a .glb or .html beside it")
    fit = FitFile(path, document, path.stem)
    if not fit.mesh.is_file():
        raise InputError(f"{fit.mesh}: no such file; expected the mesh of {path} beside it")
    return fit


def stored_sequence_page(fit: FitFile, model: FaceModel, name: str) -> bytes:
    """The page of a written sequence.

    Args:
        fit: its files. model: that it was fitted with. name: of the page, without a suffix.
    Raises:
        InputError: they are damaged, or fit neither each other nor the model.
    """
    numbers, parameters = load_frames(fit.path)
    found, expected = parameters.identity.shape[1], model.sizes["identity"]
    if found != expected:
        raise InputError(f"{fit.path}: damaged sequence: {found} coefficients of identity; {model.name} has {expected}")
    title = Path(fit.document.get("source") or name).name
    return sequence_page(read_glb(fit.mesh)[0], parameters.identity[:1], model, name, title, len(numbers))
