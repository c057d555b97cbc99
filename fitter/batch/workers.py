"""The processes of a batch: started, given work, watched.

Each worker has a pipe of its own, so that one that dies (a segmentation fault in a decoder, the kernel's out-of-memory
killer) takes nothing with it but its own work, and it is known which that was. Shared queues would leave their locks in
the hands of the dead. A worker listens to its pipe all the time: when the leading process is gone, by whatever way, it
ends at once.

A worker that was stopped neither reads what it is sent nor ends what it began to say. So the leading process touches
pipes in threads alone, two for each worker: it never waits for a pipe, its clock goes on, and whom it kills lets go of
both threads.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # Windows does not have all of them
    from multiprocessing.context import ForkServerContext, SpawnContext

logger = logging.getLogger(__name__)

GRACE = 5.0  # seconds that a process has to end after its pipe closed, or after it was killed

# What the server that workers are forked from imports beforehand: a worker then starts in a fraction of a second.
PRELOAD = ("facefit.batch.calls", "facefit.observe.detector", "facefit.output.overlay", "onnxruntime")


class Loader(Protocol):
    """Called in a worker: loads what it works with, and returns what answers its calls."""

    @property
    def on_gpu(self) -> bool:
        """Whether that works on a GPU."""
        ...

    def __call__(self) -> Callable[..., Any]:
        """-> what is called with the name of a call and its arguments, in one thread, one after another."""
        ...


@dataclass(frozen=True)
class Event:
    """What a worker has to say.

    Attributes:
        worker: its number.
        kind: "ready"; "broken" (it cannot start: `value` is the exception's exit code and text); "reply" (`value` is
            what the call returned); "died" (`value` says how).
    """

    worker: int
    kind: str
    value: Any = None


class Workers(Protocol):
    """Worker processes somewhere, each with a number."""

    def start(self, loader: Loader, device: bool = False) -> int:
        """Start a worker that answers calls by what `loader()` returns there; its number. `device`: it is to fit."""
        ...

    def submit(self, worker: int, call: str, *arguments: Any) -> None:
        """Have it do `call`; the answer is an event. To a dead worker: the event that it died is still to come."""
        ...

    def wait(self, timeout: float) -> list[Event]:
        """Events as soon as there are any; an empty list after `timeout` seconds."""
        ...

    def kill(self, worker: int) -> None:
        """End it now; an event that it died follows."""
        ...

    def close(self) -> None:
        """End all of them; what they are doing is lost."""
        ...


class LocalWorkers:
    """Processes of this machine.

    Args:
        preload: modules that the server which workers are forked from imports beforehand.
    """

    def __init__(self, preload: Sequence[str] = PRELOAD) -> None:
        methods = multiprocessing.get_all_start_methods()
        # not forked from the leading process, which has threads and signal handlers
        self._context: ForkServerContext | SpawnContext
        if "forkserver" in methods:
            self._context = multiprocessing.get_context("forkserver")
            self._context.set_forkserver_preload(list(preload))
        else:
            self._context = multiprocessing.get_context("spawn")
        self._running: dict[int, _Line] = {}
        self._heard: queue.SimpleQueue[tuple[int, tuple[str, Any] | None]] = queue.SimpleQueue()
        self._next = 0

    def start(self, loader: Loader, device: bool = False) -> int:
        """See Workers."""
        worker, self._next = self._next, self._next + 1
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=serve, args=(theirs, loader), name=f"facefit-{worker}", daemon=True)
        process.start()
        theirs.close()  # the worker's copy is the only one: its death closes the pipe
        self._running[worker] = _Line(process, ours, worker, self._heard)
        return worker

    def submit(self, worker: int, call: str, *arguments: Any) -> None:
        """See Workers."""
        self._running[worker].to_send.put((call, arguments))

    def wait(self, timeout: float) -> list[Event]:
        """See Workers."""
        events: list[Event] = []
        with contextlib.suppress(queue.Empty):
            while True:
                worker, message = self._heard.get(timeout=0 if events else timeout)
                if message is not None:
                    events.append(Event(worker, *message))
                elif worker in self._running:
                    events.append(Event(worker, "died", self._running.pop(worker).bury()))
        return events

    def kill(self, worker: int) -> None:
        """See Workers."""
        self._running[worker].process.kill()

    def close(self) -> None:
        """See Workers."""
        for line in self._running.values():
            line.process.kill()
        for line in self._running.values():
            line.bury()
        self._running.clear()


class _Line:
    """The leading process's end of a worker: its process, its pipe, and the threads that read and write it.

    Args:
        heard: gets (worker, message) for each message, and (worker, None) once, when no more can come.
    Attributes:
        to_send: what is put there is sent; None ends that.
    """

    def __init__(self, process: Any, pipe: connection.Connection, worker: int, heard: queue.SimpleQueue) -> None:
        self.process, self.pipe = process, pipe
        self.to_send: queue.SimpleQueue = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._send, name=f"to-worker-{worker}", daemon=True),
            threading.Thread(target=self._receive, args=(worker, heard), name=f"from-worker-{worker}", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def bury(self) -> str:
        """Close what is left of a worker that no longer speaks; how it ended, in words."""
        self.process.join(GRACE)
        if self.process.exitcode is None:  # it closed its pipe and lives on
            self.process.kill()
            self.process.join(GRACE)
        self.to_send.put(None)
        for thread in self._threads:
            thread.join(GRACE)
        if not any(thread.is_alive() for thread in self._threads):  # else its number could become another file's
            self.pipe.close()
        return how_it_died(self.process.exitcode)

    def _send(self) -> None:
        with contextlib.suppress(OSError):  # it is dead, which the other thread finds out
            while (message := self.to_send.get()) is not None:
                self.pipe.send(message)

    def _receive(self, worker: int, heard: queue.SimpleQueue) -> None:
        try:
            while True:
                heard.put((worker, self.pipe.recv()))
        except (EOFError, OSError):
            pass
        except Exception as error:  # what came cannot be unpickled: whatever this worker says now is not understood
            logger.warning("worker %d: %s: %s", worker, type(error).__name__, error)
            self.process.kill()
        heard.put((worker, None))


def how_it_died(code: int | None) -> str:
    """An exit code in words."""
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-code).name
            hint = ", out of memory?" if name == "SIGKILL" else ""
            return f"the worker process died ({name}{hint})"
    return f"the worker process died (exit code {code})"


def serve(pipe: Connection, loader: Loader) -> None:
    """The life of a worker: load, then answer calls until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the leading process decides what it means
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    calls: queue.SimpleQueue = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, calls), daemon=True).start()
    try:
        work = loader()
    except BaseException as error:  # whatever it is, the leading process has to know
        pipe.send(("broken", start_error(error)))
        return
    pipe.send(("ready", None))
    while True:
        call, arguments = calls.get()
        try:
            reply = work(call, *arguments)
        except BaseException:  # a fault of the program: this worker counts as dead, and another takes its place
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(70)
        pipe.send(("reply", reply))


def start_error(error: BaseException) -> tuple[int, str]:
    """Exit code and text of what keeps a worker from starting; a ValueError is one of the command line's options."""
    if hasattr(error, "exit_code"):
        return error.exit_code, str(error)
    if isinstance(error, ValueError):
        return 2, str(error)
    return 5, f"{type(error).__name__}: {error}"


def _listen(pipe: Connection, calls: queue.SimpleQueue) -> None:
    try:
        while True:
            calls.put(pipe.recv())
    except (EOFError, OSError):
        os._exit(0)  # nobody waits for what is under way
