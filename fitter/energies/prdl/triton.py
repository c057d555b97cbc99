"""PRDL on a GPU: one pass over the points of a part for each tile of anchors, and never anchors x points in memory.

As on the CPU (facefit.energies.prdl.cpu) the structure of each statistic saves nearly all of the work:

* min and max: a tile of TILE x TILE anchors finds the points extreme for its middle, then looks again at the blocks of
  points of which any can be extreme for any of its anchors (the bisector bound of `prdl_cpu`). Points come sorted by
  place, so whole blocks drop out. Every anchor of the window is evaluated, exactly, with the index of its point; its
  pull on that point is added right there.
* mean: cells of CELL x CELL anchors stand for theirs by a distance sqrt(d^2 + e^2) (see `prdl_cpu`), held against the
  same quadrature of the target. The gradient is a second kernel over the points, which adds in a fixed order.

Energy and gradient are one call; autograd only scales. Nothing is read back by the host.

Work per face of 4,000 points, 224 x 224 anchors: 28 million point-anchor pairs for min and max instead of 200 million
each way, 2 x 2.7 million for the mean; read from memory: the targets (3.2 MB) and the points (docs/performance.md).
Twin: the definition, `prdl_chunked.PrdlChunked`. Pulls are added by atomics in float32, so the last bits of the
gradient differ from run to run.
"""

from __future__ import annotations

import functools
import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from ...anatomy.parts import PARTS
from .contract import PrdlTargets
from .cpu import CELL, NEVER

TILE = 16  # pixels; side of a tile of anchors
SCAN = 256  # points looked at together when a tile's extremes are sought
BLOCK = 16  # points that drop out together
CELLS, POINTS = 64, 64  # cells and points of a program of the mean
SLACK = 1e-2  # pixel^2, against rounding
COUNT = len(PARTS)


