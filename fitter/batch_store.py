"""Where the results of a batch go: a folder, or an object store such as `s3://bucket/meshes` through fsspec.

Both give every file its name only when all of it is there. A folder keeps half-written files in `.partial`, which the
next run empties; the manifest is one growing file. An object store cannot append: each photo's record is an object of
its own under `.records`, written by the worker that did the photo, and collected into the manifest when a batch ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from .errors import OutputError
from .files.outputs import check_outputs
from .manifest import MANIFEST, Record, append_record, parse_manifest, parse_record, read_manifest

PARTIAL, RECORDS, LOCK = ".partial", ".records", ".lock"
SYNTAX = re.compile(r"^[a-z][a-z0-9+.-]+://", re.IGNORECASE)  # longer than a drive letter


class Store(Protocol):
    """A place for files by their relative names with `/`.

    Attributes:
        workers_remember: whether the process that did a photo keeps its record; else the one that leads the batch does.
    """

    workers_remember: bool

    def prepare(self) -> None:
        """Make it, and clean up after a run that died. Raises OutputError."""

    def write(self, contents: Mapping[str, bytes], inputs: Iterable[Path] = ()) -> None:
        """Write files; each appears whole or not at all. `inputs` are not overwritten. Raises OutputError."""

    def size(self, name: str) -> int | None:
        """Bytes of a file, None when it is not there."""

    def records(self) -> dict[str, Record]:
        """The last record of each photo of earlier runs. Raises OutputError."""

    def remember(self, record: Record) -> None:
        """Keep the record of a photo. Raises OutputError."""

    def collect(self, records: Iterable[Record]) -> None:
        """A batch ends: `records` are all that is known."""

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Held while a batch writes here. Raises OutputError when another one does."""


def open_store(output: str | os.PathLike) -> Store:
    """The store of that name: a URL that fsspec knows, or a folder."""
    output = os.fspath(output)
    if output.startswith("file://"):
        output = output[len("file://") :]
    return FsspecStore(output) if SYNTAX.match(output) else FolderStore(Path(output))


class FolderStore:
    """A folder of this machine, or one that machines share."""

    workers_remember = False  # one file has one writer

    def __init__(self, root: Path) -> None:
        self.root = root

    def prepare(self) -> None:
        _make_folder(self.root)
        shutil.rmtree(self.root / PARTIAL, ignore_errors=True)

    def write(self, contents: Mapping[str, bytes], inputs: Iterable[Path] = ()) -> None:
        targets = {name: self.root / name for name in contents}
        for folder in {path.parent for path in targets.values()}:
            _make_folder(folder)
        check_outputs(targets.values(), inputs)
        _make_folder(self.root / PARTIAL)
        staging = Path(tempfile.mkdtemp(dir=self.root / PARTIAL))
        try:
            for number, (name, data) in enumerate(contents.items()):
                path = targets[name]
                (staging / str(number)).write_bytes(data)
            for number, path in enumerate(targets.values()):
                os.replace(staging / str(number), path)
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror or error}") from None
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def size(self, name: str) -> int | None:
        try:
            return (self.root / name).stat().st_size
        except OSError:
            return None

    def records(self) -> dict[str, Record]:
        return read_manifest(self.root / MANIFEST)

    def remember(self, record: Record) -> None:
        append_record(self.root / MANIFEST, record)

    def collect(self, records: Iterable[Record]) -> None:
        shutil.rmtree(self.root / PARTIAL, ignore_errors=True)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        try:
            import fcntl
        except ImportError:  # Windows: two batches into one folder are the user's care
            yield
            return
        with (self.root / LOCK).open("w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OutputError(f"{self.root}: another batch is writing to this folder") from None
            except OSError:  # a file system without locks
                pass
            yield


class FsspecStore:
    """An object store, by its URL. Needs fsspec and its package for that store (s3fs, gcsfs, adlfs, ...)."""

    workers_remember = True

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._known: dict[str, int] | None = None

    def __getstate__(self) -> dict:
        return {"url": self.url, "_known": None}  # connections stay where they were opened

    def prepare(self) -> None:
        fs, root = self._fs()
        with self._errors(""):
            fs.makedirs(root, exist_ok=True)
            self._known = {
                path[len(root) :].lstrip("/"): int(info.get("size") or 0)
                for path, info in fs.find(root, detail=True).items()
            }

    def write(self, contents: Mapping[str, bytes], inputs: Iterable[Path] = ()) -> None:
        fs, root = self._fs()
        for name, data in contents.items():
            with self._errors(name):
                path = f"{root}/{name}"
                fs.makedirs(fs._parent(path), exist_ok=True)
                # a transaction of one file: stores commit an upload at its end, folders rename a temporary file
                with fs.transaction, fs.open(path, "wb") as stream:
                    stream.write(data)

    def size(self, name: str) -> int | None:
        return (self._known or {}).get(name)  # one listing when prepared, instead of a question per file

    def records(self) -> dict[str, Record]:
        fs, root = self._fs()
        records: dict[str, Record] = {}
        with self._errors(MANIFEST):
            fs.invalidate_cache()
            if fs.exists(f"{root}/{MANIFEST}"):
                records = parse_manifest(fs.cat_file(f"{root}/{MANIFEST}").decode("utf-8", "replace"), MANIFEST)
            late = fs.find(f"{root}/{RECORDS}") if fs.exists(f"{root}/{RECORDS}") else []
            for data in (fs.cat(late) if late else {}).values():
                record = parse_record(data)
                if record is not None:
                    records[record.photo] = record
        return records

    def remember(self, record: Record) -> None:
        name = hashlib.sha256(record.photo.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        self.write({f"{RECORDS}/{name}.json": record.line().encode()})

    def collect(self, records: Iterable[Record]) -> None:
        fs, root = self._fs()
        self.write({MANIFEST: "".join(record.line() for record in records).encode()})
        with self._errors(RECORDS):  # only now: a crash before leaves both, and the objects count
            if fs.exists(f"{root}/{RECORDS}"):
                fs.rm(f"{root}/{RECORDS}", recursive=True)

    def lock(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def _fs(self):
        try:
            import fsspec
        except ImportError:
            raise OutputError(f"{self.url}: needs fsspec; pip install fsspec and its package for this store") from None
        with self._errors(""):
            return fsspec.core.url_to_fs(self.url)

    @contextlib.contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except OutputError:
            raise
        except Exception as error:  # every store has exceptions of its own
            place = f"{self.url}/{name}" if name else self.url
            raise OutputError(f"{place}: {type(error).__name__}: {error}") from None


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: the folder cannot be made ({error.strerror or error})") from None
