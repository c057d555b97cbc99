"""The processes of a batch: started, given work, watched.

Each worker has a pipe of its own, so that one that dies (a segmentation fault in a decoder, the kernel's out-of-memory
killer) takes nothing with it but its own work, and it is known which that was. Shared queues would leave their locks in
the hands of the dead. A worker listens to its pipe all the time: when the leading process is gone, by whatever way, it
ends at once.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # Windows does not have all of them
    from multiprocessing.context import ForkServerContext, SpawnContext

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
        self._running: dict[int, tuple[BaseProcess, Connection]] = {}
        self._next = 0

    def start(self, loader: Loader, device: bool = False) -> int:
        """See Workers."""
        worker, self._next = self._next, self._next + 1
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=serve, args=(theirs, loader), name=f"facefit-{worker}", daemon=True)
        process.start()
        theirs.close()  # the worker's copy is the only one: its death closes the pipe
        self._running[worker] = process, ours
        return worker

    def submit(self, worker: int, call: str, *arguments: Any) -> None:
        """See Workers."""
        with contextlib.suppress(OSError):
            self._running[worker][1].send((call, arguments))

    def wait(self, timeout: float) -> list[Event]:
        """See Workers."""
        workers: dict[object, int] = {pipe: worker for worker, (_, pipe) in self._running.items()}
        if not workers:
            time.sleep(timeout)
            return []
        events = []
        for ready in connection.wait([pipe for _, pipe in self._running.values()], timeout):
            worker = workers[ready]
            try:
                kind, value = self._running[worker][1].recv()
                events.append(Event(worker, kind, value))
            except (EOFError, OSError):
                events.append(Event(worker, "died", self._burial(worker)))
        return events

    def kill(self, worker: int) -> None:
        """See Workers."""
        self._running[worker][0].kill()

    def close(self) -> None:
        """See Workers."""
        for process, pipe in self._running.values():
            process.kill()
            pipe.close()
        for process, _ in self._running.values():
            process.join(5)
        self._running.clear()

    def _burial(self, worker: int) -> str:
        process, pipe = self._running.pop(worker)
        pipe.close()
        process.join(5)
        code = process.exitcode
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                name = signal.Signals(-code).name
                hint = "; out of memory?" if name == "SIGKILL" else ""
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
