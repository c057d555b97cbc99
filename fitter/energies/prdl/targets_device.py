"""PRDL's targets of a whole batch where its masks lie; twin: the CPU's path in energies.prdl.targets.prdl_targets.

Masks live on the lattice of the anchors, which makes each statistic cheap: least and greatest distances go row by row
(along a row by running extremes, then over all rows at once), mean distances are a convolution, and the coarse cells'
mean distances a product with one matrix. Nothing is asked of the device.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...anatomy.parts import PARTS
from .cpu import CELL
from .load import load_farthest_of_rows

SKIN = PARTS.index("skin")
CHUNK = 1 << 28  # bytes of an intermediate array


@torch.no_grad()
def device_targets(masks: Tensor, skin_points: int | None) -> tuple[Tensor, Tensor, Tensor]:
    """Descriptors (B, 8, 3, S, S), coarse cells' means (B, 8, G, G) and counts (B, 8), as PrdlTargets has them.

    Args:
        masks: (B, 8, S, S) bool.
        skin_points: the skin is thinned to so many pixels; None keeps all.
    """
    batch, parts, size = masks.shape[:3]
    if skin_points is not None:
        masks = masks.clone()
        masks[:, SKIN] = _thinned(masks[:, SKIN], skin_points)
    flat = masks.reshape(batch * parts, size, size)
    count = flat.sum((1, 2))
    there = (count > 0)[:, None, None]
    step = max(1, CHUNK // (4 * size**3))
    extremes = [_extremes(part) for part in flat.split(step)]
    least, greatest = (torch.cat(values) for values in zip(*extremes, strict=True))
    mean = torch.cat([_means(part) for part in flat.split(max(1, CHUNK // (64 * size**2)))])
    descriptors = torch.stack([torch.where(there, value, 0.0) for value in (least, greatest, mean)], 1)
    cells = torch.where(there, _cell_means(flat, count), 0.0)
    return (
        descriptors.reshape(batch, parts, 3, size, size),
        cells.reshape(batch, parts, *cells.shape[1:]),
        count.reshape(batch, parts),
    )


def _thinned(mask: Tensor, number: int) -> Tensor:
    """(B, S, S) bool with at most `number` pixels that lie as far from one another as possible."""
    batch, size = mask.shape[:2]
    flat = mask.reshape(batch, -1)
    order = (~flat).long().argsort(dim=1, stable=True)  # the mask's pixels first, row by row
    places = torch.stack([order % size, order // size], -1).to(torch.int32)
    count = flat.sum(1, keepdim=True)
    bound = torch.cat([torch.zeros_like(count), count], 1)
    taken = load_farthest_of_rows()(places, bound, count.clamp_max(number))
    return torch.zeros_like(flat).scatter(1, order, taken).reshape(mask.shape)


def _extremes(masks: Tensor) -> tuple[Tensor, Tensor]:
    """(T, S, S) bool -> least and greatest distance of each pixel centre to the mask's; junk where it is empty."""
    size = masks.shape[-1]
    line = torch.arange(size, device=masks.device, dtype=torch.float32)
    far = 4.0 * size
    before = torch.where(masks, line, -far).cummax(2).values  # the nearest pixel of the mask to the left, or itself
    after = torch.where(masks, line, far).flip(2).cummin(2).values.flip(2)
    near = torch.minimum(line - before, after - line)
    first, last = after[..., :1], before[..., -1:]
    reach = torch.maximum(line - first, last - line)
    # a row without a pixel is out of reach for the least, and has nothing to offer for the greatest
    reach = torch.where(masks.any(2, keepdim=True), reach * reach, -(far**2))
    rows = (line[:, None] - line) ** 2  # [y, y']
    least = (near.square()[:, None] + rows[..., None]).amin(2).sqrt()
    greatest = (reach[:, None] + rows[..., None]).amax(2).clamp_min(0).sqrt()
    return least, greatest


def _means(masks: Tensor) -> Tensor:
    """(T, S, S) bool -> (T, S, S) float32 mean distance from each pixel centre to the mask's: mask_distance.mask_means
    for many at once."""
    size = masks.shape[-1]
    line = torch.arange(2 * size, device=masks.device)
    line = torch.minimum(line, 2 * size - line).double()
    kernel = torch.fft.rfft2((line[:, None] ** 2 + line**2).sqrt())
    spectrum = torch.fft.rfft2(masks.double(), s=(2 * size, 2 * size))
    total = torch.fft.irfft2(spectrum * kernel, s=(2 * size, 2 * size))[:, :size, :size]
    return (total / masks.sum((1, 2)).clamp_min(1)[:, None, None]).float()


def _cell_means(masks: Tensor, count: Tensor) -> Tensor:
    """(T, G, G) mean soft distance from the middle of each coarse cell: prdl_cpu.cell_means for many at once."""
    size = masks.shape[-1]
    edge = torch.arange(0, size, CELL, device=masks.device)
    width = (size - edge).clamp_max(CELL).float()
    middle, centre = edge + 0.5 * width, torch.arange(size, device=masks.device) + 0.5
    flat, out = masks.reshape(len(masks), -1).float(), []
    across = (middle[:, None] - centre).square()  # (G, S): of cells along x, and along y
    for row, height in zip(across, width.split(1), strict=True):
        softness = (width * width + height * height - 2) / 24
        distance = (row[None, :, None] + across[:, None, :] + softness[:, None, None]).sqrt()  # (G, S, S)
        out.append(flat @ distance.reshape(len(edge), -1).T)
    return torch.stack(out, 1) / count.clamp_min(1)[:, None, None]
