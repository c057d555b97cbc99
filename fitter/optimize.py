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
    values = {name: value.detach().clone().requires_grad_(True) for name, value in start.tensors().items()}
    rates = {name: getattr(steps, name) for name in values}
    groups = [{"params": [value], "lr": rates[name], "base": rates[name]} for name, value in values.items()]
    adam = torch.optim.Adam(groups, betas=BETAS, foreach=True)
    batch, device = start.batch, start.identity.device
    best = start.detach()
    best_total = torch.full((batch,), math.inf, device=device)
    best_terms: dict[str, Tensor] = {}
    record = best_total.clone()  # the value that progress is measured from
    waited = torch.zeros(batch, dtype=torch.long, device=device)
    trace: list[dict] = []
    began, done = time.perf_counter(), 0
    for iteration in range(stage.iterations + 1):
        terms = energy(Parameters(**values), iteration)
        total = sum(terms.values())
        stacked = torch.stack([value.detach() for value in terms.values()])  # (T, B)
        if not torch.isfinite(stacked).all():
            wrong = [name for name, value in terms.items() if not torch.isfinite(value).all()]
            raise FitError(f"iteration {iteration}: the {' and '.join(wrong)} energy is not a finite number")
        running = waited < stage.patience
        better = running & (total.detach() < best_total)
        best = _where(better, Parameters(**values).detach(), best)
        best_terms = {n: torch.where(better, v.detach(), best_terms.get(n, v.detach())) for n, v in terms.items()}
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
        for group in adam.param_groups:
            group["lr"] = group["base"] * decay
        adam.zero_grad(set_to_none=True)
        total.sum().backward()
        adam.step()
        if activation:
            with torch.no_grad():
                values["expression"].clamp_(0, 1)
    status = tuple("converged" if w >= stage.patience else "budget" for w in waited.tolist())
    return Minimum(best, best_terms, best_total, done, status, tuple(trace))


def _where(choose: Tensor, a: Parameters, b: Parameters) -> Parameters:
    """Face by face: `a` where chosen, else `b`."""
    other = b.tensors()
    return Parameters(
        **{n: torch.where(choose.reshape(-1, *[1] * (v.ndim - 1)), v, other[n]) for n, v in a.tensors().items()}
    )
