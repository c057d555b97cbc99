"""Farthest point sampling: which points to keep when a set must shrink but should still cover the same ground."""

from __future__ import annotations

import math

import numpy as np
from numba import njit


def farthest_points(points: np.ndarray, count: int) -> np.ndarray:
    """Indices of `count` points, each as far as possible from those before it.

    Starts with the point nearest to the centroid, so the result depends on the set alone: no seed, and the order in
    which the points come does not matter (ties go to the smaller y, then the smaller x; identical points are one).

    Exactly the textbook algorithm, made fast: points lie in square cells that remember their worst point, and a new
    sample looks only into cells that it can improve. O(n) at first, O(1) per sample later; 20,000 points to 3,000 take
    a few milliseconds instead of 60.

    Args:
        points: (N, 2) finite.
        count: samples wanted, >= 1; at least N of them returns all points in their order.
    Returns:
        (min(count, N),) int64 indices, ascending; fewer when fewer points differ.
    Source: Eldar et al. 1997; Moenning and Dodgson 2003 (the PRDL paper's reference).
    """
    if count < 1:
        raise ValueError(f"count is {count} points; accepted: >= 1")
    if len(points) <= count:
        return np.arange(len(points))
    order = np.lexsort((points[:, 0], points[:, 1]))  # ties are decided by this order
    ordered = np.ascontiguousarray(points[order], np.float64)
    low, high = ordered.min(0), ordered.max(0)
    # about 16 points per cell: fewer makes the scan over cells long, more makes the cells long
    side = max(math.sqrt(float(np.prod(np.maximum(high - low, 1e-9))) * 16 / len(ordered)), 1e-9)
    cells = np.minimum((ordered - low) // side, 255).astype(np.int64)
    columns = int(cells[:, 0].max()) + 1
    cell = cells[:, 1] * columns + cells[:, 0]
    by_cell = np.argsort(cell, kind="stable")
    _, start = np.unique(cell[by_cell], return_index=True)
    x, y = np.ascontiguousarray(ordered[:, 0]), np.ascontiguousarray(ordered[:, 1])
    box = np.stack([reduce.reduceat(v[by_cell], start) for v in (x, y) for reduce in (np.minimum, np.maximum)], 1)
    newest = ((ordered - ordered.mean(0)) ** 2).sum(1).argmin()
    chosen = np.empty(count, np.int64)
    found = _sample(x, y, by_cell, np.append(start, len(ordered)), box, newest, chosen)
    chosen = chosen[:found]
    return np.sort(order[chosen])


@njit(cache=True, nogil=True)
def _sample(x, y, member, start, box, newest, chosen):
    """Fills `chosen` from `newest` on; returns the number found. Cell c holds member[start[c]:start[c + 1]], ascending;
    `box` is its least and greatest x and y."""
    cells = len(start) - 1
    distance, worst, worst_at = np.empty(len(x)), np.empty(cells), np.zeros(cells, np.int64)
    distance[:], worst[:] = np.inf, np.inf  # worst: greatest distance in each cell
    chosen[0] = newest
    for n in range(1, len(chosen)):
        px, py = x[newest], y[newest]
        for c in range(cells):
            dx = max(max(box[c, 0] - px, px - box[c, 1]), 0.0)
            dy = max(max(box[c, 2] - py, py - box[c, 3]), 0.0)
            if dx * dx + dy * dy >= worst[c]:
                continue
            top, at = -1.0, 0
            for k in range(start[c], start[c + 1]):
                i = member[k]
                dx, dy = x[i] - px, y[i] - py
                distance[i] = min(distance[i], dx * dx + dy * dy)
                if distance[i] > top:
                    top, at = distance[i], i
            worst[c], worst_at[c] = top, at
        top, newest = -1.0, 0
        for c in range(cells):
            if worst[c] > top or (worst[c] == top and worst_at[c] < newest):
                top, newest = worst[c], worst_at[c]
        if top == 0.0:  # only copies of chosen points are left
            return n
        chosen[n] = newest
    return len(chosen)
