"""Convex hulls of points in the plane: the only ones that can be farthest from anything."""

from __future__ import annotations

import numpy as np
from numba import njit


def convex_hull(points: np.ndarray) -> np.ndarray:
    """(N, 2) points, N at least 1, finite -> (M, 2) float32 corners of their convex hull in order."""
    x, y = np.ascontiguousarray(points.T, np.float32)
    corners = np.empty(len(x), np.int64)
    return np.stack([x, y], 1)[corners[: hull_corners(x, y, corners)]]


@njit(cache=True, nogil=True)
def hull_corners(x, y, out):
    """Indices of the corners into `out` (at least as long as x); returns their number.

    Gift wrapping (Jarvis 1973): O(points * corners), and the corners of a part are a few dozen. Points inside an edge
    and copies of a corner are no corners. x and y hold at least one point, all finite.
    """
    first = 0
    for i in range(1, len(x)):
        if x[i] < x[first] or (x[i] == x[first] and y[i] < y[first]):
            first = i
    corner, size = first, 0
    while size < len(x):
        out[size] = corner
        size += 1
        # differences of float32 are exact in float64, so a turn has the wrong sign only where it is practically 0
        cx, cy = np.float64(x[corner]), np.float64(y[corner])
        chosen, ux, uy = -1, 0.0, 0.0
        for i in range(len(x)):
            vx, vy = x[i] - cx, y[i] - cy
            turn = ux * vy - uy * vx
            # the outermost direction; of points in line the farther one; a copy of the corner has no direction
            if turn < 0 or (turn == 0 and vx * vx + vy * vy > ux * ux + uy * uy):
                chosen, ux, uy = i, vx, vy
        if chosen < 0 or (x[chosen] == x[first] and y[chosen] == y[first]):
            break
        corner = chosen
    return size
