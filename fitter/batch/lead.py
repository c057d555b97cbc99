"""The lead of a batch: gives photos to workers and faces to devices, and every photo exactly one record.

On a CPU each worker (a *host*) does whole photos, on one thread: all cores are busy and none waits for another. With a
device, hosts prepare photos, one worker per device fits faces of many photos together, and the host that prepared a
photo finishes it. Where the workers live is not known here (`facefit.batch.workers.Workers`).

Nothing grows with the number of photos: at most `Plan.in_flight` of them are under way. A worker that dies costs the
photo that it was working on, after a second try; photos that it only kept are prepared again. Faces that shared a batch
with one that brought their worker down are fitted again, each alone. A worker that takes too long is ended, and its
photo tried once more as well: the worker may have been stopped. Where results cannot be kept, no more are given out.
"""

from __future__ import annotations

import itertools
import logging
import math
import pickle
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import ExitCode, FaceFitError, OutputError
from .blame import was_killed
from .manifest import Record
from .options import Failure, Halt
from .plan import Task
from .store import Store
from .workers import Event, Loader, Workers

logger = logging.getLogger(__name__)

TICK = 0.25  # seconds between two looks at the clock and at the user's wish to stop
LONGEST_PAUSE = 10.0  # seconds before another try to start a worker; the first tries follow sooner
AHEAD = 2  # batches that a device's worker has: one is fitted while the next arrives


@dataclass(frozen=True)
class Plan:
    """How the work is spread.

    Attributes:
        hosts: workers that prepare and finish, or do all of a photo.
        devices: workers that fit; 0: hosts do all of a photo.
        batch: faces that are fitted together.
        attempts: how often a photo is given to a worker before it fails for having brought it down.
        timeout: seconds that a photo may take in one step, with the way there and back, before its worker is ended.
        start_tries: workers that die one after another before any is ready: something is wrong with all of them.
    """

    hosts: int = 1
    devices: int = 0
    batch: int = 1
    attempts: int = 2
    timeout: float = math.inf
    start_tries: int = 3

    @property
    def in_flight(self) -> int:
        """Photos under way at most: one in each host; for each device the batches it has, and one that gathers."""
        return self.hosts + (AHEAD + 1) * self.batch * self.devices


class WorkerError(FaceFitError):
    """No worker can start. `exit_code`: that of the error which keeps them from it."""

    def __init__(self, text: str, exit_code: int = ExitCode.FIT_FAILED) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def halted(halt: Halt) -> OutputError:
    """A worker's word that results cannot be kept, as an exception."""
    return OutputError(halt.error)


@dataclass
class _Flight:
    """A photo under way: the host that has it, its deaths of hosts, and per face the fit and its seconds."""

    task: Task
    ticket: int
    deaths: int = 0
    host: int | None = None
    fits: list[bytes | None] | None = None
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class _Face:
    """An observed face on its way through a device. `deaths`: how many workers died while they had it."""

    ticket: int
    number: int
    data: bytes
    deaths: int = 0


@dataclass
class _Worker:
    """`place`: the number of its device, None for a host; `loader`: what it loads; `doing`: what its calls are about
    (a flight, or a list of faces), in their order; `finishing`: flights that it is to finish; `why`: it was ended for
    this."""

    place: int | None
    loader: Loader
    ready: bool = False
    doing: deque = field(default_factory=deque)
    finishing: deque[_Flight] = field(default_factory=deque)
    deadline: float = math.inf
    why: str | None = None


