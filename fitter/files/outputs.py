"""Where results may be written, and several files that appear together or not at all.

Every path is checked before the fit, so that minutes of work never end in an error that was there from the start.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..errors import OutputError


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
    sources = [(_identity(path), path) for path in inputs]
    seen: dict[tuple[int, int] | Path, Path] = {}
    folders: set[Path] = set()
    for path in files:
        try:
            _check_path(path)
            identity = _identity(path)
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror or error}") from None
        for other, name in sources:
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


def write_files(contents: Mapping[Path, bytes], inputs: Iterable[Path] = ()) -> list[Path]:
    """Write all files under temporary names in their folders, then rename them; a failure leaves no new file behind.

    Args:
        contents: path -> bytes.
        inputs: files that must not be overwritten (the photo).
    Returns:
        the paths, in the order given.
    Raises:
        OutputError: one line that names the path and the reason.
    """
    check_outputs(contents, inputs)
    temporary: dict[Path, Path] = {}
    fresh: list[Path] = []
    path = None
    try:
        for path, data in contents.items():
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
            temporary[path] = Path(name)
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
            os.chmod(name, 0o666 & ~_umask())
        for path, written in temporary.items():
            new = not path.exists()
            os.replace(written, path)
            if new:
                fresh.append(path)
    except OSError as error:
        _remove(*temporary.values(), *fresh)
        raise OutputError(f"{path}: {error.strerror or error}") from None
    except BaseException:  # Ctrl-C too leaves no partial file
        _remove(*temporary.values(), *fresh)
        raise
    return list(contents)


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


def _identity(path: Path) -> tuple[int, int] | Path:
    """What tells two paths to one file apart from two files: links and upper-case names of the same file agree."""
    try:
        status = path.stat()
        return status.st_dev, status.st_ino
    except FileNotFoundError:
        return path.resolve()


def _remove(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _umask() -> int:
    # mkstemp makes files that nobody else can read; the only way to read the umask is to set it
    mask = os.umask(0)
    os.umask(mask)
    return mask
