"""Rows of vertices along which the face's outline wanders."""

from __future__ import annotations

import numpy as np

from ..anatomy.landmarks import CHIN, FACE_OVAL, FOREHEAD, NOSE_TIP
from ..geometry.triangles import vertex_normals


def contour_rows(
    verts: np.ndarray, faces: np.ndarray, landmark_points: np.ndarray, allowed: np.ndarray, per_row: int = 24
) -> tuple[np.ndarray, np.ndarray]:
    """For each landmark of the face outline, the row of vertices across the cheek along which it may march.

    A row runs from in front of the landmark to behind it in the plane through the landmark, the middle of the face and
    the viewing axis, on the allowed part of the surface (Zhu et al. 2015, landmark marching).

    Args:
        verts: (V, 3) neutral mm; faces: (F, 3); landmark_points: (478, 3) on it; allowed: (V,) bool, skin without ears.
    Returns:
        (R, per_row) vertex indices, front to back, -1 pads; (R,) landmark numbers.
    """
    middle = landmark_points[[NOSE_TIP, CHIN, FOREHEAD]].mean(0)
    normals = vertex_normals(verts, faces)
    rows, numbers = [], []
    for k in FACE_OVAL:
        outward = landmark_points[k, :2] - middle[:2]
        outward /= np.linalg.norm(outward)
        across = np.array([-outward[1], outward[0]])
        offset = verts[:, :2] - landmark_points[k, :2]
        along, beside = offset @ outward, offset @ across
        depth = landmark_points[k, 2] - verts[:, 2]
        near = allowed & (np.abs(beside) < 2.5) & (along > -22) & (along < 14) & (depth > -30) & (depth < 32)
        near &= normals[:, 2] > -0.75
        candidates = np.flatnonzero(near)
        if len(candidates) == 0:
            continue
        order = candidates[np.argsort(depth[candidates])]
        # evenly from front to back
        pick = np.unique(np.linspace(0, len(order) - 1, min(per_row, len(order))).round().astype(int))
        row = np.full(per_row, -1)
        row[: len(pick)] = order[pick]
        rows.append(row)
        numbers.append(k)
    return np.array(rows), np.array(numbers)
