"""Farthest point sampling of many groups of points at once on a GPU; twin: facefit.energies.prdl.farthest_point."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024  # points looked at together


def farthest_of_rows(places: Tensor, bound: Tensor, wanted: Tensor) -> Tensor:
    """Of each group the points that lie as far from one another as possible.

    One program for each group; the host waits for nothing.

    Args:
        places: (B, P, 2) int32 from 0 to 2^15 - 1, so that squares fit; each group sorted by y, then x (ties go to the
            first, as in the twin).
        bound: (B, G + 1) int32: group g of row b is bound[b, g] to bound[b, g + 1].
        wanted: (B, G) how many of each group, at most its size; fewer are taken where fewer places differ.
    Returns:
        (B, P) bool; False outside the groups.
    """
    batch, count = places.shape[:2]
    places, bound = places.to(torch.int32).contiguous(), bound.to(torch.int32).contiguous()
    taken = torch.zeros(batch, count, dtype=torch.int32, device=places.device)
    distance = torch.empty(batch, count, dtype=torch.int32, device=places.device)
    groups = bound.shape[1] - 1
    wanted = wanted.to(torch.int32).contiguous()
    _sample[(batch * groups,)](places, bound, wanted, taken, distance, count, GROUPS=groups, BLOCK=BLOCK, num_warps=8)
    return taken > 0


@triton.jit
def _sample(places, bound, wanted, taken, distance, count, GROUPS: tl.constexpr, BLOCK: tl.constexpr):
    group = tl.program_id(0)
    row = group // GROUPS
    first = tl.load(bound + row * (GROUPS + 1) + group % GROUPS)
    last = tl.load(bound + row * (GROUPS + 1) + group % GROUPS + 1)
    number = tl.load(wanted + group)
    places += row * count * 2
    taken += row * count
    distance += row * count
    lane = tl.arange(0, BLOCK)
    far = 2147483647

    # begin with the point nearest to the centroid, in whole numbers: |n p - sum p|^2
    sum_x, sum_y = tl.zeros([BLOCK], tl.int64), tl.zeros([BLOCK], tl.int64)
    for begin in range(first, last, BLOCK):
        at = begin + lane
        inside = at < last
        sum_x += tl.load(places + 2 * at, mask=inside, other=0).to(tl.int64)
        sum_y += tl.load(places + 2 * at + 1, mask=inside, other=0).to(tl.int64)
        tl.store(distance + at, tl.full([BLOCK], far, tl.int32), mask=inside)
    tl.debug_barrier()
    total_x, total_y = tl.sum(sum_x, 0), tl.sum(sum_y, 0)
    size = (last - first).to(tl.int64)
    best, best_at = tl.full([BLOCK], 9223372036854775807, tl.int64), tl.full([BLOCK], far, tl.int32)
    for begin in range(first, last, BLOCK):
        at = begin + lane
        inside = at < last
        dx = size * tl.load(places + 2 * at, mask=inside, other=0).to(tl.int64) - total_x
        dy = size * tl.load(places + 2 * at + 1, mask=inside, other=0).to(tl.int64) - total_y
        better = inside & (dx * dx + dy * dy < best)
        best, best_at = tl.where(better, dx * dx + dy * dy, best), tl.where(better, at, best_at)
    newest = tl.min(tl.where(best == tl.min(best, 0), best_at, far), 0)

    top = 1
    for _ in range(0, tl.where(last > first, number, 0)):
        if top > 0:  # 0: only copies of chosen points are left
            tl.store(taken + newest, 1)
            x, y = tl.load(places + 2 * newest), tl.load(places + 2 * newest + 1)
            worst, worst_at = tl.full([BLOCK], -1, tl.int32), tl.full([BLOCK], far, tl.int32)
            for begin in range(first, last, BLOCK):
                at = begin + lane
                inside = at < last
                dx = tl.load(places + 2 * at, mask=inside, other=0) - x
                dy = tl.load(places + 2 * at + 1, mask=inside, other=0) - y
                away = tl.minimum(tl.load(distance + at, mask=inside, other=-1), dx * dx + dy * dy)
                away = tl.where(inside, away, -1)
                tl.store(distance + at, away, mask=inside)
                better = away > worst
                worst, worst_at = tl.where(better, away, worst), tl.where(better, at, worst_at)
            top = tl.max(worst, 0)
            newest = tl.min(tl.where(worst == top, worst_at, far), 0)
        tl.debug_barrier()  # the distances are read again, perhaps by other threads
