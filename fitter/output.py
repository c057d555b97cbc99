"""Where results may be written: every path is checked before the fit, so that minutes of work never end in an error."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from fitter.errors import OutputError


def numbered(path: Path, number: int) -> Path:
    """mesh.obj, 2 -> mesh_2.obj: the second face of a photo."""
    return path.with_name(f"{path.stem}_{number}{path.suffix}")


def check_outputs(files: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuse paths that cannot be written, or that would overwrite an input or one another.

    Args:
        files: everything that will be written.
        inputs: everything that is read.
    Raises:
        OutputError: naming the path and what is wrong with it.
    """
    inputs = [(_identity(path), path) for path in inputs]
    seen: dict = {}
    folders = set()
    for path in files:
        try:
            _check_path(path)
            identity = _identity(path)
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror or error}") from None
        for other, name in inputs:
            if identity == other:
                raise OutputError(f"{path}: would overwrite the input {name}; choose another name")
        if identity in seen:
            raise OutputError(f"{path}: would be written twice (also as {seen[identity]}); choose another name")
        seen[identity] = path
        folders.add(path.parent)
    for folder in folders:
        try:
            # permission bits do not know read-only and full disks; writing does
            with tempfile.TemporaryFile(dir=folder) as probe:
                probe.write(b"facefit")
                probe.flush()
        except OSError as error:
            raise OutputError(f"{folder}: the folder cannot be written ({error.strerror or error})") from None


def _check_path(path: Path) -> None:
    folder = path.parent
    if not folder.exists():
        raise OutputError(f"{path}: folder {folder} does not exist; create it first")
    if not folder.is_dir():
        raise OutputError(f"{path}: {folder} is not a folder")
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; expected a file name in it")
    if path.exists():
        if not path.is_file():
            raise OutputError(f"{path}: exists and is not a regular file")
        if not os.access(path, os.W_OK):
            raise OutputError(f"{path}: exists and is write-protected")


def _identity(path: Path):
    """What tells two paths to one file apart from two files: links and upper-case names of the same file agree."""
    try:
        status = path.stat()
        return status.st_dev, status.st_ino
    except FileNotFoundError:
        return path.resolve()
