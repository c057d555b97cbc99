"""A mesh as a graph: its connected pieces."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph


def largest_piece(inside: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V,) bool -> its largest connected piece over the triangles' edges."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    pairs = pairs[inside[pairs].all(1)]
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(inside),) * 2)
    _, piece = connected_components(graph, directed=False)
    count = np.bincount(piece[inside], minlength=piece.max() + 1)
    return inside & (piece == count.argmax())


def _components(faces: np.ndarray, count: int) -> np.ndarray:
    """(V,) number of the connected piece of the mesh that each vertex belongs to."""
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    graph = sparse.coo_matrix((np.ones(len(ends), np.int8), ends.T), (count, count))
    return csgraph.connected_components(graph, directed=False)[1].astype(np.int32)
