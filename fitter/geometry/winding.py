"""Which side of a triangle is outside. Publishers disagree: BFM 2009 and FaceVerse wind clockwise, FLAME does not."""

from __future__ import annotations

import numpy as np

from ..errors import ModelError


def outward(verts: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Triangles counter-clockwise seen from outside: all of them turned, or none.

    A head or a mask of a face lies around its own centre, so its normals point away from it on the whole; the mouth's
    inside and other folds that do not are small.

    Args:
        verts: (V, 3) of any unit. faces: (F, 3).
    Returns:
        (F, 3).
    Raises:
        ModelError: a triangle uses a vertex that is not there.
    """
    if faces.size and (faces.min() < 0 or faces.max() >= len(verts)):
        raise ModelError(f"faces runs from {faces.min()} to {faces.max()}; accepted: 0 to {len(verts) - 1}")
    a, b, c = (verts[faces[:, corner]].astype(np.float64) for corner in range(3))
    normal = np.cross(b - a, c - a)  # twice the area long
    away = (a + b + c) / 3 - verts.mean(0)
    return faces if np.einsum("fk,fk->", normal, away) >= 0 else faces[:, ::-1]
