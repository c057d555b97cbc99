"""minimize: gradient descent with Adam over Parameters. The only loop of a fit."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fitter.config import Stage, Steps
from fitter.errors import FitError
from fitter.parallel import only_kernels
from fitter.parameters import Parameters

logger = logging.getLogger(__name__)

Energy = Callable[[Parameters, int], dict[str, Tensor]]
Report = Callable[[int, dict[str, float]], None]
BETAS = (0.9, 0.99)  # a fit is short: 0.999 would average over ten times its length


@dataclass(frozen=True)
class Minimum:
    """What a run found.

    Attributes:
        parameters: the best iterate of each face. energies: its weighted terms, name -> (B,); total: (B,).
        iterations: how many were done. status: per face, "converged" or "budget".
        trace: one dict of iteration number and the first face's terms per iteration.
    """

    parameters: Parameters
    energies: dict[str, Tensor]
    total: Tensor
    iterations: int
    status: tuple[str, ...]
    trace: tuple[dict, ...]


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
    """Minimise the sum of weighted energy terms of B faces, each on its own.

    Args:
        energy: (parameters, iteration) -> name -> (B,) weighted terms; faces must not interact.
        start: the first iterate.
        activation: expression coefficients are projected onto [0, 1] after each step.
        max_seconds: wall time; the iteration under way is finished.
        report: called with the iteration and the first face's terms.
    Returns:
        The best iterate of each face. A face that has converged keeps its best from then on, whatever its neighbours
        do.
    Raises:
        FitError: a term is NaN or infinite (the message names it).
    """
    layout = {name: value.shape[1:] for name, value in start.tensors().items()}
    # all parameters side by side: what is done to each of them is done once
    values = torch.cat([value.detach().flatten(1) for value in start.tensors().values()], 1).requires_grad_(True)
    rates = torch.cat([values.new_full((shape.numel(),), getattr(steps, name)) for name, shape in layout.items()])
    adam = Adam(values, rates)
    batch, device = start.batch, start.identity.device
    best, best_terms = values.detach().clone(), torch.empty(0, batch, device=device)
    best_total = torch.full((batch,), math.inf, device=device)
    record = best_total.clone()  # the value that progress is measured from
    waited = torch.zeros(batch, dtype=torch.long, device=device)
    trace: list[dict] = []
    began, done = time.perf_counter(), 0
    for iteration in range(stage.iterations + 1):
        terms = energy(_split(values, layout), iteration)
        total = sum(terms.values())
        stacked = torch.stack([value.detach() for value in terms.values()])  # (T, B)
        if not torch.isfinite(stacked).all():
            wrong = [name for name, value in terms.items() if not torch.isfinite(value).all()]
            raise FitError(f"iteration {iteration}: the {' and '.join(wrong)} energy is not a finite number")
        running = waited < stage.patience
        better = running & (total.detach() < best_total)
        best = torch.where(better[:, None], values.detach(), best)
        best_terms = torch.where(better, stacked, best_terms) if iteration else stacked
        best_total = torch.where(better, total.detach(), best_total)
        progressed = total.detach() < record - stage.tolerance * record.abs().clamp_max(1e30)
        # a face that has stopped stays so, or it would find out that its neighbours go on
        progressed = running & (progressed | torch.isinf(record))
        record = torch.where(progressed, total.detach(), record)
        waited = torch.where(progressed, 0, waited + running.long())
        first = dict(zip(terms, stacked[:, 0].tolist(), strict=True))
        trace.append({"iteration": iteration, **first})
        if report is not None:
            report(iteration, first)
        done = iteration
        if iteration == stage.iterations or bool((waited >= stage.patience).all()):
            break
        if time.perf_counter() - began > max_seconds:
            logger.info("stopped after %d iterations: %.1f s are used up", iteration, max_seconds)
            break
        decay = stage.final_step + (1 - stage.final_step) * 0.5 * (1 + math.cos(math.pi * iteration / stage.iterations))
        (slope,) = torch.autograd.grad(total.sum(), values)
        with torch.no_grad():
            adam.step(slope, decay)
            if activation:
                _split(values, layout).expression.clamp_(0, 1)
    status = tuple("converged" if w >= stage.patience else "budget" for w in waited.tolist())
    names = dict(zip(terms, best_terms.unbind(), strict=True))
    return Minimum(_split(best, layout), names, best_total, done, status, tuple(trace))


class Adam:
    """Steps on `values` (B, N) in place. torch.optim has the same, and 1.3 s of imports and a launch per parameter.

    Source: Kingma and Ba 2015, algorithm 1.
    """

    def __init__(self, values: Tensor, rates: Tensor, epsilon: float = 1e-8) -> None:
        """rates: (N,) step of each value; epsilon keeps a value without slope where it is."""
        self.values, self.rates, self.epsilon, self.count = values, rates, epsilon, 0
        self.mean, self.square = torch.zeros_like(values), torch.zeros_like(values)

    @torch.no_grad()
    def step(self, slope: Tensor, scale: float = 1.0) -> None:
        """Against the `slope` (B, N), by the rates times `scale`."""
        self.count += 1
        self.mean.lerp_(slope, 1 - BETAS[0])
        self.square.mul_(BETAS[1]).addcmul_(slope, slope, value=1 - BETAS[1])
        length = (self.square / (1 - BETAS[1] ** self.count)).sqrt_().add_(self.epsilon)
        self.values.sub_(self.mean / length * (self.rates * (scale / (1 - BETAS[0] ** self.count))))


def _split(values: Tensor, layout: dict[str, torch.Size]) -> Parameters:
    """(B, N) -> Parameters, as views."""
    parts = values.split([shape.numel() for shape in layout.values()], 1)
    named = zip(layout.items(), parts, strict=True)
    return Parameters(**{name: part.reshape(len(values), *shape) for (name, shape), part in named})
