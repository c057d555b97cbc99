"""The pixels that PRDL's points are drawn to."""

from __future__ import annotations

import torch
from torch import Tensor

from ...anatomy.parts import PARTS
from . import cpu as prdl_cpu
from .contract import SKIN, SKIN_POINTS, PrdlTargets
from .farthest_point import farthest_points
from .load import fused
from .mask_distance import mask_extremes, mask_means, mask_points
from .targets_device import device_targets


def prdl_targets(part_masks: Tensor, skin_points: int | None = SKIN_POINTS) -> PrdlTargets:
    """Descriptors of the photo's parts, once per photo.

    Args:
        part_masks: (B, P >= 8, S, S) in [0, 1], channels from PARTS on; more than 0.5 is part. Square windows.
        skin_points: the skin is thinned to so many pixels by farthest point sampling, as the mesh's is, so that both
            are equally dense; None keeps all.
    Returns:
        PrdlTargets on the device of the masks, float32.
    Raises:
        ValueError: shapes that do not fit.
    """
    if part_masks.ndim != 4 or part_masks.shape[1] < len(PARTS) or part_masks.shape[2] != part_masks.shape[3]:
        raise ValueError(f"part_masks have shape {tuple(part_masks.shape)}; expected (B, >= {len(PARTS)}, S, S)")
    if fused(part_masks.device):
        descriptors, cells, count = device_targets(part_masks[:, : len(PARTS)].detach() > 0.5, skin_points)
        return PrdlTargets(descriptors, cells, count)
    batch, size = part_masks.shape[0], part_masks.shape[2]
    mask = (part_masks[:, : len(PARTS)].detach() > 0.5).cpu().numpy()
    if skin_points is not None:
        for face in range(batch):
            row, column = mask[face, SKIN].nonzero()
            if len(row) > skin_points:
                points = torch.stack([torch.from_numpy(column), torch.from_numpy(row)], -1).double().numpy()
                chosen = farthest_points(points, skin_points)
                mask[face, SKIN] = False
                mask[face, SKIN, row[chosen], column[chosen]] = True
    flat = mask.reshape(-1, size, size)
    least, greatest = mask_extremes(flat)
    mean = mask_means(torch.from_numpy(flat))
    descriptors = torch.stack([torch.from_numpy(least), torch.from_numpy(greatest), mean], 1)
    cells = torch.from_numpy(prdl_cpu.cell_means(*mask_points(flat), size))
    targets = PrdlTargets(
        descriptors=descriptors.reshape(batch, len(PARTS), *descriptors.shape[1:]),
        cell_mean=cells.reshape(batch, len(PARTS), *cells.shape[1:]),
        count=torch.from_numpy(mask.sum((2, 3))),
    )
    return targets.to(part_masks.device)
