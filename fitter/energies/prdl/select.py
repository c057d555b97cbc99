"""Which points of the mesh PRDL compares: those of each part that are seen."""

from __future__ import annotations

import torch
from torch import Tensor

from ...anatomy.parts import LABEL, PARTS
from .contract import SKIN, SKIN_POINTS, PrdlSelection
from .farthest_point import farthest_points


def above_brows(points: Tensor, brow_line: Tensor) -> Tensor:
    """Which points are forehead: those above the tangents of both brows.

    Above both and not above either: the tangent of a slanted brow, prolonged to the other half of the face, may run
    through an eye or a cheek there.

    Args:
        points: (B, N, 2) window pixels.
        brow_line: (B, 2, 3) a, b, c with a x + b y + c > 0 above the line (facefit.observe.observation).
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
