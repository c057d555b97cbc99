"""Worker processes that attack: each is watched for its time, and replaced when it hangs or dies."""

from __future__ import annotations

import multiprocessing
import os
import time
import traceback
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from .areas import AREAS, attack
from .kit import Kit
from .watch import Outcome


@dataclass(frozen=True)
class Job:
    """One attack: its area and number."""

    area: str
    number: int


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    job: Job | None = None
    began: float = 0.0


def outcomes(jobs: Iterable[Job], seed: int, kit: Kit, workers: int, deadline: float) -> Iterator[tuple[Job, Outcome]]:
    """The outcome of each job that begins before the deadline (time.monotonic), as they come."""
    todo = deque(jobs)
    staff = [_start(seed, kit) for _ in range(workers)]
    try:
        while True:
            for worker in staff:
                if worker.job is None and todo and time.monotonic() < deadline:
                    worker.job, worker.began = todo.popleft(), time.monotonic()
                    worker.pipe.send(worker.job)
            busy = [worker for worker in staff if worker.job is not None]
            if not busy:
                return
            wait([worker.pipe for worker in busy], timeout=0.5)
            for worker in busy:
                outcome = _outcome(worker)
                if outcome is not None and worker.job is not None:
                    yield worker.job, outcome
                    worker.job = None
                    if not worker.process.is_alive():
                        staff[staff.index(worker)] = _start(seed, kit)
    finally:
        for worker in staff:
            worker.process.kill()
            worker.process.join()


def _outcome(worker: _Worker) -> Outcome | None:
    """What became of its job; None while it is under way. A worker that is lost is killed."""
    assert worker.job is not None
    lost = ""
    try:
        if worker.pipe.poll():
            return worker.pipe.recv()
    except (EOFError, OSError):
        worker.process.join(5)
        lost = f"the process died ({worker.process.exitcode})"
    patience = AREAS[worker.job.area].patience
    if time.monotonic() - worker.began > patience:
        lost = f"hangs: no answer in {patience:g} s"
    if not lost:
        return None
    worker.process.kill()
    worker.process.join()
    return Outcome((lost,))


def _start(seed: int, kit: Kit) -> _Worker:
    context = multiprocessing.get_context("fork")  # what was loaded is there
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, seed, kit))
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _serve(pipe: Connection, seed: int, kit: Kit) -> None:
    while True:
        try:
            job = pipe.recv()
        except (EOFError, OSError):
            os._exit(0)
        try:
            outcome, _ = attack(job.area, job.number, seed, kit)
        except Exception:  # a fault of the suite, or a result that cannot even be looked at
            outcome = Outcome((traceback.format_exc()[-1500:],))
        pipe.send(outcome)
