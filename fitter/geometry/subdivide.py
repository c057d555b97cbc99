"""Catmull-Clark subdivision of an open quad mesh as a sparse matrix, so that it is stored once and not per component.

Source: Catmull and Clark 1978; boundary rules of Biermann et al. 2000 (the boundary becomes a cubic B-spline).
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix, vstack

from .mesh_graph import edge_table


def split_quads(quads: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each quad into four. New vertices: the `count` old ones, then one per edge, then one per quad.

    Args:
        quads: (Q, 4) indices below `count`.
    Returns:
        (4 Q, 4) new quads, (E, 2) edges, (Q, 4) edge indices of each quad.
    """
    edges, quad_edges, _ = edge_table(quads)
    middle = count + quad_edges
    centre = (count + len(edges) + np.arange(len(quads)))[:, None]
    parts = []
    for k in range(4):
        parts.append(np.concatenate([quads[:, [k]], middle[:, [k]], centre, middle[:, [k - 1]]], 1))
    return np.stack(parts, 1).reshape(-1, 4), edges, quad_edges


def _matrix(rows: list, columns: list, values: list, shape: tuple[int, int]) -> csr_matrix:
    return csr_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=shape)


def linear(quads: np.ndarray, count: int) -> tuple[csr_matrix, np.ndarray]:
    """Bilinear subdivision (edge and quad midpoints): what texture coordinates need.

    Args:
        quads: (Q, 4) indices below `count`.
    Returns:
        (V, count) matrix and the (4 Q, 4) new quads, numbered as `catmull_clark` numbers them.
    """
    new, edges, _ = split_quads(quads, count)
    e, q = len(edges), len(quads)
    rows = [np.arange(count), count + np.repeat(np.arange(e), 2), count + e + np.repeat(np.arange(q), 4)]
    columns = [np.arange(count), edges.ravel(), quads.ravel()]
    values = [np.ones(count), np.full(2 * e, 0.5), np.full(4 * q, 0.25)]
    return _matrix(rows, columns, values, (count + e + q, count)), new


def catmull_clark(quads: np.ndarray, count: int) -> tuple[csr_matrix, np.ndarray]:
    """One level of Catmull-Clark.

    Args:
        quads: (Q, 4) indices below `count`, the number of vertices; vertices that no quad uses stay where they are.
    Returns:
        (V, count) matrix whose rows sum to 1, and the (4 Q, 4) new quads.
    """
    new, edges, quad_edges = split_quads(quads, count)
    faces_at_edge = edge_table(quads)[2]
    e, q = len(edges), len(quads)
    face_points = csr_matrix((np.full(4 * q, 0.25), (np.repeat(np.arange(q), 4), quads.ravel())), shape=(q, count))
    middle = csr_matrix((np.full(2 * e, 0.5), (np.repeat(np.arange(e), 2), edges.ravel())), shape=(e, count))

    inner = faces_at_edge == 2
    at_edge = csr_matrix((np.ones(4 * q), (quad_edges.ravel(), np.repeat(np.arange(q), 4))), shape=(e, q))
    half = csr_matrix((np.where(inner, 0.5, 1.0), (np.arange(e), np.arange(e))))
    quarter = csr_matrix((np.where(inner, 0.25, 0.0), (np.arange(e), np.arange(e))))
    edge_points = half @ middle + quarter @ (at_edge @ face_points)

    boundary_edge = ~inner
    on_boundary = np.zeros(count, bool)
    on_boundary[edges[boundary_edge].ravel()] = True
    valence = np.bincount(quads.ravel(), minlength=count)
    free = (valence > 0) & ~on_boundary
    n = np.where(free, np.maximum(valence, 1), 1).astype(float)
    vertex_faces = csr_matrix((np.ones(4 * q), (quads.ravel(), np.repeat(np.arange(q), 4))), shape=(count, q))
    vertex_edges = csr_matrix((np.ones(2 * e), (edges.ravel(), np.repeat(np.arange(e), 2))), shape=(count, e))
    scale_f = csr_matrix((np.where(free, 1 / n**2, 0), (np.arange(count), np.arange(count))))
    scale_e = csr_matrix((np.where(free, 2 / n**2, 0), (np.arange(count), np.arange(count))))
    keep = np.where(free, (n - 3) / n, np.where(on_boundary, 0.5, 1.0))
    vertex_points = (
        scale_f @ (vertex_faces @ face_points)
        + scale_e @ (vertex_edges @ middle)
        + csr_matrix((keep, (np.arange(count), np.arange(count))))
    )
    # boundary vertex: 1/8, 6/8, 1/8 = half of itself and half of the mean of its two boundary edges' midpoints
    selected = csr_matrix((boundary_edge.astype(float), (np.arange(e), np.arange(e))))
    at_boundary = vertex_edges @ selected
    degree = np.maximum(np.asarray(at_boundary.sum(1)).ravel(), 1)
    scale_b = csr_matrix((np.where(on_boundary, 0.5 / degree, 0), (np.arange(count), np.arange(count))))
    vertex_points = vertex_points + scale_b @ (at_boundary @ middle)

    return csr_matrix(vstack([vertex_points, edge_points, face_points])), new


def triangulate(quads: np.ndarray, verts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quads -> triangles along the shorter diagonal.

    Args:
        quads: (Q, 4) indices into `verts` (V, 3).
    Returns:
        (2 Q, 3) triangles, and (2 Q, 3) which corner 0 to 3 of its quad each of theirs is, to cut texture quads the
        same way.
    """
    d02 = np.linalg.norm(verts[quads[:, 0]] - verts[quads[:, 2]], axis=1)
    d13 = np.linalg.norm(verts[quads[:, 1]] - verts[quads[:, 3]], axis=1)
    first = d02 <= d13 + 1e-6
    corner = np.where(first[:, None, None], [[0, 1, 2], [0, 2, 3]], [[0, 1, 3], [1, 2, 3]]).reshape(-1, 3)
    owner = np.repeat(np.arange(len(quads)), 2)
    return quads[owner[:, None], corner], corner


def padded(matrix: csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """(V, N) sparse rows -> (V, K) int32 indices and float32 weights, zero weight where a row has fewer entries."""
    matrix = csr_matrix(matrix)
    matrix.eliminate_zeros()
    matrix.sort_indices()
    lengths = np.diff(matrix.indptr)
    width = int(lengths.max())
    index = np.zeros((matrix.shape[0], width), np.int32)
    weight = np.zeros((matrix.shape[0], width), np.float32)
    column = np.arange(len(matrix.indices)) - np.repeat(matrix.indptr[:-1], lengths)
    row = np.repeat(np.arange(matrix.shape[0]), lengths)
    index[row, column] = matrix.indices
    weight[row, column] = matrix.data
    return index, weight
