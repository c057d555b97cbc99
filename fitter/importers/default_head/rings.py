"""Rings of control vertices around the openings of the face, as the base mesh has them around eyes and mouth."""

from __future__ import annotations

import numpy as np

from ...geometry.mesh_graph import polygon_sides


def neighbours(quads: np.ndarray) -> dict[int, set[int]]:
    """Vertex -> the vertices that an edge joins it to."""
    sides = polygon_sides(quads)
    around: dict[int, set[int]] = {}
    for a, b in np.concatenate([sides, sides[:, ::-1]]).tolist():
        around.setdefault(a, set()).add(b)
    return around


def grow_rings(loop: np.ndarray, around: dict[int, set[int]], verts: np.ndarray, count: int) -> np.ndarray:
    """(count, N) the loop (N,) and the rings of vertices beyond it, column by column; -1 where a column ends.

    Args:
        around: of each vertex the neighbours on the side that the rings grow to, and on the loop.
        verts: (C, 3); where a vertex has several ways on, the one that goes straight on counts.
    """
    column = np.full((count, len(loop)), -1)
    column[0] = loop
    seen = set(loop.tolist())
    for ring in range(1, count):
        ahead = [sorted(around.get(int(v), set()) - seen) for v in column[ring - 1]]
        for n, ways in enumerate(ahead):
            if ways:
                here = verts[column[ring - 1, n]]
                back = here - verts[column[max(ring - 2, 0), n]]
                column[ring, n] = max(ways, key=lambda w: _cosine(verts[w] - here, back))
        seen |= {w for ways in ahead for w in ways}
    return column


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-9))


def two_sides(edge: np.ndarray, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """The columns of a ring above and below, both from column `first` to column `last`, which belong to neither.

    Args:
        edge: (N, 3) the ring's vertices.
    """
    count = len(edge)
    one = np.arange(first + 1, first + 1 + (last - first - 1) % count) % count
    other = np.arange(first - 1, first - 1 - (first - last - 1) % count, -1) % count
    return (one, other) if edge[one, 1].mean() > edge[other, 1].mean() else (other, one)


def opposite(x: np.ndarray, mine: np.ndarray, chain: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each column of `mine` (M,) the two neighbours in `chain` (N,) between which it lies, and how far (M, 1).

    Args:
        x: (columns,) mm by which they are compared, rising along the chain.
    """
    at = np.interp(x[mine], x[chain], np.arange(len(chain)))
    first = np.minimum(np.floor(at).astype(int), len(chain) - 2)
    return chain[first], chain[first + 1], (at - first)[:, None]
