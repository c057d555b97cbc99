"""Results in a folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from ..errors import OutputError
from ..files.locks import try_lock
from ..files.outputs import check_outputs
from ..files.together import PREFIX, Area, recover, write_together
from .manifest import MANIFEST, Record, append_record, read_manifest

PARTIAL = ".partial"

LOCK = ".lock"


class FolderStore:
    """A folder of this machine, or one that machines share."""

    workers_remember = False  # one file has one writer

    def __init__(self, root: Path) -> None:
        self.root = root

    def prepare(self) -> None:
        """See Store."""
        _make_folder(self.root)

    def write(self, contents: Mapping[str, bytes], inputs: Iterable[Path] = ()) -> None:
        """See Store."""
        targets = {self._target(name): data for name, data in contents.items()}
        for folder in {path.parent for path in targets}:
            _make_folder(folder)
        check_outputs(targets, inputs)
        _make_folder(self._area.staging)
        write_together(targets, self._area)

    @property
    def _area(self) -> Area:
        return Area(self.root / PARTIAL, self.root)

    def _target(self, name: str) -> Path:
        """Names come from manifests too, which anybody may have written."""
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.name:
            raise OutputError(f"{name!r}: not the name of a file in {self.root}")
        return self.root / path

    def _tidy(self) -> None:
        """Complete what a killed process has cut off, and sweep what it left; not what one that lives is writing."""
        recover(self._area)
        with contextlib.suppress(OSError):
            for entry in os.scandir(self._area.staging):
                if not entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False):  # of earlier versions
                    shutil.rmtree(entry.path, ignore_errors=True)
            self._area.staging.rmdir()

    def size(self, name: str) -> int | None:
        """See Store."""
        try:
            return (self.root / name).stat().st_size
        except OSError:
            return None

    def records(self) -> dict[str, Record]:
        """See Store."""
        return read_manifest(self.root / MANIFEST)

    def remember(self, record: Record) -> None:
        """See Store."""
        append_record(self.root / MANIFEST, record)

    def collect(self, records: Iterable[Record]) -> None:
        """See Store."""
        self._tidy()

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """See Store."""
        _make_folder(self.root)
        path = self.root / LOCK
        # nothing that a link of this name leads to is opened, and what is there stays as it is
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        try:
            descriptor = os.open(path, flags, 0o666)
        except OSError as error:
            if path.is_symlink():
                raise OutputError(f"{path}: is a symbolic link; expected a file of facefit's own") from None
            raise OutputError(f"{path}: {error.strerror or error}") from None
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OutputError(f"{path}: is not a regular file")
            if not try_lock(descriptor):
                raise OutputError(f"{self.root}: another batch is writing to this folder")
            self._tidy()  # not before: what another batch is writing is not swept
            yield
        finally:
            os.close(descriptor)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: the folder cannot be made ({error.strerror or error})") from None
