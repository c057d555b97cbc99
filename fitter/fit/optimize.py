"""minimize: gradient descent with Adam over Parameters. The only loop of a fit.

All faces of a batch take their steps together, and each is on its own: it has its own best iterate, its own patience
and its own clock, fails alone, and leaves the batch when it has stopped (the tensors shrink). Whatever the neighbours
do, its iterates are the same.

The one thing that company could change is time. The rule: an iteration costs each face that is still fitted an equal
share of the seconds it took, and a face whose share exceeds the budget stops after the iteration under way. A face then
gets about as many iterations in company as alone; how many exactly depends on the machine, so its status is "seconds".
Every other status ("converged", "budget", "failed") is reached at the same iteration in any company.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor

from ..compute.mailbox import Mailbox, device_index
from ..compute.threads import only_kernels
from ..scene.parameters import Parameters
from .adam import Adam, cosine_decay
from .config import Stage, Steps

T = TypeVar("T")

Energy = Callable[[Parameters, int], dict[str, Tensor]]

Report = Callable[[int, dict[str, float]], None]

RUNNING, CONVERGED, FAILED = 0, 1, 2  # states of a face on the device

LEAVING_SHARE = 1 / 8  # of a batch on a GPU that must have stopped before it is worth shrinking


@dataclass(frozen=True)
class Minimum:
    """What a run found.

    Attributes:
        parameters: the best iterate of each face. energies: its weighted terms, name -> (B,); total: (B,).
        status: per face, "converged", "budget" (iterations used up), "seconds" (time used up) or "failed".
        failures: per face, what went wrong, or None.
        traces: per face, one dict of iteration number and terms per iteration.
        seconds: per face, its share of the wall time.
    """

    parameters: Parameters
    energies: dict[str, Tensor]
    total: Tensor
    status: tuple[str, ...]
    failures: tuple[str | None, ...]
    traces: tuple[tuple[dict, ...], ...]
    seconds: tuple[float, ...]

    def __getitem__(self, faces: Sequence[int]) -> Minimum:
        """Of some of the faces."""
        index = device_index(faces, self.total.device)
        energies = {name: value[index] for name, value in self.energies.items()}
        return Minimum(
            self.parameters[index],
            energies,
            self.total[index],
            status=_picked(self.status, faces),
            failures=_picked(self.failures, faces),
            traces=_picked(self.traces, faces),
            seconds=_picked(self.seconds, faces),
        )

    @property
    def trace(self) -> tuple[dict, ...]:
        """Of the first face."""
        return self.traces[0]

    @property
    def iterations(self) -> int:
        """Of the face that took most."""
        return max((len(trace) for trace in self.traces), default=1) - 1


def _picked(values: tuple[T, ...], faces: Sequence[int]) -> tuple[T, ...]:
    return tuple(values[face] for face in faces)


@only_kernels()
def minimize(
    energy: Energy,
    start: Parameters,
    stage: Stage,
    steps: Steps,
    *,
    activation: bool,
    max_seconds: float = math.inf,
    report: Report | None = None,
) -> Minimum:
    """Minimise the sum of an energy's terms for every face of a batch at once.

    Args:
        energy: parameters and iteration -> weighted (B,) terms; faces must not interact. If it has a method
            `keep(index)`, it is called with the places of the faces that go on and returns the energy of those alone;
            without one, faces that have stopped stay in the batch, at rest. An attribute `jump` (B,), if it is not
            None, is by how much the energy of the same parameters is another one since the last call: what was best is
            then compared as if it had been measured by the new one.
        start: the first iterate. stage: iterations, patience and tolerance; steps: of each parameter, in its unit.
        activation: expression coefficients are projected onto [0, 1] after each step.
        max_seconds: of wall time for each face; see the module for what that means in company.
        report: called with the iteration and the terms of the first face that is still fitted.
    Returns:
        The best iterate of each face. A face whose energy is not a finite number has failed and says which term it was.
    """
    layout = {name: value.shape[1:] for name, value in start.tensors().items()}
    values = torch.cat([value.detach().flatten(1) for value in start.tensors().values()], 1)
    rates = torch.cat([values.new_full((shape.numel(),), getattr(steps, name)) for name, shape in layout.items()])
    batch, results = _Batch(values, rates, stage), _Results(values)
    books, members = [_Book() for _ in range(start.batch)], list(range(start.batch))
    mail, clock = Mailbox(values.device), time.perf_counter()
    names: tuple[str, ...] = ()
    for iteration in range(stage.iterations + 1 if members else 0):
        terms = energy(_split(batch.values, layout), iteration)
        jump: Tensor | None = getattr(energy, "jump", None)
        if jump is not None:
            batch.rebase(jump)
        names, total = tuple(terms), functools.reduce(torch.add, terms.values())
        mail.post((iteration, members), batch.judge(total.detach(), torch.stack([t.detach() for t in terms.values()])))
        last = iteration == stage.iterations
        for (when, whom), news in mail.arrived(wait=last):
            _write_down(books, when, whom, names, news.tolist(), report)
        running = [member for member in members if not books[member].status]
        now = time.perf_counter()
        for member in running:
            books[member].charge((now - clock) / len(running), max_seconds)
        clock = now
        staying = [place for place, member in enumerate(members) if not books[member].status]
        if last or not staying:
            break
        batch.descend(total, cosine_decay(stage.final_step, iteration, stage.iterations))
        if activation:
            with torch.no_grad():
                _split(batch.values, layout).expression.clamp_(0, 1)
        if hasattr(energy, "keep") and _worth_shrinking(len(staying), len(members), values.device, books):
            results.store(batch, members)
            members = [members[place] for place in staying]
            batch, energy = batch.keep(staying), energy.keep(staying)
    for (when, whom), news in mail.arrived(wait=True):
        _write_down(books, when, whom, names, news.tolist(), report)
    results.store(batch, members)
    return Minimum(
        parameters=_split(results.values, layout),
        energies=dict(zip(names, results.terms.unbind(), strict=True)),
        total=torch.where(torch.isfinite(results.total), results.terms.sum(0), results.total),  # without jumps
        status=tuple(book.status or "budget" for book in books),
        failures=tuple(book.failure for book in books),
        traces=tuple(tuple(book.trace) for book in books),
        seconds=tuple(book.seconds for book in books),
    )


class _Batch:
    """The faces that are still fitted: their iterates, and for each its best one and how long it has waited. Nothing
    in here asks the device for a number."""

    def __init__(self, values: Tensor, rates: Tensor, stage: Stage) -> None:
        self.stage = stage
        self.values = values.detach().clone().requires_grad_(True)  # (B, N), all parameters side by side
        self.adam = Adam(self.values, rates)
        self.best = values.detach().clone()
        self.best_terms: Tensor | None = None  # (T, B), from the first iteration on
        self.best_total = values.new_full((len(values),), math.inf)
        self.record = self.best_total.clone()  # the value that progress is measured from
        self.waited = values.new_zeros(len(values), dtype=torch.long)
        self.failed = values.new_zeros(len(values), dtype=torch.bool)
        self.running = ~self.failed

    def judge(self, total: Tensor, terms: Tensor) -> Tensor:
        """Take note of the energies (B,) and (T, B) at `values`. Returns (T + 1, B): the terms and the states."""
        finite = torch.isfinite(terms).all(0)
        self.failed = self.failed | (self.running & ~finite)
        running = self.running & finite
        better = running & (total < self.best_total)
        self.best = torch.where(better[:, None], self.values.detach(), self.best)
        self.best_terms = terms if self.best_terms is None else torch.where(better, terms, self.best_terms)
        self.best_total = torch.where(better, total, self.best_total)
        progressed = total < self.record - self.stage.tolerance * self.record.abs().clamp_max(1e30)
        # a face that has stopped stays so, or it would find out that its neighbours go on
        progressed = running & (progressed | torch.isinf(self.record))
        self.record = torch.where(progressed, total, self.record)
        self.waited = torch.where(progressed, 0, self.waited + running.long())
        converged = self.waited >= self.stage.patience
        self.running = running & ~converged
        state = torch.where(self.failed, FAILED, torch.where(converged, CONVERGED, RUNNING))
        return torch.cat([terms, state[None].to(terms.dtype)])

    def rebase(self, jump: Tensor) -> None:
        """The energy has become another one, (B,) more at the same values."""
        self.best_total, self.record = self.best_total + jump, self.record + jump

    def descend(self, total: Tensor, scale: float) -> None:
        """One step of the faces that run."""
        (slope,) = torch.autograd.grad(total.sum(), self.values)
        self.adam.step(slope, scale, self.running)

    def keep(self, places: Sequence[int]) -> _Batch:
        """The faces at these places alone."""
        index = device_index(places, self.values.device)
        kept = _Batch(self.values.detach()[index], self.adam.rates, self.stage)
        kept.adam.count = self.adam.count
        kept.adam.mean, kept.adam.square = self.adam.mean[index], self.adam.square[index]
        for name in ("best", "best_total", "record", "waited", "failed", "running"):
            setattr(kept, name, getattr(self, name)[index])
        kept.best_terms = None if self.best_terms is None else self.best_terms[:, index]
        return kept


class _Results:
    """What was found for each face of the whole batch."""

    def __init__(self, values: Tensor) -> None:
        self.values, self.total = values.detach().clone(), values.new_full((len(values),), math.inf)
        self.terms = values.new_zeros(0, len(values))

    def store(self, batch: _Batch, members: Sequence[int]) -> None:
        """The best iterates of the faces `members`; those that go on are stored once more at the end."""
        if batch.best_terms is None:
            return
        index = device_index(members, self.values.device)
        if len(self.terms) != len(batch.best_terms):
            self.terms = self.values.new_zeros(len(batch.best_terms), len(self.values))
        self.values[index], self.total[index] = batch.best, batch.best_total
        self.terms[:, index] = batch.best_terms


@dataclass
class _Book:
    """What the host knows of one face."""

    trace: list[dict] = field(default_factory=list)
    status: str = ""
    failure: str | None = None
    seconds: float = 0.0

    def charge(self, seconds: float, budget: float) -> None:
        self.seconds += seconds
        if self.seconds > budget:
            self.status = "seconds"


def _write_down(
    books: list[_Book], iteration: int, members: Sequence[int], names: Sequence[str], news: list[list[float]],
    report: Report | None,
) -> None:  # fmt: skip
    """Enter the letter of one iteration, (T + 1) x B numbers, into the books of the faces that were in it."""
    *terms, states = news
    running = [(place, books[member]) for place, member in enumerate(members) if not books[member].status]
    for place, book in running:
        values = {name: term[place] for name, term in zip(names, terms, strict=True)}
        book.trace.append({"iteration": iteration, **values})
        if states[place] == FAILED:
            wrong = [name for name, value in values.items() if not math.isfinite(value)]
            book.status = "failed"
            book.failure = f"iteration {iteration}: the {' and '.join(wrong)} energy is not a finite number"
        elif states[place] == CONVERGED:
            book.status = "converged"
    if report is not None and running:
        report(iteration, {name: value for name, value in running[0][1].trace[-1].items() if name != "iteration"})


def _worth_shrinking(staying: int, members: int, device: torch.device, books: Sequence[_Book]) -> bool:
    """A CPU does less work for each face that leaves; on a GPU copying the batch for every single one costs more."""
    leaving = members - staying
    if leaving == 0 or device.type == "cpu":
        return leaving > 0
    return leaving >= LEAVING_SHARE * members or any(book.status == "seconds" for book in books)


def _split(values: Tensor, layout: dict[str, torch.Size]) -> Parameters:
    """(B, N) -> Parameters, as views."""
    parts = values.split([shape.numel() for shape in layout.values()], 1)
    named = zip(layout.items(), parts, strict=True)
    return Parameters(**{name: part.reshape(len(values), *shape) for (name, shape), part in named})
