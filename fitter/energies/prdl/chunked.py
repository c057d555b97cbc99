"""PRDL in plain torch on any device: every anchor against every point, some anchors at a time to bound the memory.

It is what a device without a kernel of its own runs, and the twin that `prdl_cpu` and `prdl_triton` are tested against.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .contract import PrdlTargets


def anchor_grid(size: int, like: Tensor) -> Tensor:
    """(S * S, 2) pixel centres, row by row."""
    line = torch.arange(size, dtype=like.dtype, device=like.device) + 0.5
    row, column = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([column, row], -1).reshape(-1, 2)


class PrdlChunked(torch.autograd.Function):
    """(N, 2) points -> (B * 8,) energies in plain torch on any device, over the full grid, with bounded memory."""

    CHUNK = 1 << 25  # distances held at a time: 128 MB in float32

    @staticmethod
    def forward(
        ctx, points: Tensor, offset: Tensor, targets: PrdlTargets, wanted: tuple[bool, ...], huber: float = math.inf
    ) -> Tensor:
        """Energies, and their gradient for `backward` in the same pass.

        Args:
            points: (N, 2) window pixels; offset: (B * 8 + 1,) as in PrdlSelection.
            targets: PrdlTargets of the B faces.
            wanted: least, greatest, mean (STATISTICS). huber: pixels, as in facefit.energies.prdl.prdl.prdl_energy.
        Returns:
            (B * 8,) pixel^2; 0 for a part without points or target.
        """
        size = targets.size
        anchors = anchor_grid(size, points)
        descriptors = targets.descriptors.reshape(-1, 3, size * size).to(points.dtype)
        present = (targets.count.reshape(-1) > 0).tolist()
        energies, gradient = points.new_zeros(len(present)), torch.zeros_like(points)
        bounds = offset.tolist()
        for part, (start, stop) in enumerate(zip(bounds[:-1], bounds[1:], strict=True)):
            if stop == start or not present[part]:
                continue
            members, slope = points[start:stop], gradient[start:stop]
            step = max(1, PrdlChunked.CHUNK // (stop - start))
            for first in range(0, size * size, step):
                chunk = slice(first, first + step)
                energies[part] += _chunk(anchors[chunk], members, descriptors[part, :, chunk], wanted, slope, huber)
        scale = 1.0 / (size * size)
        ctx.save_for_backward(gradient * scale)
        ctx.bounds = bounds
        return energies * scale

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        """(B * 8,) gradient of the energies -> (N, 2) that of the points, per pixel."""
        (gradient,) = ctx.saved_tensors
        counts = torch.tensor(ctx.bounds, device=grad.device).diff()
        return gradient * grad.repeat_interleave(counts)[:, None], None, None, None, None


def _chunk(
    anchors: Tensor, members: Tensor, wanted_value: Tensor, wanted: tuple[bool, ...], slope: Tensor, huber: float
) -> Tensor:
    """Energy of some anchors; adds its gradient to `slope` (n, 2)."""
    distance = torch.cdist(anchors, members, compute_mode="donot_use_mm_for_euclid_dist")
    energy = distance.new_zeros(())
    for number, choose in ((0, torch.min), (1, torch.max)):
        if wanted[number]:
            value, index = choose(distance, 1)
            residual = value - wanted_value[number]
            inner = residual.clamp(-huber, huber)
            energy = energy + (inner * (2 * residual - inner)).sum()
            # distance 0 has no direction; its subgradient is taken as 0, as torch.cdist does
            factor = torch.where(value > 0, 2 * inner / value, 0.0)
            slope.index_add_(0, index, factor[:, None] * (members[index] - anchors))
    if wanted[2]:
        residual = distance.mean(1) - wanted_value[2]
        inner = residual.clamp(-huber, huber)
        energy = energy + (inner * (2 * residual - inner)).sum()
        factor = torch.where(distance > 0, (2 * inner / len(members))[:, None] / distance, 0.0)
        slope += members * factor.sum(0)[:, None] - factor.T @ anchors
    return energy
