"""Several files that get their names together or not at all, whatever happens to the process or to the machine.

Each file is written into a hidden folder beside its target and is brought to the disk (fsync). Then a journal is
written there that says which file gets which name; from that moment on the set counts as written. The names change
while the folders of the targets are locked and signals that ask the process to end are held; at last the hidden folder
goes.

The hidden folder is locked as long as its process lives. One that nobody holds belongs to a process that died: without
a journal it is swept, with one its set is completed, which is always possible and always right. Whoever writes next in
that place does it, before names change; so no set mixes with another one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import OutputError
from .held_signals import held_signals
from .locks import HAVE_LOCKS, locked_folders, try_lock

PREFIX = ".facefit-"  # of the hidden folders
JOURNAL, HOME = "journal", "home"
_LONGEST = 1 << 20  # bytes of a journal


@dataclass(frozen=True)
class Area:
    """Where files are made: hidden folders in `staging`, for targets below `root`, which lies on the same disk."""

    staging: Path
    root: Path


@dataclass(frozen=True)
class _Move:
    """A finished file and the name that it gets."""

    staged: Path
    target: Path


@dataclass
class _Draft:
    """A set before it has its names: the hidden folder in each area, the first one is the home of the journal."""

    folders: dict[Area, Path] = field(default_factory=dict)
    moves: list[_Move] = field(default_factory=list)

    @property
    def journal(self) -> Path:
        return next(iter(self.folders.values())) / JOURNAL


def write_together(contents: Mapping[Path, bytes], area: Area | None = None) -> None:
    """Write all files, or none of them: what was there before stays then.

    Args:
        contents: path -> bytes; the folders are there.
        area: where they are made, for files below its root; None: each beside its target.
    Raises:
        OutputError: one line that names the path and the reason.
    """
    if not contents:
        return
    path: Path | None = None
    draft = _Draft()
    with contextlib.ExitStack() as hidden:
        try:
            for path, data in contents.items():
                own = area or Area(path.parent, path.parent)
                if own not in draft.folders:
                    draft.folders[own] = _hidden_folder(own, hidden, draft)
                staged = draft.folders[own] / str(len(draft.moves))
                _write(staged, data)
                draft.moves.append(_Move(staged, path))
            for folder in draft.folders.values():
                _sync_folder(folder)
            with _alone(draft), held_signals():
                _give_names(draft)
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror or error}") from None


def recover(area: Area) -> None:
    """Complete the sets of an area whose process died, and sweep what else such processes left.

    Raises:
        OutputError: a set cannot be completed.
    """
    with _alone(_Draft({area: area.staging})):
        pass


def _hidden_folder(area: Area, hidden: contextlib.ExitStack, draft: _Draft) -> Path:
    """A new one, locked; it goes when `hidden` ends, but not with a journal that still counts."""
    with held_signals():  # between the folder and what removes it
        while True:
            folder = Path(tempfile.mkdtemp(dir=area.staging, prefix=PREFIX))
            if not HAVE_LOCKS:
                break
            try:
                descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            except FileNotFoundError:
                continue  # whoever looked for the dead between the two steps has taken it for one, and swept it
            hidden.callback(os.close, descriptor)
            if try_lock(descriptor) and folder.exists():
                break
        hidden.callback(_dismiss, folder, draft)
    if draft.folders:
        _write(folder / HOME, os.fsencode(draft.journal.parent.absolute()))
    return folder


def _dismiss(folder: Path, draft: _Draft) -> None:
    if not (draft.folders and draft.journal.exists()):
        with held_signals():
            _remove(folder)


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    """Names in a folder to the disk, where the file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _give_names(draft: _Draft) -> None:
    """All names at once: after the journal is on the disk, whoever comes next completes what is cut off here."""
    home = draft.journal.parent
    entries = []
    for number, move in enumerate(draft.moves):
        area = next(area for area, folder in draft.folders.items() if folder == move.staged.parent)
        other = "" if move.staged.parent == home else str(move.staged.parent.absolute())
        entries.append([other, number, move.target.relative_to(area.root).as_posix()])
    _write(home / f"{JOURNAL}.part", json.dumps(entries).encode())
    os.replace(home / f"{JOURNAL}.part", draft.journal)
    _sync_folder(home)
    done: list[tuple[_Move, Path | None]] = []
    move = draft.moves[0]
    try:
        for move in draft.moves:
            before = _kept(move)
            done.append((move, before))
            os.replace(move.staged, move.target)
        for folder in _targets(draft.moves):
            _sync_folder(folder)
    except OSError as error:
        _take_back(done)
        draft.journal.unlink()
        raise OutputError(f"{move.target}: {error.strerror or error}") from None
    draft.journal.unlink()


def _kept(move: _Move) -> Path | None:
    """A second name of what the target was until now, None where nothing was."""
    before = move.staged.with_suffix(".before")
    if not os.path.lexists(move.target):
        return None
    try:
        os.link(move.target, before, follow_symlinks=False)
    except (OSError, NotImplementedError):  # a file system without hard links
        os.rename(move.target, before)
    return before


