"""Who makes the pictures of a data set: processes of this machine, or actors of a Ray cluster."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol

Job = tuple[int, int]  # person and photo
Make = Callable[[int, int], None]  # writes one picture
Ready = Callable[[], Make]  # made ready in each worker, once


class Pool(Protocol):
    """Workers.

    Attributes:
        workers: how many.
        died: what `result` of a job raises when its worker has died.
    """

    workers: int
    died: tuple[type[Exception], ...]

    def submit(self, job: Job) -> Future:
        """Under way; its result is None."""
        ...

    def close(self) -> None:
        """End them; what has not begun is not done."""
        ...


class ProcessPool:
    """Processes of this machine. See Pool."""

    died: tuple[type[Exception], ...] = (BrokenProcessPool,)

    def __init__(self, ready: Ready, workers: int) -> None:
        self.workers = workers
        context = multiprocessing.get_context("spawn")  # not forked: this process may have threads
        self._pool = ProcessPoolExecutor(workers, context, _begin, (ready,))

    def submit(self, job: Job) -> Future:
        """See Pool."""
        return self._pool.submit(_make, job)

    def close(self) -> None:
        """See Pool."""
        self._pool.shutdown(cancel_futures=True)


_MAKE: list[Make] = []  # of a worker process


def _begin(ready: Ready) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the leading process is told, and lets its workers end
    _MAKE[:] = [_alone(ready)]


def _make(job: Job) -> None:
    _MAKE[0](*job)


def _alone(ready: Ready) -> Make:
    """A worker has one thread: there is a worker for each core."""
    import torch

    torch.set_num_threads(1)
    return ready()


class RayPool:
    """Actors of a Ray cluster, jobs dealt out in turn. See Pool.

    All machines see the data set's folder under the same path, and have facefit.
    """

    def __init__(self, ray: Any, ready: Ready, workers: int, path: str) -> None:
        """`ray`: the module, connected. `path`: PYTHONPATH of the actors."""
        self.workers = workers
        self.died: tuple[type[Exception], ...] = (ray.exceptions.RayActorError,)
        self._ray, self._turn = ray, 0
        kind = ray.remote(_Actor).options(
            num_cpus=1, scheduling_strategy="SPREAD", max_restarts=0, runtime_env={"env_vars": {"PYTHONPATH": path}}
        )
        self._actors = [kind.remote(ready) for _ in range(workers)]

    def submit(self, job: Job) -> Future:
        """See Pool."""
        actor = self._actors[self._turn % self.workers]
        self._turn += 1
        return actor.make.remote(job).future()

    def close(self) -> None:
        """See Pool. The cluster stays."""
        for actor in self._actors:
            self._ray.kill(actor)


class _Actor:
    """What runs on the cluster."""

    def __init__(self, ready: Ready) -> None:
        self.work = _alone(ready)

    def make(self, job: Job) -> None:
        """One picture."""
        self.work(*job)
