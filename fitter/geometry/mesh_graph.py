"""A mesh as a graph: the sides of its polygons, its edges, its connected pieces."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph


def polygon_sides(polygons: np.ndarray) -> np.ndarray:
    """(F, K) corners in order -> (K F, 2) both ends of every side, along the winding: all first sides, then all second
    ones. A side that two polygons share is there twice."""
    corners = polygons.shape[1]
    return np.concatenate([polygons[:, [corner, (corner + 1) % corners]] for corner in range(corners)])


def edge_table(polygons: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The edges of a mesh, each once, and who has them.

    Args:
        polygons: (F, K) vertex indices, none negative.
    Returns:
        (E, 2) edges, the lower vertex first, in rising order; (F, K) the edge along each side (side k runs from corner
        k to the next); (E,) how many polygons have it.
    """
    low, high = np.sort(polygon_sides(polygons).astype(np.int64), 1).T
    count = int(high.max(initial=0)) + 1
    # one number per edge: seven times faster than np.unique over rows
    key, inverse, uses = np.unique(low * count + high, return_inverse=True, return_counts=True)
    return np.stack(np.divmod(key, count), 1), inverse.reshape(polygons.shape[1], -1).T, uses


def mesh_edges(polygons: np.ndarray) -> np.ndarray:
    """(F, K) -> (E, 2) the edges of a mesh, each once, the lower vertex first, in rising order."""
    return edge_table(polygons)[0]


def edge_matrix(edges: np.ndarray, values: np.ndarray, count: int) -> sparse.csr_matrix:
    """(count, count) symmetric: the value (E,) of each edge (E, 2) in both directions."""
    half = sparse.coo_matrix((values, (edges[:, 0], edges[:, 1])), (count, count))
    return (half + half.T).tocsr()


def connected_pieces(edges: np.ndarray, count: int) -> np.ndarray:
    """(E, 2) edges (any number of times) between `count` vertices -> (count,) int32 number of each one's piece."""
    graph = sparse.coo_matrix((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), (count, count))
    return csgraph.connected_components(graph, directed=False)[1].astype(np.int32)


def largest_piece(inside: np.ndarray, polygons: np.ndarray, counted: np.ndarray | None = None) -> np.ndarray:
    """The largest connected piece of some vertices over the mesh's edges.

    Args:
        inside: (V,) bool. polygons: (F, K) vertex indices.
        counted: (V,) bool; the piece with most of these is the largest. Default: all count.
    Returns:
        (V,) bool, a subset of `inside`.
    """
    sides = polygon_sides(polygons)
    piece = connected_pieces(sides[inside[sides].all(1)], len(inside))
    size = np.bincount(piece[inside], None if counted is None else counted[inside], minlength=piece.max() + 1)
    return inside & (piece == size.argmax())
