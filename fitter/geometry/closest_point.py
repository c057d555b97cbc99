"""Exact closest points on a triangle mesh: a bounding volume hierarchy in numba, float64."""

from __future__ import annotations

from copy import copy

import numpy as np
from numba import njit

from ..compute.threads import run_chunks

_LEAF = 4  # triangles in a leaf
_CHUNK = 1024  # points that one thread looks up at a time


class ClosestPoint:
    """Answers "which point of this surface is closest" exactly.

    Args:
        verts: (V, 3) float; faces: (F, 3) int.
    Raises:
        ValueError: no triangles, or vertices that are not finite.
    Example:
        >>> distance, point, face = ClosestPoint(verts, faces)(points)
    """

    def __init__(self, verts: np.ndarray, faces: np.ndarray) -> None:
        verts, faces = np.asarray(verts, np.float64), np.asarray(faces, np.int64)
        if faces.ndim != 2 or faces.shape[1] != 3 or len(faces) == 0:
            raise ValueError(f"faces has shape {faces.shape}; expected (F, 3) with F > 0")
        if not np.isfinite(verts).all():
            raise ValueError("the mesh has vertices that are not finite")
        self.faces = faces
        self.corners = np.ascontiguousarray(verts[faces])
        self.order, self.child, self.span = _build(self.corners)
        self.low, self.high = _boxes(self.corners, self.order, self.child, self.span)

    def moved(self, verts: np.ndarray) -> ClosestPoint:
        """The same surface with its vertices elsewhere. The tree stays, its boxes are fitted anew: right for any shape,
        slower to search the more the shape has changed.

        Args:
            verts: (V, 3) float, as many as before.
        Raises:
            ValueError: vertices that are not finite.
        """
        verts = np.asarray(verts, np.float64)
        if not np.isfinite(verts).all():
            raise ValueError("the mesh has vertices that are not finite")
        other = copy(self)
        other.corners = np.ascontiguousarray(verts[self.faces])
        other.low, other.high = _boxes(other.corners, self.order, self.child, self.span)
        return other

    def __call__(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(N, 3) -> distances (N,), closest points (N, 3), faces (N,). Raises ValueError for other shapes or NaN."""
        points = np.ascontiguousarray(points, np.float64)
        if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
            raise ValueError(f"points has shape {points.shape}; expected finite (N, 3)")
        count = len(points)
        distance, closest, face = np.empty(count), np.empty((count, 3)), np.empty(count, np.int64)
        run_chunks(
            _query, -(-count // _CHUNK), points, self.corners, self.order, self.low, self.high, self.child, self.span,
            distance, closest, face,
        )  # fmt: skip
        return distance, closest, face


@njit(cache=True)
def _build(corners):
    """Median splits along the longest side. `order`: triangles, leaf by leaf. Node k has children child[k] and
    child[k] + 1, or is a leaf (child[k] = -1) over order[span[k, 0]:span[k, 1]]."""
    count = len(corners)
    centre = np.empty((count, 3))
    for n in range(count):
        for axis in range(3):
            centre[n, axis] = (corners[n, 0, axis] + corners[n, 1, axis] + corners[n, 2, axis]) / 3
    order = np.arange(count)
    child, span = np.full(2 * count, -1), np.zeros((2 * count, 2), np.int64)
    span[0, 1] = count
    nodes, node = 1, 0
    while node < nodes:  # children are numbered after their parents, so that one walk is enough
        start, stop = span[node]
        if stop - start > _LEAF:
            axis, longest = 0, -1.0
            for k in range(3):
                values = centre[order[start:stop], k]
                side = values.max() - values.min()
                if side > longest:
                    axis, longest = k, side
            part = order[start:stop]
            order[start:stop] = part[np.argsort(centre[part, axis], kind="mergesort")]
            middle = start + (stop - start) // 2
            child[node] = nodes
            span[nodes, 0], span[nodes, 1] = start, middle
            span[nodes + 1, 0], span[nodes + 1, 1] = middle, stop
            nodes += 2
        node += 1
    return order, child[:nodes].copy(), span[:nodes].copy()


@njit(cache=True)
def _boxes(corners, order, child, span):
    """The boxes of a tree whose triangles have moved. Children have higher numbers than their parents."""
    count = len(child)
    low, high = np.empty((count, 3)), np.empty((count, 3))
    for node in range(count - 1, -1, -1):
        left = child[node]
        for axis in range(3):
            if left >= 0:
                low[node, axis] = min(low[left, axis], low[left + 1, axis])
                high[node, axis] = max(high[left, axis], high[left + 1, axis])
                continue
            a, b = np.inf, -np.inf
            for k in range(span[node, 0], span[node, 1]):
                for corner in range(3):
                    a = min(a, corners[order[k], corner, axis])
                    b = max(b, corners[order[k], corner, axis])
            low[node, axis], high[node, axis] = a, b
    return low, high


@njit(cache=True, inline="always")
def _segment(p, a, b):
    """Parameter of the closest point of the segment a-b to p."""
    length2, along = 0.0, 0.0
    for k in range(3):
        side = b[k] - a[k]
        length2 += side * side
        along += side * (p[k] - a[k])
    return 0.0 if length2 <= 0.0 else min(1.0, max(0.0, along / length2))


@njit(cache=True)
def _on_triangle(p, a, b, c, out):
    """Writes the closest point of the triangle to `out`, returns the squared distance.

    The foot on the plane where that lies inside; else the best of the three sides, which is right for a degenerate
    triangle as well.
    """
    bb = bc = cc = pb = pc = 0.0
    for k in range(3):
        eb, ec, ep = b[k] - a[k], c[k] - a[k], p[k] - a[k]
        bb += eb * eb
        bc += eb * ec
        cc += ec * ec
        pb += ep * eb
        pc += ep * ec
    area2 = bb * cc - bc * bc
    if area2 > 1e-14 * bb * cc:
        v, w = (cc * pb - bc * pc) / area2, (bb * pc - bc * pb) / area2
        if v >= 0.0 and w >= 0.0 and v + w <= 1.0:
            total = 0.0
            for k in range(3):
                out[k] = a[k] + v * (b[k] - a[k]) + w * (c[k] - a[k])
                total += (p[k] - out[k]) ** 2
            return total
    best = np.inf
    for side in range(3):
        if side == 0:
            start, stop = a, b
        elif side == 1:
            start, stop = b, c
        else:
            start, stop = c, a
        at = _segment(p, start, stop)
        total = 0.0
        for k in range(3):
            total += (p[k] - start[k] - at * (stop[k] - start[k])) ** 2
        if total < best:
            best = total
            for k in range(3):
                out[k] = start[k] + at * (stop[k] - start[k])
    return best


@njit(cache=True)
def _box_distance2(p, low, high):
    total = 0.0
    for k in range(3):
        d = max(low[k] - p[k], 0.0, p[k] - high[k])
        total += d * d
    return total


@njit(cache=True, nogil=True)
def _query(points, corners, order, low, high, child, span, distance, closest, face, chunk):
    here, nearest = np.empty(3), np.empty(3)
    stack = np.empty(128, np.int64)
    for n in range(chunk * _CHUNK, min(len(points), (chunk + 1) * _CHUNK)):
        p, best, found = points[n], np.inf, 0
        stack[0] = 0
        top = 1
        while top > 0:
            top -= 1
            node = stack[top]
            if _box_distance2(p, low[node], high[node]) >= best:
                continue
            left = child[node]
            if left < 0:
                for k in range(span[node, 0], span[node, 1]):
                    triangle = corners[order[k]]
                    d = _on_triangle(p, triangle[0], triangle[1], triangle[2], here)
                    if d < best:
                        best, found = d, order[k]
                        nearest[:] = here
                continue
            # the nearer child is looked at first, so that the other one is often not opened
            swap = _box_distance2(p, low[left], high[left]) > _box_distance2(p, low[left + 1], high[left + 1])
            stack[top] = left if swap else left + 1
            stack[top + 1] = left + 1 if swap else left
            top += 2
        distance[n], face[n] = np.sqrt(best), found
        closest[n] = nearest
