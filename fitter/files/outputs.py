"""Where results may be written: the one place that holds what is written against what is read.

Every path is checked before the fit, so that minutes of work never end in an error that was there from the start.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..bundled import bundled_folder
from ..errors import ClashError, OutputError
from .together import write_together


def numbered(path: Path, number: int) -> Path:
    """mesh.obj, 2 -> mesh_2.obj: the second face of a photo."""
    return path.with_name(f"{path.stem}_{number}{path.suffix}")


def check_outputs(files: Iterable[Path], inputs: Iterable[Path] = (), made: Iterable[Path] = ()) -> None:
    """Refuse paths that cannot be written, or that would overwrite an input, one another, or what came with facefit.

    Args:
        files: everything that will be written.
        inputs: every file that is read, or that is known to be facefit's own.
        made: folders that `write_files` will make where they are missing.
    Raises:
        ClashError: naming both paths. OutputError: naming the path and what is wrong with it.
    """
    check_clashes(files := list(files), inputs)
    missing = {folder for folder in made if not os.path.lexists(folder)}
    for path in files:
        if path.parent in missing:
            continue
        try:
            _check_path(path)
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror or error}") from None
    for folder in {_standing(path.parent) if path.parent in missing else path.parent for path in files}:
        try:
            # permission bits do not know read-only and full disks; writing does
            with tempfile.TemporaryFile(dir=folder) as probe:
                probe.write(b"facefit")
                probe.flush()
        except OSError as error:
            raise OutputError(f"{folder}: the folder cannot be written ({error.strerror or error})") from None


def check_clashes(files: Iterable[Path], inputs: Iterable[Path] = ()) -> None:
    """The part of `check_outputs` that touches nothing and asks only whose names these are. Raises ClashError."""
    seen: dict[tuple[int, int] | str, Path] = {}
    for path in files:
        identity = _identity(path)
        if identity in seen:
            raise ClashError(f"{path}: would be written twice (also as {seen[identity]}); choose another name")
        if os.path.exists(path) and Path(os.path.realpath(path)).parent == bundled_folder():
            raise ClashError(f"{path}: would overwrite what came with facefit; choose another folder")
        seen[identity] = path
    for path in inputs if seen else ():
        written = seen.get(_identity(path))
        if written is not None:
            raise ClashError(f"{written}: would overwrite the input {path}; choose another name")


def write_files(contents: Mapping[Path, bytes], inputs: Iterable[Path] = (), made: Iterable[Path] = ()) -> list[Path]:
    """Write all files or none, as `facefit.files.together` does it.

    Args:
        contents: path -> bytes.
        inputs: files that must not be overwritten (the photo).
        made: folders of them that are made where they are missing, and go again when nothing can be written.
    Returns:
        the paths, in the order given.
    Raises:
        OutputError: one line that names the path and the reason.
    """
    new = [folder for folder in made if any(path.parent == folder for path in contents) for folder in _new(folder)]
    try:
        for folder in new:
            try:
                folder.mkdir(exist_ok=True)
            except OSError as error:
                raise OutputError(f"{folder}: the folder cannot be made ({error.strerror or error})") from None
        check_outputs(contents, inputs)
        write_together(contents)
    except BaseException:
        for folder in reversed(new):
            with contextlib.suppress(OSError):  # somebody else has put something in
                folder.rmdir()
        raise
    return list(contents)


def _new(folder: Path) -> list[Path]:
    """The folders that are missing for it to be there, from the outermost."""
    return [each for each in (*reversed(folder.parents), folder) if not os.path.lexists(each)]


def _standing(folder: Path) -> Path:
    """Of the folders around one that is missing the innermost that is there. Raises OutputError: it is no folder."""
    around = next(each for each in folder.parents if os.path.lexists(each))
    if not around.is_dir():
        raise OutputError(f"{folder}: the folder cannot be made ({around} is not a folder)")
    return around


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


def _identity(path: Path) -> tuple[int, int] | str:
    """What tells two paths to one file apart from two files: links and upper-case names of the same file agree.

    A file that is there is itself, whatever it is called. One that is not there yet has its name alone, and there may
    be a disk below that takes `A` for `a`.
    """
    try:
        status = path.stat()
        return status.st_dev, status.st_ino
    except (OSError, ValueError):  # ValueError: a name with a NUL, which no file has
        return unicodedata.normalize("NFC", os.path.realpath(path)).casefold() if "\0" not in str(path) else str(path)
