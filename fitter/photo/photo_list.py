"""Which photos: folders with all below them, glob patterns, single photos, and lists (text, CSV, Parquet).

Each photo gets a key, which names it in the manifest and decides the names of its results: its path relative to its
source's folder (the folder itself, the part of a pattern before the first wildcard, the folder of a list). Several
sources count from the folder they have in common. A photo outside of that folder has its absolute path as its key.
"""

from __future__ import annotations

import csv
import glob
import logging
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ImageError

logger = logging.getLogger(__name__)

PHOTO_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".jfi", ".pjpeg", ".pjp", ".mpo", ".png", ".apng", ".webp", ".tif",
    ".tiff", ".bmp", ".dib", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf",
    ".jpx", ".avif", ".avifs", ".heic", ".heif", ".hif", ".heics", ".heifs",
)  # fmt: skip
# Photos by their names that cannot be read here; they are left out, and it is said so.
FOREIGN_SUFFIXES = (".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".psd")
TABLE_SUFFIXES = (".csv", ".tsv")
LIST_SUFFIXES = (".txt", ".lst", *TABLE_SUFFIXES, ".parquet", ".pq")
COLUMNS = ("photo", "path", "image", "file", "filename", "file_name", "image_path")


@dataclass(frozen=True)
class ListedPhoto:
    """One photo: where it is, and what it is called in the manifest (with `/`, without `..`)."""

    path: Path
    key: str


def list_photos(sources: Sequence[str | os.PathLike], leave_out: Path | None = None) -> list[ListedPhoto]:
    """The photos that the sources name, each once, in the order of the sources; sorted within a folder or pattern.

    Args:
        sources: folders, patterns, photos, lists; see the module's docstring.
        leave_out: folder whose content is none of it: the results.
    Raises:
        ImageError: a source that is not there, cannot be read, or names no photo.
    """
    if not sources:
        raise ImageError("no photos: name folders, photos, patterns or lists")
    found = [_source(os.fspath(source), leave_out) for source in sources]
    roots = [root for root, _ in found]
    root = roots[0] if len(roots) == 1 else _common(roots)
    photos: dict[str, ListedPhoto] = {}
    for _, paths in found:
        for path in paths:
            key = photo_key(path, root)
            photos.setdefault(key, ListedPhoto(path, key))
    return list(photos.values())


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


def find_photos(folder: Path, leave_out: Path | None = None) -> list[Path]:
    """Photos in a folder and its subfolders, by suffix in any case, sorted; without hidden ones and `leave_out`.

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
    foreign: Counter[str] = Counter()
    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and (Path(parent) / f).resolve() != hidden)
        for name in sorted(files):
            suffix = Path(name).suffix.lower()
            if not name.startswith(".") and suffix in PHOTO_SUFFIXES:
                photos.append(Path(parent) / name)
            foreign[suffix] += suffix in FOREIGN_SUFFIXES
    _warn(folder, foreign)
    if not photos:
        raise ImageError(f"{folder}: no photo in it; looked for {' '.join(PHOTO_SUFFIXES)}")
    return photos


def read_list(path: Path) -> list[Path]:
    """The photos that a list names; relative ones are relative to the list's folder. They need not exist.

    * text: one path a line; empty lines and lines that begin with `#` do not count;
    * CSV, TSV: the column named `photo`, `path`, `image`, `file` or `filename` (in any case); without such a header
      the first column of every row;
    * Parquet: the column of such a name, or the only column of strings.

    Raises:
        ImageError: the list cannot be read, or names nothing.
    """
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            names = _parquet_names(path)
        elif path.suffix.lower() in TABLE_SUFFIXES:
            names = _table_names(path)
        else:
            lines = path.read_text(encoding="utf-8-sig", errors="surrogateescape").split("\n")
            names = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror or error}") from None
    photos = [path.parent / name for name in names if name]
    if not photos:
        raise ImageError(f"{path}: no photo in this list")
    return photos


def _source(source: str, leave_out: Path | None) -> tuple[Path, list[Path]]:
    """The folder that keys count from, and the photos."""
    path = Path(source)
    if path.is_dir():
        return path, find_photos(path, leave_out)
    if path.suffix.lower() in LIST_SUFFIXES and path.is_file():
        return path.parent, read_list(path)
    if path.is_file():
        return path.parent, [path]
    if glob.has_magic(source):
        return _pattern(source, leave_out)
    if path.suffix.lower() in (*PHOTO_SUFFIXES, *LIST_SUFFIXES):
        raise ImageError(f"{path}: no such file")
    raise ImageError(f"{path}: no such folder")


def _pattern(pattern: str, leave_out: Path | None) -> tuple[Path, list[Path]]:
    parts = Path(pattern).parts
    plain = next(k for k, part in enumerate(parts) if glob.has_magic(part))
    root = Path(*parts[:plain]) if plain else Path(".")
    hidden = None if leave_out is None else leave_out.resolve()
    foreign: Counter[str] = Counter()
    photos = []
    for path in map(Path, sorted(glob.glob(pattern, recursive=True))):
        suffix = path.suffix.lower()
        foreign[suffix] += suffix in FOREIGN_SUFFIXES
        if suffix in PHOTO_SUFFIXES and path.is_file() and not (hidden and path.resolve().is_relative_to(hidden)):
            photos.append(path)
    _warn(pattern, foreign)
    if not photos:
        raise ImageError(f"{pattern}: no photo fits this pattern; looked for {' '.join(PHOTO_SUFFIXES)}")
    return root, photos


def _table_names(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
        rows = [row for row in csv.reader(stream, delimiter=delimiter) if any(cell.strip() for cell in row)]
    if not rows:
        return []
    column = _column(rows[0])
    if column is None:
        return [row[0].strip() for row in rows]
    return [row[column].strip() for row in rows[1:] if len(row) > column]


def _column(header: Iterable[str]) -> int | None:
    """The first name of COLUMNS that the header has, as a place."""
    places = {name.strip().lower(): place for place, name in reversed(list(enumerate(header)))}
    return next((places[name] for name in COLUMNS if name in places), None)


def _parquet_names(path: Path) -> list[str]:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise ImageError(f"{path}: reading Parquet needs pyarrow; pip install 'facefit[batch]'") from None
    try:
        schema = parquet.read_schema(path)
        column = _column(schema.names)
        if column is None:
            strings = [
                k for k, kind in enumerate(schema.types) if pyarrow.types.is_string(kind)
                or pyarrow.types.is_large_string(kind)
            ]  # fmt: skip
            if len(strings) != 1:
                raise ImageError(f"{path}: columns {', '.join(schema.names)}; expected one of {', '.join(COLUMNS)}")
            column = strings[0]
        values = parquet.read_table(path, columns=[schema.names[column]]).column(0).to_pylist()
    except pyarrow.ArrowException as error:
        raise ImageError(f"{path}: not a Parquet file that can be read ({error})") from None
    return [str(value).strip() for value in values if value is not None]


def _common(roots: list[Path]) -> Path:
    """The folder that all roots lie in."""
    try:
        return Path(os.path.commonpath([os.path.abspath(root) for root in roots]))
    except ValueError:  # on different drives: keys are absolute then
        return Path(os.path.abspath(roots[0]))


def _warn(where: str | Path, foreign: Counter[str]) -> None:
    if foreign.total():
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(foreign.items()) if count)
        logger.warning("%s: left out what cannot be read here: %s", where, kinds)
