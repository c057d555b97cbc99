"""The points of PRDL's parts on a GPU, chosen and sorted without a question to the device.

On the CPU lists are as long as they need to be (contract.PrdlSelection). Here every face has a row of fixed length with
its points in front, part by part, and the device alone knows where each part ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...anatomy.parts import PARTS
from ...compute.mailbox import device_index
from .load import load_farthest_of_rows

COUNT = len(PARTS)
CELL = 8  # pixels; points are sorted by cells of this side, so that blocks of points lie close together
GRID = 32  # steps per pixel on which points are thinned: whole numbers, so that ties do not hang on rounding


@dataclass(frozen=True)
class PrdlRows:
    """The points that make up each part of B faces.

    Attributes:
        vertex: (B, P) index of the point; what belongs to no part comes last.
        bound: (B, 9) int32: part p of face b is vertex[b, bound[b, p] : bound[b, p + 1]].
    """

    vertex: Tensor
    bound: Tensor

    def points(self, pixels: Tensor) -> Tensor:
        """(B, V, 2) projected points -> (B, P, 2) sorted by part, differentiable."""
        return pixels.gather(1, self.vertex[..., None].expand(-1, -1, 2))

    def __getitem__(self, faces: Sequence[int]) -> PrdlRows:
        """Of some of the faces, in their new order."""
        index = device_index(faces, self.vertex.device)
        return PrdlRows(self.vertex[index], self.bound[index])


@torch.no_grad()
def group_rows(keep: Tensor, part: Tensor, pixels: Tensor, share: float) -> PrdlRows:
    """What `part_points.thin_evenly` and `prdl.group_points` do on the CPU: of each part's points that count a share
    that lies evenly in the picture, sorted by part and place.

    Args:
        keep: (B, N) bool; part: (N,) index into PARTS; pixels: (B, N, 2) window pixels.
        share: of a part's points that stays, in (0, 1].
    """
    number = torch.where(keep, part, COUNT)  # (B, N)
    whole = torch.where(keep[..., None], pixels * GRID, 0.0).round().to(torch.int32)
    order, bound = _sorted(number, whole[..., 1], whole[..., 0])
    sizes = bound.diff(dim=1)
    wanted = (sizes * share).round().clamp_min(1).minimum(sizes)
    taken = load_farthest_of_rows()(whole.gather(1, order[..., None].expand(-1, -1, 2)), bound, wanted)
    number = torch.where(taken, number.gather(1, order), COUNT)
    cell = (whole // (GRID * CELL)).gather(1, order[..., None].expand(-1, -1, 2))
    again, bound = _sorted(number, cell[..., 1], cell[..., 0])
    return PrdlRows(order.gather(1, again), bound)


def _sorted(number: Tensor, row: Tensor, column: Tensor) -> tuple[Tensor, Tensor]:
    """Order (B, N) by part, row and column, and where each part begins (B, 9)."""
    key = (number.long() << 40) + (row.long() << 20) + column.long()
    key, order = key.sort(dim=1, stable=True)
    ends = torch.arange(COUNT + 1, device=key.device).expand(len(key), -1) << 40
    return order, torch.searchsorted(key, ends.contiguous(), out_int32=True)
