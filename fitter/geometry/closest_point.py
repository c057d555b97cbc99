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


@njit(cache=True)
def _segment(px, py, pz, ax, ay, az, bx, by, bz):
    """The closest point of the segment a-b to p, and the squared distance."""
    sx, sy, sz = bx - ax, by - ay, bz - az
    length2 = sx * sx + sy * sy + sz * sz
    along = sx * (px - ax) + sy * (py - ay) + sz * (pz - az)
    at = 0.0 if length2 <= 0.0 else min(1.0, max(0.0, along / length2))
    x, y, z = ax + at * sx, ay + at * sy, az + at * sz
    return (px - x) ** 2 + (py - y) ** 2 + (pz - z) ** 2, x, y, z


@njit(cache=True)
def _on_triangle(px, py, pz, triangle):
    """The squared distance of p from the triangle (3, 3), and its closest point.

    The foot on the plane where that lies inside; else the best of the three sides, which is right for a degenerate
    triangle as well.
    """
    ax, ay, az = triangle[0, 0], triangle[0, 1], triangle[0, 2]
    bx, by, bz = triangle[1, 0], triangle[1, 1], triangle[1, 2]
    cx, cy, cz = triangle[2, 0], triangle[2, 1], triangle[2, 2]
    ux, uy, uz, tx, ty, tz = bx - ax, by - ay, bz - az, cx - ax, cy - ay, cz - az
    dx, dy, dz = px - ax, py - ay, pz - az
    bb, bc, cc = ux * ux + uy * uy + uz * uz, ux * tx + uy * ty + uz * tz, tx * tx + ty * ty + tz * tz
    pb, pc = dx * ux + dy * uy + dz * uz, dx * tx + dy * ty + dz * tz
    area2 = bb * cc - bc * bc
    if area2 > 1e-14 * bb * cc:
        v, w = (cc * pb - bc * pc) / area2, (bb * pc - bc * pb) / area2
        if v >= 0.0 and w >= 0.0 and v + w <= 1.0:
            x, y, z = ax + v * ux + w * tx, ay + v * uy + w * ty, az + v * uz + w * tz
            return (px - x) ** 2 + (py - y) ** 2 + (pz - z) ** 2, x, y, z
    best, x, y, z = _segment(px, py, pz, ax, ay, az, bx, by, bz)
    other, ox, oy, oz = _segment(px, py, pz, bx, by, bz, cx, cy, cz)
    if other < best:
        best, x, y, z = other, ox, oy, oz
    other, ox, oy, oz = _segment(px, py, pz, cx, cy, cz, ax, ay, az)
    if other < best:
        best, x, y, z = other, ox, oy, oz
    return best, x, y, z


@njit(cache=True)
def _box_distance2(px, py, pz, low, high, node):
    dx = max(low[node, 0] - px, 0.0, px - high[node, 0])
    dy = max(low[node, 1] - py, 0.0, py - high[node, 1])
    dz = max(low[node, 2] - pz, 0.0, pz - high[node, 2])
    return dx * dx + dy * dy + dz * dz


@njit(cache=True, nogil=True)
def _query(points, corners, order, low, high, child, span, distance, closest, face, chunk):
    stack, away = np.empty(128, np.int64), np.empty(128)  # nodes to look at, and how far their boxes are
    for n in range(chunk * _CHUNK, min(len(points), (chunk + 1) * _CHUNK)):
        px, py, pz = points[n, 0], points[n, 1], points[n, 2]
        best, found, bx, by, bz = np.inf, 0, 0.0, 0.0, 0.0
        stack[0], away[0] = 0, 0.0
        top = 1
        while top > 0:
            top -= 1
            if away[top] >= best:
                continue
            node = stack[top]
            left = child[node]
            if left < 0:
                for k in range(span[node, 0], span[node, 1]):
                    d, x, y, z = _on_triangle(px, py, pz, corners[order[k]])
                    if d < best:
                        best, found, bx, by, bz = d, order[k], x, y, z
                continue
            # the nearer child is looked at first, so that the other one is often not opened
            one, other = _box_distance2(px, py, pz, low, high, left), _box_distance2(px, py, pz, low, high, left + 1)
            swap = one > other
            stack[top], away[top] = (left, one) if swap else (left + 1, other)
            stack[top + 1], away[top + 1] = (left + 1, other) if swap else (left, one)
            top += 2
        distance[n], face[n] = np.sqrt(best), found
        closest[n, 0], closest[n, 1], closest[n, 2] = bx, by, bz
