"""What a C library writes to the process's stderr, kept from it: libtiff has no other way to say what it dislikes."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator

_LIBTIFF = re.compile(r"[\w.]+: .*\.")  # function or file: text with a full stop, as libtiff's own handlers write it
_lock = threading.Lock()  # there is one stderr; two that redirect it would put each other's copy back


@contextlib.contextmanager
def quiet_stderr() -> Iterator[Callable[[], list[str]]]:
    """File descriptor 2 goes elsewhere meanwhile.

    Gives a function: libtiff's lines so far, each once, without warnings. Whatever else is written meanwhile,
    by another thread, is passed on at the end.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_lock)
        try:
            before = os.dup(2)
        except OSError:  # a process without stderr: there is nothing to keep quiet
            yield list
            return
        stack.callback(os.close, before)
        elsewhere = stack.enter_context(tempfile.TemporaryFile())

        def written() -> list[str]:
            text = os.pread(elsewhere.fileno(), 1 << 20, 0).decode("utf-8", "replace")
            return [line for line in text.splitlines() if line.strip()]

        def lines() -> list[str]:
            said = [line.rstrip(".") for line in written() if _LIBTIFF.fullmatch(line) and ": Warning, " not in line]
            return list(dict.fromkeys(said))

        if sys.stderr is not None:
            sys.stderr.flush()
        os.dup2(elsewhere.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(before, 2)
            others = [line for line in written() if not _LIBTIFF.fullmatch(line)]
            if others:
                os.write(2, ("\n".join(others) + "\n").encode())
