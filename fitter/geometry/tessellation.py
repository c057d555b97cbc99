"""Triangles into four each, on the curved surface that the vertices' normals tell of; the given vertices stay.

Source: Boubekeur and Alexa 2008, Phong Tessellation, eq. 2 and 3.
"""

from __future__ import annotations

import numpy as np

from .mesh_graph import edge_table
from .triangles import vertex_normals

_CURVED = 0.5  # of the way from the flat edge to the planes at its ends, which on a ball is the ball (paper: 0.75)


def split_triangles(triangles: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Each triangle into four. New vertices: the `count` old ones, then one for each edge.

    Args:
        triangles: (F, 3) indices below `count`.
    Returns:
        (4 F, 3) new triangles, those of one old triangle after each other, and (E, 2) the edges.
    """
    edges, of_triangle, _ = edge_table(triangles)
    a, b, c = triangles.T
    ab, bc, ca = (count + of_triangle).T
    parts = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    return np.stack([np.stack(part, 1) for part in parts], 1).reshape(-1, 3), edges


def flat_middles(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(V, C) and, behind them, the mean of each edge's (E, 2) ends: (V + E, C)."""
    return np.concatenate([values, values[edges].mean(1)])


def curved_middles(verts: np.ndarray, faces: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(V, 3) and, behind them, a point over the middle of each edge (E, 2): (V + E, 3).

    Args:
        faces: (F, 3), whose normals say how the surface is curved.
    """
    normals = vertex_normals(verts, faces)
    ends, middle = verts[edges], verts[edges].mean(1)
    above = ((middle[:, None] - ends) * normals[edges]).sum(2, keepdims=True) * normals[edges]
    return np.concatenate([verts, middle - _CURVED * above.mean(1)])
