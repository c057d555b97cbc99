"""Triangles of a mesh: normals, weights, samples."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def vertex_normals(verts: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 3), (F, 3) counter-clockwise -> (V, 3) unit normals, area-weighted; (0, 0, 1) where no triangle has area."""
    return _unit(_on_corners(_crosses(verts[faces]), faces, len(verts)))


def moved_normals(
    verts: np.ndarray, faces: np.ndarray, moves: Iterable[np.ndarray]
) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """What displacements of vertices do to their normals.

    Args:
        verts: (V, 3); faces: (F, 3) as in `vertex_normals`; moves: (V, 3) each, most rows of which may be zero.
    Returns:
        (V, 3) unit normals, and for each displacement (N,) the vertices of the triangles that it moves, in rising
        order, and (N, 3) by how much their unit normals change.
    """
    area = _crosses(verts[faces])
    total = _on_corners(area, faces, len(verts))
    normals = _unit(total)
    turned = []
    for move in moves:
        touched = np.flatnonzero((move != 0).any(axis=1)[faces].any(axis=1))
        near = faces[touched]
        mask = np.zeros(len(verts), bool)
        mask[near] = True
        rows, number = np.flatnonzero(mask), np.cumsum(mask) - 1
        change = _on_corners(_crosses((verts + move)[near]) - area[touched], number[near], len(rows))
        turned.append((rows, _unit(total[rows] + change) - normals[rows]))
    return normals, turned


def _crosses(corners: np.ndarray) -> np.ndarray:
    """(N, 3, 3) corners -> (N, 3) normals of twice the triangles' area."""
    (ax, ay, az), (bx, by, bz) = (corners[:, 1] - corners[:, 0]).T, (corners[:, 2] - corners[:, 0]).T
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], -1)  # np.cross takes twice as long


def _on_corners(values: np.ndarray, faces: np.ndarray, count: int) -> np.ndarray:
    """(F, 3) of triangles -> (count, 3) sums over the triangles of each vertex."""
    index = faces.reshape(-1)
    return np.stack([np.bincount(index, np.repeat(values[:, k], 3), count) for k in range(3)], -1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(length > 0, vectors / np.where(length > 0, length, 1.0), (0.0, 0.0, 1.0))


def sample_surface(verts: np.ndarray, faces: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """(V, 3), (F, 3) -> (count, 3) points spread over the triangles in proportion to their area; see
    `sample_triangles`."""
    corners = verts[faces]
    chosen, weights = sample_triangles(corners, count, seed)
    return (corners[chosen] * weights[:, :, None]).sum(1)


def sample_triangles(triangles: np.ndarray, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Where to take samples that are spread over (F, 3, 3) triangles in proportion to their area.

    Returns:
        (count,) triangle and (count, 3) weights of its corners.
    Raises:
        ValueError: no triangle has area.
    Source: Osada et al. 2002, Shape Distributions, sec. 4.2 (the root makes the density even).
    """
    rng = np.random.default_rng(seed)
    area = triangle_areas(triangles)
    if not area.sum() > 0:
        raise ValueError("the surface has no area to sample")
    chosen = rng.choice(len(triangles), count, p=area / area.sum())
    root, along = np.sqrt(rng.random(count)), rng.random(count)
    return chosen, np.stack([1 - root, root * (1 - along), root * along], -1)


def triangle_areas(triangles: np.ndarray) -> np.ndarray:
    """(N, 3, 3) corners -> (N,) areas."""
    a, b, c = triangles.transpose(1, 0, 2)
    return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)


def triangle_normals(triangles: np.ndarray) -> np.ndarray:
    """(N, 3, 3) corners -> (N, 3) unit normals."""
    normal = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)


def triangle_weights(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(N, 3) barycentric weights of points (N, 3) on their triangles (N, 3, 3): not negative, summing to 1.

    Of a triangle without area all weight is its first corner's.
    """
    a, b, c = triangles.transpose(1, 0, 2)
    cross = np.cross(b - a, c - a)
    area = np.maximum((cross**2).sum(1), 1e-18)
    v = (np.cross(points - a, c - a) * cross).sum(1) / area
    w = (np.cross(b - a, points - a) * cross).sum(1) / area
    out = np.clip(np.stack([1 - v - w, v, w], 1), 0, 1)
    return out / np.maximum(out.sum(1, keepdims=True), 1e-12)


def vertex_tangents(verts: np.ndarray, uv: np.ndarray, faces: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """(V, 4) float64: the unit tangent along which u grows, square to the normal, and the sign w with which w normal x
    tangent is the way that v grows: what a normal map's red and green are told in.

    Args:
        verts: (V, 3); uv: (V, 2), v up; faces: (F, 3) into both; normals: (V, 3) units.
    """
    (first, second), (du, dv) = (
        np.moveaxis(of[faces[:, 1:]] - of[faces[:, :1]], 1, 0) for of in (verts, uv)
    )  # fmt: skip
    sign = np.sign(du[:, 0] * dv[:, 1] - dv[:, 0] * du[:, 1])[:, None]
    along = sign * (dv[:, 1:] * first - du[:, 1:] * second)
    across = sign * (du[:, :1] * second - dv[:, :1] * first)
    summed = np.zeros((2, *verts.shape))
    for corner in faces.T:
        np.add.at(summed[0], corner, along)
        np.add.at(summed[1], corner, across)
    tangent = summed[0] - normals * (summed[0] * normals).sum(1, keepdims=True)
    length = np.linalg.norm(tangent, axis=1)
    least = np.eye(3)[np.abs(normals).argmin(1)]  # where the layout says nothing, any tangent
    tangent = np.where((length > 1e-12)[:, None], tangent, np.cross(normals, least))
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    w = np.where((np.cross(normals, tangent) * summed[1]).sum(1) < 0, -1.0, 1.0)
    return np.concatenate([tangent, w[:, None]], 1)
