"""Where a parser sees the face end by itself: against the background, the neck or an ear, not under hair or a hand."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..anatomy.parts import LABEL
from .segment.masks import FACE_LABELS
from .segment.morphology import distance_to, pieces

POINTS = 96  # at most: of a bald head's whole outline, a point each STEP

STEP, MARGIN = 1 / 45, 1 / 56  # of the window's side: between two points; from what hides the outline, and the rim

SMOOTHING = 1 / 90  # of the window's side: over which the direction of an outline is taken

OUTSIDE = 2.0  # pixels beyond the outline, where is looked what the face ends against

# What the face itself ends against. An ear's front edge is where the cheek's skin ends, but nothing of the shape.
_BEYOND = tuple(LABEL[name] for name in ("background", "neck"))
_FACE = (*FACE_LABELS, LABEL["mouth_inside"])


def face_outline(labels: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Points of the face's outline.

    Args:
        labels: (S, S) uint8 facefit.anatomy.parts.LABELS, as a segmenter gives them.
        inside: (S, S) bool, pixels of the window that the photo has.
    Returns:
        (POINTS, 6) float32: x, y in window pixels, y down; the unit normal, out of the face; 1 where it ends against
        the background; 1 where against the neck. Both 0: the row is not used.
    """
    size = len(labels)
    out = np.zeros((POINTS, 6), np.float32)
    face = np.isin(labels, _FACE)
    # holes (glasses, a lash) are no outline, and neither are specks
    face = ndimage.binary_fill_holes(face)
    number, count = pieces(face)
    if count == 0:
        return out
    face = number == np.bincount(number[number > 0]).argmax()
    beyond = np.isin(labels, _BEYOND) & inside & ~face
    hidden = ~(np.isin(labels, (*_FACE, *_BEYOND, LABEL["ear"])) & inside) & ~ndimage.binary_fill_holes(face)
    rim = np.zeros_like(face)
    rim[0], rim[-1], rim[:, 0], rim[:, -1] = True, True, True, True
    clear = distance_to(hidden | rim) > MARGIN * size
    at = []
    for axis in (0, 1):
        last = (slice(None, -1), slice(None)) if axis == 0 else (slice(None), slice(None, -1))
        after = (slice(1, None), slice(None)) if axis == 0 else (slice(None), slice(1, None))
        border = (face[last] & beyond[after]) | (beyond[last] & face[after])
        row, column = np.nonzero(border & clear[last] & clear[after])
        step = np.array([0.5, 1.0]) if axis == 0 else np.array([1.0, 0.5])  # x, y from the pixel's corner
        at.append(np.stack([column, row], 1) + step)
    points = np.concatenate(at)
    if not len(points):
        return out
    soft = ndimage.gaussian_filter(face.astype(np.float32), SMOOTHING * size, mode="nearest")
    slope = np.stack([ndimage.map_coordinates(part, points.T[::-1] - 0.5, order=1) for part in np.gradient(soft)[::-1]])
    length = np.hypot(*slope)
    points, slope, length = points[length > 1e-6], slope[:, length > 1e-6], length[length > 1e-6]
    chosen = _apart(points, STEP * size)[:POINTS]
    out[: len(chosen), :2] = points[chosen]
    out[: len(chosen), 2:4] = (-slope / length).T[chosen]
    outer = (points[chosen] + OUTSIDE * out[: len(chosen), 2:4]).astype(int).clip(0, size - 1)
    neck = labels[outer[:, 1], outer[:, 0]] == LABEL["neck"]
    out[: len(chosen), 4], out[: len(chosen), 5] = ~neck, neck
    return out


def _apart(points: np.ndarray, distance: float) -> np.ndarray:
    """Places of some of the points (N, 2), one after another around their middle, none nearer to each other."""
    middle = points.mean(0)
    order = np.argsort(np.arctan2(*(points - middle).T[::-1]), kind="stable")
    free = np.ones(len(points), bool)
    kept = []
    for place in order:
        if free[place]:
            kept.append(place)
            free &= ((points - points[place]) ** 2).sum(1) >= distance * distance
    return np.array(kept, int)
