"""Where the results of a batch go: a folder, or an object store such as `s3://bucket/meshes` through fsspec.

Both give every file its name only when all of it is there. A folder keeps half-written files in `.partial`, which the
next run empties; the manifest is one growing file. An object store cannot append: each photo's record is an object of
its own under `.records`, written by the worker that did the photo, and collected into the manifest when a batch ends.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from .folder_store import FolderStore
from .manifest import Record
from .object_store import FsspecStore

SYNTAX = re.compile(r"^[a-z][a-z0-9+.-]+://", re.IGNORECASE)  # longer than a drive letter


class Store(Protocol):
    """A place for files by their relative names with `/`.

    Attributes:
        workers_remember: whether the process that did a photo keeps its record; else the one that leads the batch does.
    """

    workers_remember: bool

    def prepare(self) -> None:
        """Make it. Raises OutputError."""

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
        """Held while a batch plans and writes here; cleans up after one that died. Raises OutputError when another one
        writes here."""


def open_store(output: str | os.PathLike) -> Store:
    """The store of that name: a URL that fsspec knows, or a folder."""
    output = os.fspath(output)
    if output.startswith("file://"):
        output = output[len("file://") :]
    return FsspecStore(output) if SYNTAX.match(output) else FolderStore(Path(output))
