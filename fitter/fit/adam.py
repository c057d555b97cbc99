"""Adam with a learning rate for each group of parameters, and how the rates fall."""

from __future__ import annotations

import math

import torch
from torch import Tensor

BETAS = (0.9, 0.99)  # a fit is short: 0.999 would average over ten times its length


class Adam:
    """Steps on `values` (B, N) in place. torch.optim has the same, and 1.3 s of imports and a launch per parameter.

    Source: Kingma and Ba 2015, algorithm 1.
    """

    def __init__(self, values: Tensor, rates: Tensor, epsilon: float = 1e-8) -> None:
        """rates: (N,) step of each value; epsilon keeps a value without slope where it is."""
        self.values, self.rates, self.epsilon, self.count = values, rates, epsilon, 0
        self.mean, self.square = torch.zeros_like(values), torch.zeros_like(values)

    @torch.no_grad()
    def step(self, slope: Tensor, scale: float = 1.0, rows: Tensor | None = None) -> None:
        """Against the `slope` (B, N), by the rates times `scale`; with `rows` (B,) bool only those move."""
        self.count += 1
        self.mean.lerp_(slope, 1 - BETAS[0])
        self.square.mul_(BETAS[1]).addcmul_(slope, slope, value=1 - BETAS[1])
        length = (self.square / (1 - BETAS[1] ** self.count)).sqrt_().add_(self.epsilon)
        move = self.mean / length * (self.rates * (scale / (1 - BETAS[0] ** self.count)))
        self.values.sub_(move if rows is None else torch.where(rows[:, None], move, 0.0))


def cosine_decay(last: float, iteration: int, steps: int) -> float:
    """What the steps of an iteration are multiplied by: from 1 to `last` over so many steps, along half a cosine."""
    return last + (1 - last) * 0.5 * (1 + math.cos(math.pi * iteration / steps))
