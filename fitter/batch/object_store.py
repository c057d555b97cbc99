"""Results in an object store."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ..errors import InputError, OutputError
from .manifest import MANIFEST, Record, parse_manifest, parse_record

logger = logging.getLogger(__name__)

RECORDS = ".records"


class FsspecStore:
    """An object store, by its URL. Needs fsspec and its package for that store (s3fs, gcsfs, adlfs, ...)."""

    workers_remember = True

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._known: dict[str, int] | None = None

    def __getstate__(self) -> dict:
        return {"url": self.url, "_known": None}  # connections stay where they were opened

    def prepare(self) -> None:
        """See Store."""
        fs, root = self._fs()
        with self._errors(""):
            fs.makedirs(root, exist_ok=True)
            self._known = {
                path[len(root) :].lstrip("/"): int(info.get("size") or 0)
                for path, info in fs.find(root, detail=True).items()
            }

    def write(self, contents: Mapping[str, bytes], inputs: Iterable[Path] = ()) -> None:
        """See Store."""
        fs, root = self._fs()
        for name, data in contents.items():
            with self._errors(name):
                path = f"{root}/{name}"
                fs.makedirs(fs._parent(path), exist_ok=True)
                # a transaction of one file: stores commit an upload at its end, folders rename a temporary file
                with fs.transaction, fs.open(path, "wb") as stream:
                    stream.write(data)

    def size(self, name: str) -> int | None:
        """See Store."""
        return (self._known or {}).get(name)  # one listing when prepared, instead of a question per file

    def records(self) -> dict[str, Record]:
        """See Store."""
        fs, root = self._fs()
        records: dict[str, Record] = {}
        with self._errors(MANIFEST):
            fs.invalidate_cache()
            if fs.exists(f"{root}/{MANIFEST}"):
                records = parse_manifest(fs.cat_file(f"{root}/{MANIFEST}").decode("utf-8", "replace"), MANIFEST)
            late = fs.find(f"{root}/{RECORDS}") if fs.exists(f"{root}/{RECORDS}") else []
            for place, data in (fs.cat(late) if late else {}).items():
                try:
                    record = parse_record(data, place)
                except InputError as error:
                    logger.warning("%s; it is left aside, and its photo done again", error)
                else:
                    records[record.photo] = record
        return records

    def remember(self, record: Record) -> None:
        """See Store."""
        name = hashlib.sha256(record.photo.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        self.write({f"{RECORDS}/{name}.json": record.line().encode()})

    def collect(self, records: Iterable[Record]) -> None:
        """See Store."""
        fs, root = self._fs()
        self.write({MANIFEST: "".join(record.line() for record in records).encode()})
        with self._errors(RECORDS):  # only now: a crash before leaves both, and the objects count
            if fs.exists(f"{root}/{RECORDS}"):
                fs.rm(f"{root}/{RECORDS}", recursive=True)

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """See Store; nothing is locked: each photo's record is an object of its own."""
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