class PrdlTriton(torch.autograd.Function):
    """(B, P, 2) points, (B, 9) bounds, PrdlTargets, 3 flags, pixels -> (B, 8) energies in pixel^2.

    Part p of face b are its points bound[b, p] to bound[b, p + 1].
    """

    @staticmethod
    def forward(
        ctx, points: Tensor, bound: Tensor, targets: PrdlTargets, wanted: tuple[bool, ...], huber: float = math.inf
    ) -> Tensor:
        """Energies, and their gradient for `backward` in the same pass.

        Args:
            points: (B, P, 2) window pixels; bound: (B, 9) as in PrdlRows.
            targets: PrdlTargets of the B faces.
            wanted: least, greatest, mean (STATISTICS). huber: pixels, as in facefit.energies.prdl.prdl.prdl_energy.
        Returns:
            (B, 8) pixel^2; 0 for a part without points or target.
        """
        energy, gradient = energy_and_gradient(
            points.detach().float(), bound, targets.descriptors, targets.cell_mean, targets.count > 0, wanted, huber
        )
        ctx.save_for_backward(gradient, bound)
        return energy.to(points.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        """(B, 8) gradient of the energies -> (B, P, 2) that of the points, per pixel."""
        gradient, bound = ctx.saved_tensors
        place = torch.arange(gradient.shape[1], device=grad.device)
        part = torch.searchsorted(bound[:, 1:].contiguous(), place.expand(len(grad), -1).contiguous(), right=True)
        # points behind the last bound belong to no part; their gradient is 0
        scale = grad.gather(1, part.clamp_max(COUNT - 1))
        return (gradient * scale[..., None]).to(grad.dtype), None, None, None, None


def energy_and_gradient(
    points: Tensor,
    bound: Tensor,
    descriptors: Tensor,
    cell_mean: Tensor,
    present: Tensor,
    wanted: tuple[bool, ...],
    huber: float = math.inf,
) -> tuple[Tensor, Tensor]:
    """Energies (B, 8) in pixel^2 and their gradients (B, P, 2) in pixels.

    Args:
        points: (B, P, 2) float32 window pixels; bound: (B, 9) int32 as in PrdlRows.
        descriptors: (B, 8, 3, S, S) float32 pixels; cell_mean: (B, 8, G, G) float32 pixels, as in PrdlTargets.
        present: (B, 8) bool: the target is not empty.
        wanted: least, greatest, mean. huber: pixels, as in facefit.energies.prdl.prdl.prdl_energy.
    """
    limit = min(huber, NEVER)
    batch, count = points.shape[:2]
    size, cells = descriptors.shape[-1], cell_mean.shape[-1]
    points, bound = points.contiguous(), bound.to(torch.int32).contiguous()
    present = present.to(torch.int32).contiguous()
    gradient = torch.zeros_like(points)
    energies = []
    if wanted[2]:
        blocks = triton.cdiv(cells * cells, CELLS)
        partial = points.new_zeros(batch * COUNT, blocks)
        pull = points.new_empty(batch * COUNT, cells * cells)
        _mean[(batch * COUNT, blocks)](
            points, bound, present, cell_mean.contiguous(), pull, partial, count, size, cells, limit,
            CELL=CELL, CELLS=CELLS, POINTS=POINTS, PARTS=COUNT,
        )  # fmt: skip
        _mean_gradient[(batch * COUNT, triton.cdiv(count, POINTS))](
            points, bound, present, pull, gradient, count, size, cells,
            CELL=CELL, CELLS=CELLS, POINTS=POINTS, PARTS=COUNT,
        )  # fmt: skip
        energies.append(partial.sum(1))
    if wanted[0] or wanted[1]:
        across = triton.cdiv(size, TILE)
        partial = points.new_zeros(batch * COUNT, across * across)
        _extremes[(batch * COUNT, across * across)](
            points, bound, present, descriptors.contiguous(), gradient, partial, count, size, across, SLACK, limit,
            LEAST=wanted[0], GREATEST=wanted[1], TILE=TILE, SCAN=SCAN, BLOCK=BLOCK, PARTS=COUNT,
        )  # fmt: skip
        energies.append(partial.sum(1))
    scale = 1.0 / (size * size)
    return functools.reduce(torch.add, energies).reshape(batch, COUNT) * scale, gradient * scale


@triton.jit
def _extremes(
    points, bound, present, target, gradient, partial, count, size, across, slack, limit,
    LEAST: tl.constexpr, GREATEST: tl.constexpr, TILE: tl.constexpr, SCAN: tl.constexpr, BLOCK: tl.constexpr,
    PARTS: tl.constexpr,
):  # fmt: skip
    """One tile of anchors of one part: least and greatest distances, their energy, and the pull on their points."""
    part, tile = tl.program_id(0), tl.program_id(1)
    first = tl.load(bound + part // PARTS * (PARTS + 1) + part % PARTS)
    last = tl.load(bound + part // PARTS * (PARTS + 1) + part % PARTS + 1)
    if (last > first) & (tl.load(present + part) > 0):
        base = points + part // PARTS * count * 2
        row, column = tile // across * TILE, tile % across * TILE
        right, bottom = tl.minimum(column + TILE, size), tl.minimum(row + TILE, size)
        middle_x, middle_y = 0.5 * (column + right), 0.5 * (row + bottom)
        width, height = (right - column - 1).to(tl.float32), (bottom - row - 1).to(tl.float32)

        # which points are extreme for the middle
        lane = tl.arange(0, SCAN)
        near, far = tl.full([SCAN], float("inf"), tl.float32), tl.full([SCAN], -1.0, tl.float32)
        near_at, far_at = tl.zeros([SCAN], tl.int32), tl.zeros([SCAN], tl.int32)
        broken = tl.zeros([SCAN], tl.int32)
        for begin in range(first, last, SCAN):
            at = begin + lane
            inside = at < last
            x = tl.load(base + 2 * at, mask=inside, other=0.0)
            y = tl.load(base + 2 * at + 1, mask=inside, other=0.0)
            away = (x - middle_x) * (x - middle_x) + (y - middle_y) * (y - middle_y)
            broken |= (inside & ~(away < float("inf"))).to(tl.int32)
            closer, farther = inside & (away < near), inside & (away > far)
            near, near_at = tl.where(closer, away, near), tl.where(closer, at, near_at)
            far, far_at = tl.where(farther, away, far), tl.where(farther, at, far_at)
        least, greatest = tl.min(near, 0), tl.max(far, 0)
        nearest = tl.max(tl.where(near == least, near_at, first), 0)
        farthest = tl.max(tl.where(far == greatest, far_at, first), 0)
        near_x, near_y = tl.load(base + 2 * nearest), tl.load(base + 2 * nearest + 1)
        far_x, far_y = tl.load(base + 2 * farthest), tl.load(base + 2 * farthest + 1)

        # the anchors, against the blocks that hold a point which can be extreme for one of them
        anchor, lane = tl.arange(0, TILE * TILE), tl.arange(0, BLOCK)
        v, u = row + anchor // TILE, column + anchor % TILE
        ax, ay = u.to(tl.float32) + 0.5, v.to(tl.float32) + 0.5
        low, high = tl.full([TILE * TILE], float("inf"), tl.float32), tl.full([TILE * TILE], -1.0, tl.float32)
        low_at, high_at = tl.zeros([TILE * TILE], tl.int32), tl.zeros([TILE * TILE], tl.int32)
        for begin in range(first, last, BLOCK):
            at = begin + lane
            inside = at < last
            x = tl.load(base + 2 * at, mask=inside, other=0.0)
            y = tl.load(base + 2 * at + 1, mask=inside, other=0.0)
            away = (x - middle_x) * (x - middle_x) + (y - middle_y) * (y - middle_y)
            if LEAST:
                reach = least + slack + width * tl.abs(x - near_x) + height * tl.abs(y - near_y)
                if tl.max((inside & (away <= reach)).to(tl.int32), 0) > 0:
                    dx, dy = x[None, :] - ax[:, None], y[None, :] - ay[:, None]
                    found, place = tl.min(
                        tl.where(inside[None, :], dx * dx + dy * dy, float("inf")), 1, return_indices=True
                    )
                    better = found < low
                    low, low_at = tl.where(better, found, low), tl.where(better, begin + place, low_at)
            if GREATEST:
                reach = greatest - slack - width * tl.abs(x - far_x) - height * tl.abs(y - far_y)
                if tl.max((inside & (away >= reach)).to(tl.int32), 0) > 0:
                    dx, dy = x[None, :] - ax[:, None], y[None, :] - ay[:, None]
                    found, place = tl.max(tl.where(inside[None, :], dx * dx + dy * dy, -1.0), 1, return_indices=True)
                    better = found > high
                    high, high_at = tl.where(better, found, high), tl.where(better, begin + place, high_at)

        counts = (u < size) & (v < size)
        energy = tl.zeros([TILE * TILE], tl.float32)
        goal = target + part.to(tl.int64) * 3 * size * size + v * size + u  # thousands of faces have more than 2^31
        pulls = gradient + part // PARTS * count * 2
        if LEAST:
            distance = tl.sqrt(low)
            error = distance - tl.load(goal, mask=counts, other=0.0)
            inner = tl.minimum(tl.maximum(error, -limit), limit)
            energy += tl.where(counts, inner * (2.0 * error - inner), 0.0)
            # distance 0 has no direction; its subgradient is taken as 0, as torch.cdist does
            moves = counts & (low > 0) & (low < float("inf"))
            factor = 2.0 * inner / tl.where(moves, distance, 1.0)
            x = tl.load(base + 2 * low_at, mask=moves, other=0.0)
            y = tl.load(base + 2 * low_at + 1, mask=moves, other=0.0)
            tl.atomic_add(pulls + 2 * low_at, factor * (x - ax), mask=moves)
            tl.atomic_add(pulls + 2 * low_at + 1, factor * (y - ay), mask=moves)
        if GREATEST:
            distance = tl.sqrt(tl.maximum(high, 0.0))
            error = distance - tl.load(goal + size * size, mask=counts, other=0.0)
            inner = tl.minimum(tl.maximum(error, -limit), limit)
            energy += tl.where(counts, inner * (2.0 * error - inner), 0.0)
            moves = counts & (high > 0) & (high < float("inf"))
            factor = 2.0 * inner / tl.where(moves, distance, 1.0)
            x = tl.load(base + 2 * high_at, mask=moves, other=0.0)
            y = tl.load(base + 2 * high_at + 1, mask=moves, other=0.0)
            tl.atomic_add(pulls + 2 * high_at, factor * (x - ax), mask=moves)
            tl.atomic_add(pulls + 2 * high_at + 1, factor * (y - ay), mask=moves)
        total = tl.sum(energy, 0)
        total = tl.where(tl.max(broken, 0) > 0, float("nan"), total)
        tl.store(partial + part * across * across + tile, total)


@triton.jit
def _cell(index, size, cells, CELL: tl.constexpr):
    """Middle x and y, variance of its anchors along one axis, and number of anchors of coarse cells."""
    row, column = index // cells, index % cells
    width = tl.maximum(tl.minimum(CELL, size - column * CELL), 1).to(tl.float32)
    height = tl.maximum(tl.minimum(CELL, size - row * CELL), 1).to(tl.float32)
    softness = (width * width + height * height - 2.0) / 24.0
    x, y = (column * CELL).to(tl.float32) + 0.5 * width, (row * CELL).to(tl.float32) + 0.5 * height
    return x, y, softness, width * height


@triton.jit
def _mean(
    points, bound, present, target, pull, partial, count, size, cells, limit,
    CELL: tl.constexpr, CELLS: tl.constexpr, POINTS: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """Some cells of one part: the energy of their mean distances, and what each gives to the gradient."""
    part, block = tl.program_id(0), tl.program_id(1)
    first = tl.load(bound + part // PARTS * (PARTS + 1) + part % PARTS)
    last = tl.load(bound + part // PARTS * (PARTS + 1) + part % PARTS + 1)
    if (last > first) & (tl.load(present + part) > 0):
        base = points + part // PARTS * count * 2
        index, lane = block * CELLS + tl.arange(0, CELLS), tl.arange(0, POINTS)
        ax, ay, softness, weight = _cell(index, size, cells, CELL)
        counts = index < cells * cells
        total = tl.zeros([CELLS], tl.float32)
        for begin in range(first, last, POINTS):
            at = begin + lane
            inside = at < last
            x = tl.load(base + 2 * at, mask=inside, other=0.0)
            y = tl.load(base + 2 * at + 1, mask=inside, other=0.0)
            dx, dy = x[None, :] - ax[:, None], y[None, :] - ay[:, None]
            total += tl.sum(tl.where(inside[None, :], tl.sqrt(dx * dx + dy * dy + softness[:, None]), 0.0), 1)
        number = (last - first).to(tl.float32)
        error = total / number - tl.load(target + part * cells * cells + index, mask=counts, other=0.0)
        inner = tl.minimum(tl.maximum(error, -limit), limit)
        tl.store(pull + part * cells * cells + index, 2.0 * weight * inner / number, mask=counts)
        energy = tl.sum(tl.where(counts, weight * inner * (2.0 * error - inner), 0.0), 0)
        tl.store(partial + part * tl.num_programs(1) + block, energy)


@triton.jit
def _mean_gradient(
    points, bound, present, pull, gradient, count, size, cells,
    CELL: tl.constexpr, CELLS: tl.constexpr, POINTS: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """Some points of one part: the pull of all cells on them."""
    part, block = tl.program_id(0), tl.program_id(1)
    first = tl.load(bound + part // PARTS * (PARTS + 1) + part % PARTS)
    last = tl.load(bound + part // PARTS * (PARTS + 1) + part % PARTS + 1)
    begin = first + block * POINTS
    if (begin < last) & (tl.load(present + part) > 0):
        base = part // PARTS * count * 2
        at, lane = begin + tl.arange(0, POINTS), tl.arange(0, CELLS)
        inside = at < last
        x = tl.load(points + base + 2 * at, mask=inside, other=0.0)
        y = tl.load(points + base + 2 * at + 1, mask=inside, other=0.0)
        gx, gy = tl.zeros([POINTS], tl.float32), tl.zeros([POINTS], tl.float32)
        for start in range(0, cells * cells, CELLS):
            index = start + lane
            ax, ay, softness, _ = _cell(index, size, cells, CELL)
            strength = tl.load(pull + part * cells * cells + index, mask=index < cells * cells, other=0.0)
            dx, dy = x[:, None] - ax[None, :], y[:, None] - ay[None, :]
            factor = strength[None, :] / tl.sqrt(dx * dx + dy * dy + softness[None, :])
            gx += tl.sum(factor * dx, 1)
            gy += tl.sum(factor * dy, 1)
        tl.store(gradient + base + 2 * at, gx, mask=inside)
        tl.store(gradient + base + 2 * at + 1, gy, mask=inside)
