"""Results in a folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ..errors import OutputError
from ..files.outputs import check_outputs
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
        shutil.rmtree(self.root / PARTIAL, ignore_errors=True)

    def write(self, contents: Mapping[str, bytes], inputs: Iterable[Path] = ()) -> None:
        """See Store."""
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
        shutil.rmtree(self.root / PARTIAL, ignore_errors=True)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """See Store."""
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


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: the folder cannot be made ({error.strerror or error})") from None
