"""Part Re-projection Distance Loss: each facial part of the mesh covers the same pixels as that part of the photo.

A part is a set of 2D points: projected vertices on one side, pixel centres of its mask on the other. Anchors are the
pixel centres of the whole window. From each anchor a the least, the greatest and the mean Euclidean distance to either
set are taken; the energy is the squared difference of these descriptors, summed over anchors and divided by their
number. No correspondence is needed, and anchors far outside a part pull as clearly as those inside it.

* `select_points` says which vertices count now, `group_points` sorts them by part: again every few iterations.
* `prdl_targets` is done once per photo, on a GPU by `facefit.energies.prdl_targets_device`.
* `prdl_energy` is what a fit calls; on the CPU it is `facefit.energies.prdl_cpu`, on a GPU with Triton
  `facefit.energies.prdl_triton` (whose points `facefit.energies.prdl_rows` chooses), elsewhere
  `facefit.energies.prdl_chunked`.
* `prdl_energy_naive` is the same from the definition, and what the fast one is tested against.

Source: Wang et al. 2024, 3D Face Reconstruction with the Geometric Guidance of Facial Part Segmentation, sec. 3.2, 3.3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ..anatomy.parts import LABEL, PARTS
from . import prdl_cpu
from .farthest_point import farthest_points
from .mask_distance import mask_extremes, mask_means, mask_points
from .prdl_chunked import PrdlChunked, anchor_grid
from .prdl_rows import PrdlRows, fused

STATISTICS = ("min", "max", "mean")
SKIN = PARTS.index("skin")
# The paper's count (sec. 3.3 and its code): more points of the large, smooth skin only cost time.
SKIN_POINTS = 3000


@dataclass(frozen=True)
class PrdlTargets:
    """What PRDL knows of B photos.

    Attributes:
        descriptors: (B, 8, 3, S, S) pixels: least, greatest and mean distance (STATISTICS) from each anchor to the
            part's points; 0 for an empty part.
        cell_mean: (B, 8, G, G) pixels: the mean distance once more, over the coarse cells of `prdl_cpu`.
        count: (B, 8) number of points; 0 leaves the part out.
    """

    descriptors: Tensor
    cell_mean: Tensor
    count: Tensor

    @property
    def size(self) -> int:
        """Side of the window in pixels."""
        return self.descriptors.shape[-1]

    def to(self, device: torch.device | str) -> PrdlTargets:
        return PrdlTargets(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    def __getitem__(self, index) -> PrdlTargets:
        if isinstance(index, int):
            index = [index]
        return PrdlTargets(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


@dataclass(frozen=True)
class PrdlSelection:
    """The vertices that make up each part of B faces, face by face and within a face part by part.

    Attributes:
        face, vertex: (N,) index of the face in the batch and of the vertex in the model.
        offset: (B * 8 + 1,) on the CPU: points offset[8 b + p] to offset[8 b + p + 1] are part p of face b.
    """

    face: Tensor
    vertex: Tensor
    offset: Tensor

    def points(self, pixels: Tensor) -> Tensor:
        """(B, V, 2) projected vertices -> (N, 2) the selected ones, differentiable."""
        return pixels[self.face, self.vertex]

    @property
    def count(self) -> Tensor:
        """(B, 8) number of points of each part."""
        return self.offset.diff().reshape(-1, len(PARTS))

    def __getitem__(self, faces: Sequence[int]) -> PrdlSelection:
        """Of some of the faces, in their new order."""
        bounds = self.offset[:: len(PARTS)].tolist()
        spans = [slice(bounds[face], bounds[face + 1]) for face in faces]
        counts = torch.cat([self.count[list(faces)].flatten().new_zeros(1), self.count[list(faces)].flatten()])
        return PrdlSelection(
            face=torch.cat([torch.full_like(self.face[span], k) for k, span in enumerate(spans)]),
            vertex=torch.cat([self.vertex[span] for span in spans]),
            offset=counts.cumsum(0),
        )


def above_brows(points: Tensor, brow_line: Tensor) -> Tensor:
    """Which points are forehead: those above the tangents of both brows.

    Above both and not above either: the tangent of a slanted brow, prolonged to the other half of the face, may run
    through an eye or a cheek there.

    Args:
        points: (B, N, 2) window pixels.
        brow_line: (B, 2, 3) a, b, c with a x + b y + c > 0 above the line (facefit.observation).
    Returns:
        (B, N) bool.
    Source: Wang et al. 2024, supplement B and fig. 12.
    """
    value = points @ brow_line[..., :2].transpose(1, 2) + brow_line[:, None, :, 2]
    return (value > 0).all(-1)


def select_points(
    vertex_label: Tensor, pixels: Tensor, visible: Tensor, brow_line: Tensor, hidden: Tensor | None = None
) -> Tensor:
    """The vertices that should have a counterpart in the photo's part masks.

    Left out: vertices of no part, self-occluded ones, skin above the brows (the targets do not have it either), what
    falls outside the window, and what lies under hair, glasses, hands or outside the photo.

    Args:
        vertex_label: (V,) facefit.anatomy.parts.LABELS.
        pixels: (B, V, 2) projected vertices, window pixels.
        visible: (B, V) bool: not hidden by the mesh itself.
        brow_line: (B, 2, 3) as in Observation.
        hidden: (B, S, S) in [0, 1]: more than 0.5 hides a vertex; the greatest of the hair and occluder masks (and of
            whatever else shows no face, such as the window's margin outside the photo). Also gives the window's side;
            without it nothing is hidden and no vertex is outside.
    Returns:
        (B, V) bool, for `group_points`.
    Raises:
        ValueError: shapes that do not fit.
    Source: Wang et al. 2024, supplement B and fig. 14.
    """
    batch, count = pixels.shape[:2]
    if vertex_label.shape != (count,) or visible.shape != (batch, count):
        raise ValueError(
            f"vertex_label {tuple(vertex_label.shape)}, visible {tuple(visible.shape)}; "
            f"expected ({count},) and ({batch}, {count})"
        )
    if brow_line.shape != (batch, 2, 3):
        raise ValueError(f"brow_line has shape {tuple(brow_line.shape)}; expected ({batch}, 2, 3)")
    pixels = pixels.detach()
    part = part_of_label(vertex_label)
    keep = visible.bool() & (part >= 0)
    keep &= ~((part == SKIN) & above_brows(pixels, brow_line))
    if hidden is not None:
        if hidden.ndim != 3 or hidden.shape[0] != batch:
            raise ValueError(f"hidden has shape {tuple(hidden.shape)}; expected ({batch}, S, S)")
        height, width = hidden.shape[1:]
        column, row = pixels.floor().long().unbind(-1)
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        face = torch.arange(batch, device=pixels.device)[:, None]
        keep &= inside & (hidden[face, row.clamp(0, height - 1), column.clamp(0, width - 1)] <= 0.5)
    return keep


def part_of_label(vertex_label: Tensor) -> Tensor:
    """(V,) facefit.anatomy.parts.LABELS -> (V,) index into PARTS, -1 for what belongs to no part."""
    table = torch.full((len(LABEL),), -1, dtype=torch.long, device=vertex_label.device)
    for number, name in enumerate(PARTS):
        table[LABEL[name]] = number
    return table[vertex_label.long()]


def group_points(
    keep: Tensor, vertex_label: Tensor, pixels: Tensor, skin_points: int | None = SKIN_POINTS
) -> PrdlSelection:
    """Sort the kept vertices by part and thin the skin by farthest point sampling.

    Args:
        keep: (B, V) bool, of `select_points`.
        vertex_label: (V,) facefit.anatomy.parts.LABELS.
        pixels: (B, V, 2) window pixels; where the skin is dense now.
        skin_points: at most so many vertices of skin per face; None keeps all.
    Source: Wang et al. 2024, sec. 3.3 (FPS).
    """
    part = part_of_label(vertex_label)
    key = torch.where(keep, part, -1).cpu()
    places = pixels.detach().cpu()
    faces, vertices, offset = [], [], [0]
    for face in range(keep.shape[0]):
        for number in range(len(PARTS)):
            index = (key[face] == number).nonzero()[:, 0]
            if number == SKIN and skin_points is not None and len(index) > skin_points:
                chosen = farthest_points(places[face, index].double().numpy(), skin_points)
                index = index[torch.from_numpy(chosen)]
            faces.append(torch.full_like(index, face))
            vertices.append(index)
            offset.append(offset[-1] + len(index))
    device = pixels.device
    return PrdlSelection(torch.cat(faces).to(device), torch.cat(vertices).to(device), torch.tensor(offset))


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
        from .prdl_targets_device import device_targets

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
        from .prdl_triton import PrdlTriton

        return PrdlTriton.apply(points, selection.bound, targets, wanted, huber)
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
    """`prdl_energy` by its definition: every anchor against every point, differentiated by torch. Slow and hungry."""
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
