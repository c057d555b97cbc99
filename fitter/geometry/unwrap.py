"""Texture coordinates of a head: one disc, cut along the back of the head, the face enlarged, no triangle flipped.

A Tutte embedding (Tutte 1963; Floater 1997: positive weights and a convex boundary never fold), whose weights are then
re-scaled by the local stretch (Yoshizawa, Belyaev, Seidel 2004) so that texels fall where the wanted density asks.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.linalg import spsolve

from .mesh_graph import mesh_edges, polygon_sides
from .triangles import triangle_areas


def boundary_loops(triangles: np.ndarray) -> list[np.ndarray]:
    """(F, 3) oriented triangles -> boundary loops, (M,) vertices each in order, the longest (in vertices) first."""
    edges = polygon_sides(triangles)
    known = {(int(a), int(b)) for a, b in edges}
    following = {int(a): int(b) for a, b in edges if (int(b), int(a)) not in known}
    loops = []
    while following:
        start = min(following)
        loop = [start]
        nxt = following.pop(start)
        while nxt != start:
            loop.append(nxt)
            nxt = following.pop(nxt)
        loops.append(np.array(loop))
    return sorted(loops, key=len, reverse=True)


def unwrap_disc(
    verts: np.ndarray, triangles: np.ndarray, boundary: np.ndarray, boundary_uv: np.ndarray, density: np.ndarray,
    rounds: int = 60,
) -> np.ndarray:  # fmt: skip
    """A disc's texture coordinates by a Tutte embedding, re-weighted so that texels fall where `density` asks.

    Args:
        verts: (N, 3) mm; triangles: (F, 3); every hole but the outer boundary is closed by a virtual vertex inside.
        boundary: (M,) vertices of the outer boundary; boundary_uv: (M, 2) where they go, a convex polygon.
        density: (N,) wanted texels per mm, relative.
        rounds: of re-weighting; the best one is taken.
    Returns:
        (N, 2) texture coordinates.
    Source: Tutte 1963; Floater 1997; Yoshizawa, Belyaev, Seidel 2004.
    """
    count = len(verts)
    filled, points, dense = [triangles], [verts], [density]
    outer = set(boundary.tolist())
    for loop in boundary_loops(triangles):
        if loop[0] in outer:
            continue
        centre = count + sum(len(p) for p in points[1:])
        points.append(verts[loop].mean(0, keepdims=True))
        dense.append(density[loop].mean(keepdims=True))
        filled.append(np.stack([np.roll(loop, -1), loop, np.full(len(loop), centre)], 1))
    tri, pos, want = np.concatenate(filled), np.concatenate(points), np.concatenate(dense)
    total = len(pos)
    edges = mesh_edges(tri)
    pairs = np.unique(np.concatenate([edges, edges[:, ::-1]]), axis=0)
    length = np.linalg.norm(pos[pairs[:, 0]] - pos[pairs[:, 1]], axis=1)
    weight = 1.0 / np.maximum(length, 1e-3)
    fixed = np.zeros(total, bool)
    fixed[boundary] = True
    target = np.zeros((total, 2))
    target[boundary] = boundary_uv
    inside = np.flatnonzero(~fixed)
    local = np.full(total, -1)
    local[inside] = np.arange(len(inside))

    def embed(w: np.ndarray) -> np.ndarray:
        matrix = csr_matrix(coo_matrix((w, (pairs[:, 0], pairs[:, 1])), shape=(total, total)))
        matrix = matrix.multiply(1 / np.asarray(matrix.sum(1))).tocsr()
        rows = matrix[inside]
        system = csr_matrix(coo_matrix((np.ones(len(inside)), (range(len(inside)),) * 2))) - rows[:, inside]
        right = rows[:, np.flatnonzero(fixed)] @ target[fixed]
        uv = target.copy()
        uv[inside] = np.stack([spsolve(system.tocsc(), right[:, k]) for k in (0, 1)], 1)
        return uv

    surface = np.bincount(tri.ravel(), np.repeat(triangle_areas(pos[tri]), 3), minlength=total) + 1e-9

    def stretch(uv: np.ndarray) -> np.ndarray:
        """(N,) how much too small each vertex's surroundings lie in texture space, relative to the wanted density."""
        a, b, c = (uv[tri[:, k]] for k in range(3))
        area = 0.5 * np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
        area = np.bincount(tri.ravel(), np.repeat(area, 3), minlength=total) + 1e-12
        return np.sqrt(surface / area) * want

    uv = embed(weight)
    best, least = uv, np.inf
    for _ in range(rounds):
        s = stretch(uv)
        s = np.clip(s / np.median(s), 0.1, 10)
        score = float(np.average(s**2, weights=surface * want**2) / np.average(s, weights=surface * want**2) ** 2)
        if score < least:
            best, least = uv, score
        weight = weight / s[pairs[:, 1]] ** 0.5
        weight = weight / weight.mean()
        uv = embed(weight)
    return best[:count]
