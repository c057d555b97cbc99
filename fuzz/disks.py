"""A disk that is full: what was there stays, nothing half is left, and with more room the same command goes on."""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .batches import check_batch, many_photos
from .faults import outcome
from .forked import command, run
from .kit import Kit
from .sets import mixed, names_of, whose
from .watch import Outcome, names, wrong_words

_REMOUNT, _DETACH = 32, 2  # flags of mount and umount2


def why_not(folder: Path) -> str:
    """Why no small disk can be made here; empty where it can."""
    if not sys.platform.startswith("linux"):
        return "small disks are made on Linux alone"
    try:
        with small_disk(folder, 64):
            return ""
    except OSError as error:
        return f"no small disk can be mounted here ({error.strerror})"


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Callable[[int], None]]:
    """A file system in memory at `folder`. Gives a function that makes it that many kilobytes large. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)

    def mount(size: int, flags: int = 0) -> None:
        if libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", flags, f"size={size}k".encode()):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    folder.mkdir(exist_ok=True)
    mount(kilobytes)
    try:
        yield lambda size: mount(size, _REMOUNT)
    finally:
        libc.umount2(os.fsencode(folder), _DETACH)


def full_disks(dice: random.Random, kit: Kit, folder: Path) -> Outcome:
    """A fit over another one's results, or a batch."""
    if dice.random() < 0.5:
        with small_disk(folder / "disk", 400) as resize:
            return _fit(dice, kit, folder, folder / "disk", resize)
    with small_disk(folder / "disk", dice.choice((40, 80, 120, 160, 200, 240))) as resize:
        return _batch(kit, folder, folder / "disk", resize)


def _fit(dice: random.Random, kit: Kit, folder: Path, disk: Path, resize: Callable[[int], None]) -> Outcome:
    (out,) = kit.lay(disk, "a")
    free = shutil.disk_usage(disk).free
    (disk / "ballast").write_bytes(bytes(max(0, free - dice.randrange(0, 80_000, 4096))))
    work = command("fit", kit / "b.png", "-o", out / "m.obj", *kit.options, "-q")
    ended = run(work, folder / "said")
    found = whose(kit, out, "m", ("a", "b"))
    wrong = wrong_words(ended.code, ended.stderr, frozenset({0, 6})) + mixed(found)
    wrong += [f"left {name}" for name in names(out) - names_of("m")]
    wrong += [f"the old result is gone: {found}"] if ended.code == 6 and found["m.obj"] != "a" else []
    resize(4000)
    after = run(work, folder / "said after")
    wrong += wrong_words(after.code, after.stderr, frozenset({0})) + mixed(whose(kit, out, "m", ("b", "b")))
    return outcome(wrong, ended, after)


def _batch(kit: Kit, folder: Path, disk: Path, resize: Callable[[int], None]) -> Outcome:
    photos = many_photos(folder / "photos", 10, 4)
    work = command("batch", photos, "-o", disk / "out", "--workers", "0", *kit.options, "-q")
    ended = run(work, folder / "said")
    wrong = wrong_words(ended.code, ended.stderr, frozenset({6, 7}), batch=True)
    resize(8000)
    after = run(work, folder / "said after")
    wrong += wrong_words(after.code, after.stderr, frozenset({7}), batch=True)
    return outcome(wrong + check_batch(photos, disk / "out"), ended, after)
