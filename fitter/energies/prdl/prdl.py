"""Part Re-projection Distance Loss: each facial part of the mesh covers the same pixels as that part of the photo.

A part is a set of 2D points: projected vertices on one side, pixel centres of its mask on the other. Anchors are the
pixel centres of the whole window. From each anchor a the least, the greatest and the mean Euclidean distance to either
set are taken; the energy is the squared difference of these descriptors, summed over anchors and divided by their
number. No correspondence is needed, and anchors far outside a part pull as clearly as those inside it.

* `select_points` says which vertices count now, `group_points` sorts them by part: again every few iterations.
* `prdl_targets` is done once per photo, on a GPU by `facefit.energies.prdl.targets_device`.
* `prdl_energy` is what a fit calls; on the CPU it is `facefit.energies.prdl.cpu`, on a GPU with Triton
  `facefit.energies.prdl.triton` (whose points `facefit.energies.prdl.rows` chooses), elsewhere
  `facefit.energies.prdl.chunked`.
* `prdl_energy_naive` is the same from the definition, and what the fast one is tested against.

Source: Wang et al. 2024, 3D Face Reconstruction with the Geometric Guidance of Facial Part Segmentation, sec. 3.2, 3.3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ...anatomy.parts import PARTS
from . import cpu as prdl_cpu
from .chunked import PrdlChunked, anchor_grid
from .contract import STATISTICS, PrdlSelection, PrdlTargets
from .load import load_prdl_triton
from .rows import PrdlRows


def prdl_energy(
    pixels: Tensor,
    selection: PrdlSelection | PrdlRows,
    targets: PrdlTargets,
    weights: Tensor | None = None,
    statistics: Sequence[str] = STATISTICS,
    huber: float = math.inf,
) -> Tensor:
    """Part Re-projection Distance Loss.

    Args:
        pixels: (B, V, 2) projected vertices, window pixels.
        selection: which vertices make up the parts (`group_points`, or `group_rows` for Triton).
        targets: of the same B photos (`prdl_targets`).
        weights: (8,) or (B, 8) weight of each part, in the order of PARTS; None: 1 for all. A part whose target or
            prediction is empty counts 0.
        statistics: a subset of STATISTICS.
        huber: pixels beyond which the difference d of two distances counts 2 huber |d| - huber^2 instead of d^2. A
            mask's one wrong lobe then pulls with the same force wherever it ends. inf is the paper's.
    Returns:
        (B,) pixel^2: sum over parts, mean over anchors, sum over statistics. NaN where a selected point is not finite.
    Raises:
        ValueError: shapes that do not fit, an unknown statistic, a threshold that is not positive.
    Source: Wang et al. 2024, eq. 4 to 6; Huber 1964 for the linear tails.
    """
    parts = prdl_part_energies(pixels, selection, targets, statistics, huber)
    return parts.sum(1) if weights is None else (parts * weights).sum(1)


def prdl_part_energies(
    pixels: Tensor,
    selection: PrdlSelection | PrdlRows,
    targets: PrdlTargets,
    statistics: Sequence[str] = STATISTICS,
    huber: float = math.inf,
) -> Tensor:
    """The same before weights and sum over parts: (B, 8) pixel^2."""
    _check(pixels, selection, targets, statistics, huber)
    points = selection.points(pixels)
    wanted = tuple(name in statistics for name in STATISTICS)
    if isinstance(selection, PrdlRows):
        return load_prdl_triton().apply(points, selection.bound, targets, wanted, huber)
    if points.device.type == "cpu":
        parts = prdl_cpu.PrdlCpu.apply(points, selection.offset, targets, wanted, huber)
    else:
        parts = PrdlChunked.apply(points, selection.offset, targets, wanted, huber)
    return parts.reshape(pixels.shape[0], len(PARTS))


def prdl_energy_naive(
    pixels: Tensor,
    selection: PrdlSelection,
    targets: PrdlTargets,
    weights: Tensor | None = None,
    statistics: Sequence[str] = STATISTICS,
    huber: float = math.inf,
) -> Tensor:
    """`prdl_energy` by its definition: every anchor against every point, differentiated by torch. Slow and hungry.

    Args:
        pixels: (B, V, 2) window pixels; weights and the others as in `prdl_energy`.
    Returns:
        (B,) pixel^2.
    """
    _check(pixels, selection, targets, statistics, huber)
    points, size = selection.points(pixels), targets.size
    anchors = anchor_grid(size, points)
    energies = []
    for number, (start, stop) in enumerate(zip(selection.offset[:-1], selection.offset[1:], strict=True)):
        face, part = divmod(number, len(PARTS))
        energy = points.new_zeros(())
        if stop > start and targets.count[face, part] > 0:
            # the default mode goes through a matrix product and loses half the digits of short distances
            distance = torch.cdist(anchors, points[start:stop], compute_mode="donot_use_mm_for_euclid_dist")
            found = {"min": distance.min(1).values, "max": distance.max(1).values, "mean": distance.mean(1)}
            for name in statistics:
                wanted = targets.descriptors[face, part, STATISTICS.index(name)].reshape(-1)
                off = (found[name] - wanted).abs()
                inner = off.clamp_max(huber)
                energy = energy + (inner * (2 * off - inner)).sum() / (size * size)
        energies.append(energy)
    parts = torch.stack(energies).reshape(-1, len(PARTS))
    return parts.sum(1) if weights is None else (parts * weights).sum(1)


def _check(
    pixels: Tensor,
    selection: PrdlSelection | PrdlRows,
    targets: PrdlTargets,
    statistics: Sequence[str],
    huber: float,
) -> None:
    batch = pixels.shape[0]
    if pixels.ndim != 3 or pixels.shape[2] != 2:
        raise ValueError(f"pixels have shape {tuple(pixels.shape)}; expected (B, V, 2)")
    rows = len(selection.bound) if isinstance(selection, PrdlRows) else (len(selection.offset) - 1) / len(PARTS)
    if targets.count.shape[0] != batch or rows != batch:
        raise ValueError(
            f"{batch} faces, targets of {targets.count.shape[0]} and a selection of {rows:g}; expected as many of each"
        )
    unknown = sorted(set(statistics) - set(STATISTICS))
    if unknown or not statistics:
        raise ValueError(f"statistics are {tuple(statistics)}; accepted: some of {STATISTICS}")
    if not huber > 0:
        raise ValueError(f"huber is {huber} pixels; accepted: > 0, inf for squares")
