"""Locks that end with the process that holds them: `flock` on a folder or a file. Without `flock` nothing is held."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import OutputError

try:
    import fcntl
except ImportError:  # Windows: two programs that write one file are the user's care
    HAVE_LOCKS = False
else:
    HAVE_LOCKS = True

PATIENCE = 120.0  # seconds that another writer is waited for; it holds a folder for as long as names change
_LONGEST_PAUSE = 0.05


def try_lock(descriptor: int) -> bool:
    """Lock an open file or folder against everybody else. False: somebody has it. True also on a file system without
    locks."""
    if not HAVE_LOCKS:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


@contextlib.contextmanager
def locked_folders(folders: Iterable[Path], patience: float = PATIENCE) -> Iterator[None]:
    """Be the only one who gives names to files in these folders.

    Raises:
        OutputError: another process keeps one of them for longer than `patience` seconds.
    """
    with contextlib.ExitStack() as stack:
        opened = {}
        for folder in folders if HAVE_LOCKS else ():
            with contextlib.suppress(OSError):  # a folder that cannot be listed: nobody else knows of what is in it
                descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
                stack.callback(os.close, descriptor)  # which gives the lock back
                status = os.fstat(descriptor)
                # two names of one folder would wait for each other; an order for all: nobody waits in a circle
                opened[status.st_dev, status.st_ino] = folder, descriptor
        end = time.monotonic() + patience
        for _, (folder, descriptor) in sorted(opened.items()):
            pause = 0.001
            while not try_lock(descriptor):
                if time.monotonic() > end:
                    raise OutputError(f"{folder}: another program has been writing there for {patience:g} s")
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
        yield
