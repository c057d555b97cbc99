"""Polygons in the plane: area, inside."""

from __future__ import annotations

import numpy as np
from torch import Tensor


def polygon_area(points: Tensor) -> Tensor:
    """(B, N, 2) corners in order -> (B,) area (the shoelace formula)."""
    following = points.roll(-1, dims=1)
    return (points[..., 0] * following[..., 1] - points[..., 1] * following[..., 0]).sum(1).abs() / 2


def inside(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """(N,) bool: whether (N, 2) points lie in a polygon (M, 2) (the even-odd rule)."""
    odd = np.zeros(len(points), bool)
    for (ax, ay), (bx, by) in zip(polygon, np.roll(polygon, -1, 0), strict=True):
        between = (points[:, 1] >= min(ay, by)) & (points[:, 1] < max(ay, by))
        if ay != by:
            odd ^= between & (points[:, 0] < ax + (points[:, 1] - ay) * (bx - ax) / (by - ay))
    return odd