class Lead:
    """One run over the tasks of a plan.

    Args:
        workers: where processes are started. host: what hosts load, of several one after the other; devices: what the
            worker of each device loads.
        store: keeps the records. settings: of the records of photos whose worker died.
        stop: once it is set, the photos under way are finished and no more.
    Attributes:
        device_seconds: that the devices were busy, all together.
    """

    def __init__(
        self, plan: Plan, workers: Workers, host: Loader | Sequence[Loader], devices: Sequence[Loader], store: Store,
        settings: dict | None = None, stop: threading.Event | None = None,
    ) -> None:  # fmt: skip
        self.plan, self.workers, self.store, self.settings = plan, workers, store, settings or {}
        self.stop = stop or threading.Event()
        self.device_seconds = 0.0
        self._fitting: tuple[float, float] | None = None  # from the first batch to the last
        self._host_loaders = itertools.cycle(host if isinstance(host, Sequence) else (host,))
        self._device_loaders = devices
        self._staff: dict[int, _Worker] = {}
        self._flights: dict[int, _Flight] = {}  # by ticket, which is new whenever a photo is prepared again
        self._again: deque[_Flight] = deque()
        self._waiting: deque[_Face] = deque()
        self._alone: deque[_Face] = deque()  # one of them brought a device's worker down
        self._tickets = itertools.count()
        self._source: Iterator[Task] | None = None
        self._failed_starts = 0
        self._halt: Halt | None = None
        self._to_start: list[tuple[float, int | None, Loader]] = []  # when, and what for

    def run(self, tasks: Iterable[Task]) -> Iterator[Record]:
        """Do the tasks; yields each record once it is kept, in the order in which photos are done.

        Raises:
            WorkerError: no worker can start. OutputError: a result or a record cannot be kept; what was under way and
            could be, is. A failed photo raises nothing.
        """
        self._source = iter(tasks)
        try:
            for place in (*[None] * self.plan.hosts, *range(self.plan.devices)):
                self._start(place)
            while True:
                self._give_out()
                if not self._flights and (self._source is None or self._stopping):
                    if self._halt is not None:
                        raise halted(self._halt)
                    return
                for event in self.workers.wait(TICK):
                    yield from self._hear(event)
                self._look_at_the_clock()
        finally:
            self.workers.close()
            if (busy := self.device_share()) is not None:
                logger.info("devices were busy %.0f %% of the time from the first batch to the last", 100 * busy)

    def device_share(self) -> float | None:
        """How much of the time between the first batch and the last the devices were busy; None without any."""
        if self._fitting is None or self._fitting[1] <= self._fitting[0]:
            return None
        return self.device_seconds / (self.plan.devices * (self._fitting[1] - self._fitting[0]))

    @property
    def _stopping(self) -> bool:
        return self.stop.is_set() or self._halt is not None

    def _start(self, place: int | None, loader: Loader | None = None) -> None:
        """A worker; one that takes the place of another one loads the same."""
        loader = loader or (next(self._host_loaders) if place is None else self._device_loaders[place])
        self._staff[self.workers.start(loader, device=place is not None)] = _Worker(place, loader)

    # what to do next

    def _give_out(self) -> None:
        for worker, state in self._staff.items():
            if state.place is None and state.ready and not state.doing:
                self._employ(worker, state)
        for worker, state in self._staff.items():
            if state.place is not None and state.ready:
                while faces := self._next_faces(state):
                    self._fitting = self._fitting or (time.monotonic(), 0.0)
                    self._submit(worker, faces, "fit", [face.data for face in faces])

    def _employ(self, worker: int, state: _Worker) -> None:
        if state.finishing:
            done = state.finishing.popleft()
            self._submit(worker, done, "finish", done.ticket, done.fits, done.seconds)
        elif (flight := self._next_flight()) is not None:
            flight.host = worker
            if self.plan.devices:
                self._submit(worker, flight, "prepare", flight.ticket, flight.task)
            else:
                self._submit(worker, flight, "whole", flight.task)

    def _submit(self, worker: int, what: _Flight | list[_Face], call: str, *arguments: Any) -> None:
        state = self._staff[worker]
        state.doing.append(what)
        if len(state.doing) == 1:
            self._set_deadline(state)
        self.workers.submit(worker, call, *arguments)

    def _next_flight(self) -> _Flight | None:
        if self._again:
            return self._again.popleft()
        if self._source is None or self._stopping or len(self._flights) >= self.plan.in_flight:
            return None
        task = next(self._source, None)
        if task is None:
            self._source = None
            return None
        return self._board(_Flight(task, next(self._tickets)))

    def _board(self, flight: _Flight) -> _Flight:
        self._flights[flight.ticket] = flight
        return flight

    def _next_faces(self, state: _Worker) -> list[_Face]:
        """The next batch for a device: a full one, or what there is when no more can come."""
        if self._alone:
            return [self._alone.popleft()] if not state.doing else []
        if len(state.doing) >= AHEAD or not self._waiting:
            return []
        if len(self._waiting) < self.plan.batch and self._more_to_come():
            return []
        return [self._waiting.popleft() for _ in range(min(self.plan.batch, len(self._waiting)))]

    def _more_to_come(self) -> bool:
        if any(flight.fits is None for flight in self._flights.values()):
            return True
        return self._source is not None and not self._stopping and len(self._flights) < self.plan.in_flight

    # what workers say

    def _hear(self, event: Event) -> Iterator[Record]:
        state = self._staff.get(event.worker)
        if state is None:
            return
        if event.kind == "ready":
            state.ready, self._failed_starts = True, 0
        elif event.kind == "broken":
            del self._staff[event.worker]
            exit_code, how = event.value
            self._lost_before_ready(state, how, exit_code, hopeless=True)
        elif event.kind == "died":
            del self._staff[event.worker]
            yield from self._bury(event.worker, state, event.value)
        else:
            what = state.doing.popleft()
            self._set_deadline(state)
            if isinstance(event.value, Halt):
                self._halt = self._halt or event.value
                del self._flights[what.ticket]
            elif state.place is not None:
                self._fitted(what, *event.value)
            elif isinstance(event.value, Record):
                yield self._done(what, event.value, self.store.workers_remember)
            else:
                what.fits, what.seconds = [None] * len(event.value), [0.0] * len(event.value)
                self._waiting += [_Face(what.ticket, number, data) for number, data in enumerate(event.value)]

    def _fitted(self, faces: list[_Face], fits: list[bytes], seconds: float) -> None:
        self.device_seconds += seconds
        now = time.monotonic()
        self._fitting = (self._fitting or (now, now))[0], now
        for face, fit in zip(faces, fits, strict=True):
            flight = self._flights.get(face.ticket)
            if flight is None or flight.fits is None or flight.host is None:
                continue  # its host died meanwhile, and it is prepared again under another ticket
            flight.fits[face.number], flight.seconds[face.number] = fit, seconds / len(faces)
            if None not in flight.fits:
                self._staff[flight.host].finishing.append(flight)

    def _done(self, flight: _Flight, record: Record, kept: bool = False) -> Record:
        del self._flights[flight.ticket]
        if not kept:
            self.store.remember(record)
        return record

    # what can go wrong

    def _bury(self, worker: int, state: _Worker, how: str) -> Iterator[Record]:
        how = state.why or how
        if not state.ready:
            self._lost_before_ready(state, how, 5, hopeless=False)
            return
        logger.info("worker %d: %s", worker, how)
        if state.place is not None:
            self._bury_device(state, how)
        else:
            for flight in [flight for flight in self._flights.values() if flight.host == worker]:
                flight.deaths += flight in state.doing
                if flight.deaths >= self.plan.attempts:
                    task = flight.task
                    yield self._done(flight, Record(
                        task.key, task.bytes, task.modified, "failed", 5, how, settings=self.settings,
                        final=bool(state.why) or not was_killed(how), photos=task.names,
                    ))  # fmt: skip
                else:
                    del self._flights[flight.ticket]
                    self._again.append(self._board(_Flight(flight.task, next(self._tickets), flight.deaths)))
            self._waiting = deque(face for face in self._waiting if face.ticket in self._flights)
            self._alone = deque(face for face in self._alone if face.ticket in self._flights)
        self._start(state.place, state.loader)

    def _bury_device(self, state: _Worker, how: str) -> None:
        if not state.doing:
            return
        suspects = [replace(face, deaths=face.deaths + 1) for face in state.doing.popleft()]
        for faces in reversed(state.doing):
            self._waiting.extendleft(reversed(faces))
        if len(suspects) == 1 and suspects[0].deaths >= self.plan.attempts:
            final = bool(state.why) or not was_killed(how)
            self._fitted(suspects, [pickle.dumps(Failure(5, how, final))], 0.0)
        else:
            self._alone += suspects

    def _lost_before_ready(self, state: _Worker, how: str, exit_code: int, hopeless: bool) -> None:
        """A worker could not start. It is tried again after a while: a machine that is leaving a cluster takes some
        starts with it. While others of its kind work, without end."""
        self._failed_starts += 1
        alike = [other for other in self._staff.values() if (other.place is None) == (state.place is None)]
        if not any(other.ready for other in alike) and (hopeless or self._failed_starts >= self.plan.start_tries):
            raise WorkerError(how, exit_code)
        logger.info("a worker could not start: %s", how)
        pause = min(LONGEST_PAUSE, TICK * 2 ** (self._failed_starts - 1))
        self._to_start.append((time.monotonic() + pause, state.place, state.loader))

    def _set_deadline(self, state: _Worker) -> None:
        photos = len(state.doing[0]) if state.doing and state.place is not None else 1
        state.deadline = time.monotonic() + self.plan.timeout * photos if state.doing else math.inf

    def _look_at_the_clock(self) -> None:
        now = time.monotonic()
        for worker, state in self._staff.items():
            if now > state.deadline and state.why is None:
                state.why = f"took longer than {self.plan.timeout:g} s"
                self.workers.kill(worker)
        for due in [entry for entry in self._to_start if entry[0] <= now]:
            self._to_start.remove(due)
            self._start(*due[1:])
