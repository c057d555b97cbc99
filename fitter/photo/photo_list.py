"""Which photos: folders with all below them, glob patterns, single photos, and lists (`facefit.photo.list_file`).

Each photo gets a key, which names it in the manifest and decides the names of its results: its path relative to its
source's folder (the folder itself, the part of a pattern before the first wildcard, the folder of a list). Several
sources count from the folder they have in common. A photo outside of that folder has its absolute path as its key.
"""

from __future__ import annotations

import glob
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import ImageError
from .list_file import LIST_SUFFIXES, Entry, read_list

logger = logging.getLogger(__name__)

PHOTO_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".jfi", ".pjpeg", ".pjp", ".mpo", ".png", ".apng", ".webp", ".tif",
    ".tiff", ".bmp", ".dib", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf",
    ".jpx", ".avif", ".avifs", ".heic", ".heif", ".hif", ".heics", ".heifs",
)  # fmt: skip
FOLDER = "folder"  # what photos are grouped by, unless by a column of a list
NAMED = 5  # of the files that are left out, so many are named


@dataclass(frozen=True)
class ListedPhoto:
    """One photo: where it is, and what it is called in the manifest (with `/`, without `..`).

    `problem`: why a line of a list names no photo; `path` is the list then, and `key` has the number of the line.
    `group`: what it belongs to, where that was asked for.
    """

    path: Path
    key: str
    problem: str = ""
    group: str = ""


def list_photos(
    sources: Sequence[str | os.PathLike], leave_out: Path | None = None, *,
    ignored: Callable[[Path], object] | None = None, group_by: str | None = None,
) -> list[ListedPhoto]:  # fmt: skip
    """The photos that the sources name, each once, in the order of the sources; sorted within a folder or pattern.

    Args:
        sources: folders, patterns, photos, lists; see the module's docstring.
        leave_out: folder whose content is none of it: the results.
        ignored: told each file that a folder or pattern has beside its photos; None: a warning counts them.
        group_by: what the photos' groups are: FOLDER, the folder that each lies in, named as keys are; else a column
            that every list has (.csv, .tsv, .parquet), and no other source.
    Raises:
        ImageError: a source that is not there, cannot be read, names no photo, or has no such column.
    """
    if not sources:
        raise ImageError("no photos: name folders, photos, patterns or lists")
    others: list[Path] = []
    try:
        column = None if group_by == FOLDER else group_by
        found = [_source(os.fspath(source), leave_out, others.append, column) for source in sources]
    finally:
        if ignored is None and others:
            logger.warning("%s", describe_ignored(others))
        elif ignored is not None:
            for other in others:
                ignored(other)
    roots = [root for root, _ in found]
    root = roots[0] if len(roots) == 1 else _common(roots)
    photos: dict[str, ListedPhoto] = {}
    for _, entries in found:
        for entry in entries:
            key = photo_key(entry.path, root)
            if entry.problem:
                key = f"{key}:{entry.line}"
            group = _folder_group(entry, key) if group_by == FOLDER else entry.group
            photos.setdefault(key, ListedPhoto(entry.path, key, entry.problem, group))
    return list(photos.values())


def _folder_group(entry: Entry, key: str) -> str:
    """The part of the key before the name; of photos of the root itself that folder's name."""
    parent = PurePosixPath(key).parent
    if parent.name:
        return parent.as_posix()
    own = Path(os.path.abspath(entry.path)).parent
    return f"{own.name}/." if (own / own.name).is_dir() else own.name  # not that of the folder of its name below


def describe_ignored(files: Sequence[Path]) -> str:
    """How many files of which endings are left out, and the first ones by name."""
    kinds = Counter(path.suffix.lower() or "without an ending" for path in files)
    words = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    names = ", ".join(path.name for path in files[:NAMED]) + (", ..." if len(files) > NAMED else "")
    return f"left out, no photos by their endings: {words} ({names})"


