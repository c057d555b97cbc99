"""The points that facefit's dense network observes, as arrays of a model file."""

from __future__ import annotations

import numpy as np


def at_vertices(faces: np.ndarray, vertices: np.ndarray) -> dict[str, np.ndarray]:
    """`dense_faces` and `dense_bary` of points that are vertices of the mesh.

    Args:
        faces: (F, 3); vertices: (S,), each a corner of some triangle.
    """
    face, corner = np.full(faces.max() + 1, -1), np.zeros(faces.max() + 1, np.int64)
    for k in (2, 1, 0):
        face[faces[::-1, k]], corner[faces[::-1, k]] = np.arange(len(faces))[::-1], k
    bary = np.eye(3, dtype=np.float32)[corner[vertices]]
    return {"dense_faces": face[vertices].astype(np.int32), "dense_bary": bary}
