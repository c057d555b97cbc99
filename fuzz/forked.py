"""Work in a process of its own, without the seconds of its start: forked from one that has loaded everything."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from facefit.commands import main

PATIENCE = 120.0  # seconds; a fit of the toy model takes a tenth
SLOW = 0.004  # seconds
RAISED = 70  # exit code of a process that ended by an exception


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code (minus the signal that killed it; None: it hung), its stderr, its memory."""

    code: int | None
    stderr: str
    bytes: int


class Forked:
    """A process that leads a group of its own.

    Args:
        work: what it does.
        said: a file for its stderr; the workers of a batch write there, too.
        gate: a pipe; the work begins when nobody has its second end open any more.
    """

    def __init__(self, work: Callable[[], object], said: Path, gate: tuple[int, int] | None = None) -> None:
        self.said = said
        self.began = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._be(work, gate)

    def _be(self, work: Callable[[], object], gate: tuple[int, int] | None) -> None:
        code = RAISED
        try:
            os.setpgid(0, 0)
            os.dup2(os.open(self.said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if gate is not None:
                os.close(gate[1])
                os.read(gate[0], 1)
            work()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        except KeyboardInterrupt:  # before the first line of the work or after its last, where a program is Python's
            os.write(2, b"facefit: error: interrupted\n")
            code = 130
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def running(self) -> bool:
        """Whether it has not ended yet."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def send(self, number: int) -> None:
        """A signal, unless it has ended."""
        if self.running():
            os.kill(self.pid, number)

    def end(self) -> Ended:
        """Wait for it; it is killed, with all below it, when it takes longer than PATIENCE."""
        hung = False
        while self.running():
            if time.monotonic() - self.began > PATIENCE:
                hung = True
                os.killpg(self.pid, signal.SIGKILL)
                break
            time.sleep(0.002)
        _, status, usage = os.wait4(self.pid, 0)
        text = self.said.read_text(errors="replace") if self.said.exists() else ""
        return Ended(None if hung else os.waitstatus_to_exitcode(status), text, usage.ru_maxrss * 1024)


def command(*arguments: object) -> Callable[[], None]:
    """`facefit ARGUMENTS` as a person types it, with the handlers of its signals: to be run in a process of its own."""

    def work() -> None:
        sys.argv = ["facefit", *map(str, arguments)]
        main()

    return work


def slowly(work: Callable[[], object]) -> Callable[[], None]:
    """The same on a disk that takes SLOW seconds for each change of a name, so that kills and other writers fall in
    between: to be run in a process of its own."""

    def slow() -> None:
        for name in ("replace", "rename", "link", "unlink"):
            setattr(os, name, _after_a_while(getattr(os, name)))
        work()

    return slow


def _after_a_while(change: Callable[..., object]) -> Callable[..., object]:
    def changed(*arguments: object, **options: object) -> object:
        time.sleep(SLOW)
        return change(*arguments, **options)

    return changed


def run(work: Callable[[], object], said: Path) -> Ended:
    """From its start to its end."""
    return Forked(work, said).end()


def run_together(works: Sequence[Callable[[], object]], folder: Path) -> list[Ended]:
    """All begin at the same moment. `folder`: for what they say."""
    gate = os.pipe()
    processes = [Forked(work, folder / f"said {number}", gate) for number, work in enumerate(works)]
    os.close(gate[1])
    os.close(gate[0])
    return [process.end() for process in processes]