def photo_key(path: Path, root: Path) -> str:
    """sub/ann.jpg for a photo below `root`, else its absolute path; with `/` on every system."""
    try:
        below = path.relative_to(root)
        if ".." not in below.parts:
            return below.as_posix()
    except ValueError:
        pass
    whole, base = Path(os.path.abspath(path)), Path(os.path.abspath(root))
    return whole.relative_to(base).as_posix() if whole.is_relative_to(base) else whole.as_posix()


def find_photos(
    folder: Path, leave_out: Path | None = None, ignored: Callable[[Path], object] | None = None
) -> list[Path]:
    """Photos in a folder and its subfolders, by suffix in any case, sorted; without hidden ones and `leave_out`.

    `ignored` is told each other file that is not hidden.

    Raises:
        ImageError: no such folder, not a folder, unreadable, or no photo in it.
    """
    if not folder.exists():
        raise ImageError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise ImageError(f"{folder}: is not a folder; for one photo leave out `batch`")

    def refuse(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise ImageError(f"{folder}: {error.strerror}")
        logger.warning("%s: %s; left out", error.filename, error.strerror)

    hidden = None if leave_out is None else leave_out.resolve()
    photos = []
    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and (Path(parent) / f).resolve() != hidden)
        for name in sorted(files):
            if name.startswith("."):
                continue
            if Path(name).suffix.lower() in PHOTO_SUFFIXES:
                photos.append(Path(parent) / name)
            elif ignored is not None:
                ignored(Path(parent) / name)
    if not photos:
        raise ImageError(f"{folder}: no photo in it; looked for {' '.join(PHOTO_SUFFIXES)}")
    return photos


def _source(
    source: str, leave_out: Path | None, ignored: Callable[[Path], object], column: str | None
) -> tuple[Path, Iterable[Entry]]:
    """The folder that keys count from, and the photos; `column`: of their groups."""
    path = Path(source)
    if column is not None and path.exists() and path.suffix.lower() not in LIST_SUFFIXES:
        raise ImageError(
            f"{path}: has no column {column!r}; expected a list (.csv, .tsv, .parquet), or to group by {FOLDER}"
        )
    if path.is_dir():
        return path, map(Entry, find_photos(path, leave_out, ignored))
    if path.suffix.lower() in LIST_SUFFIXES and path.is_file():
        return path.parent, read_list(path, column)
    if path.is_file():
        return path.parent, [Entry(path)]
    if glob.has_magic(source):
        root, photos = _pattern(source, leave_out, ignored)
        return root, map(Entry, photos)
    if path.suffix.lower() in (*PHOTO_SUFFIXES, *LIST_SUFFIXES):
        raise ImageError(f"{path}: no such file")
    raise ImageError(f"{path}: no such folder")


def _pattern(pattern: str, leave_out: Path | None, ignored: Callable[[Path], object]) -> tuple[Path, list[Path]]:
    parts = Path(pattern).parts
    plain = next(k for k, part in enumerate(parts) if glob.has_magic(part))
    root = Path(*parts[:plain]) if plain else Path(".")
    hidden = None if leave_out is None else leave_out.resolve()
    photos = []
    for path in map(Path, sorted(glob.glob(pattern, recursive=True))):
        if not path.is_file() or (hidden and path.resolve().is_relative_to(hidden)):
            continue
        if path.suffix.lower() in PHOTO_SUFFIXES:
            photos.append(path)
        else:
            ignored(path)
    if not photos:
        raise ImageError(f"{pattern}: no photo fits this pattern; looked for {' '.join(PHOTO_SUFFIXES)}")
    return root, photos


def _common(roots: list[Path]) -> Path:
    """The folder that all roots lie in."""
    try:
        return Path(os.path.commonpath([os.path.abspath(root) for root in roots]))
    except ValueError:  # on different drives: keys are absolute then
        return Path(os.path.abspath(roots[0]))