def _take_back(done: list[tuple[_Move, Path | None]]) -> None:
    """Names as they were. Each file goes back to where the journal looks for it: if this is cut off as well, the set is
    completed."""
    for move, before in reversed(done):
        if not move.staged.exists():
            os.replace(move.target, move.staged)
        if before is not None:
            os.replace(before, move.target)


# sets of processes that died


@dataclass(frozen=True)
class _Abandoned:
    """The hidden folders of a set that nobody holds any more, and the names that its files are still to get."""

    folders: tuple[Path, ...]
    moves: tuple[_Move, ...] = ()


class _Grasp(contextlib.ExitStack):
    """Holds hidden folders of the dead, so that nobody else completes them."""

    def __init__(self) -> None:
        super().__init__()
        self._held: set[tuple[int, int]] = set()

    def take(self, folder: Path) -> bool:
        """Lock one. False: its process lives, it is none of ours, or it is held here already."""
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            return False
        self.callback(os.close, descriptor)
        status = os.fstat(descriptor)
        if status.st_uid != os.getuid() or not try_lock(descriptor):
            return False
        self._held.add((status.st_dev, status.st_ino))
        return True

    def has(self, folder: Path) -> bool:
        """Whether it is held here."""
        try:
            status = folder.lstat()
        except OSError:
            return False
        return (status.st_dev, status.st_ino) in self._held


@contextlib.contextmanager
def _alone(draft: _Draft) -> Iterator[None]:
    """Be the only one who gives names in the folders of the targets, and leave no set half named there."""
    folders = _targets(draft.moves)
    while True:
        with _Grasp() as grasp:
            grasp.enter_context(locked_folders(folders))
            cut = [found for area in draft.folders for found in _abandoned(area, grasp)]
            more = _targets(move for each in cut for move in each.moves) - folders
            if not more:
                with held_signals():
                    for each in cut:
                        _complete(each)
                yield
                return
        folders |= more  # locks are taken in one order: let go of them, and take all


def _targets(moves: Iterable[_Move]) -> set[Path]:
    return {move.target.parent for move in moves}


def _abandoned(area: Area, grasp: _Grasp) -> Iterator[_Abandoned]:
    """The sets of an area that nobody holds."""
    try:
        names = sorted(name for name in os.listdir(area.staging) if name.startswith(PREFIX)) if HAVE_LOCKS else []
    except OSError:
        return
    for folder in (area.staging / name for name in names):
        if not grasp.take(folder):
            continue
        home = _home(folder)
        if home is None:  # its journal was not written, or its set has all its names
            yield _Abandoned((folder,))
        elif home == folder:
            yield _Abandoned(*_read_journal(home, area.root, grasp))
        elif grasp.take(home):  # another one of its folders may have led to it before
            yield _Abandoned(*_read_journal(home, home.parent, grasp))


def _home(folder: Path) -> Path | None:
    """The hidden folder that has the journal of this one's set; None where there is none."""
    try:
        home = Path(os.fsdecode((folder / HOME).read_bytes()))
    except OSError:
        return folder
    return home if home.name.startswith(PREFIX) and (home / JOURNAL).is_file() else None


def _read_journal(home: Path, root: Path, grasp: _Grasp) -> tuple[tuple[Path, ...], tuple[_Move, ...]]:
    """The folders of a set and what its journal says, as far as it speaks of files of its own set and of names below
    their folders: it may come from a stranger's archive."""
    folders, moves = [home], []
    try:
        with (home / JOURNAL).open("rb") as stream:
            entries = [
                (str(other), int(number), Path(name)) for other, number, name in json.loads(stream.read(_LONGEST))
            ]
    except (OSError, ValueError, TypeError, RecursionError):  # none, or not what is written here: nothing of it counts
        return (home,), ()
    for other, number, name in entries:
        folder = Path(other) if other else home
        if folder not in folders:
            if not folder.name.startswith(PREFIX) or not (grasp.has(folder) or grasp.take(folder)):
                continue
            pointed = _home(folder)
            if pointed is None or not os.path.samefile(pointed, home):
                continue
            folders.append(folder)
        staged = folder / str(number)
        target = (folder.parent if other else root) / name
        proper = name.name and not name.is_absolute() and ".." not in name.parts and "\0" not in str(name)
        # what is not there any more has its name; a folder that was deleted took its names along
        if proper and staged.is_file() and not staged.is_symlink() and target.parent.is_dir():
            moves.append(_Move(staged, target))
    return tuple(folders), tuple(moves)


def _complete(cut: _Abandoned) -> None:
    for move in cut.moves:
        try:
            os.replace(move.staged, move.target)
        except OSError as error:
            raise OutputError(
                f"{move.target}: a write was cut off here and cannot be completed ({error.strerror or error}); make "
                f"that possible, or delete {move.staged.parent}"
            ) from None
    for folder in _targets(cut.moves):
        _sync_folder(folder)
    for folder in cut.folders:
        _remove(folder)


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):
        (folder / JOURNAL).unlink()
    shutil.rmtree(folder, ignore_errors=True)
