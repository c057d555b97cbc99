"""Lids and lips that meet on one face in a shape, and meet on another one as well.

A face whose eyes or mouth are wider does not close by the same turns of its triangles. What is missing is shared by
both sides and fades into the skin around.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from ..compute.sparse_solve import factored
from .carry import stiffness_of, vertex_areas

CLOSED = 0.5  # mm that a closed opening has at most
FADE = 4.0  # mm of skin along which a correction dies away


class Contacts:
    """Pairs of points on a surface that may meet.

    Args:
        verts: (V, 3) mm, the surface that is corrected; faces: (F, 3).
        upper, lower: (P, V) sparse: rows of weights that give the points of each pair.
    """

    def __init__(
        self, verts: np.ndarray, faces: np.ndarray, upper: sparse.csr_matrix, lower: sparse.csr_matrix
    ) -> None:
        self.between = sparse.csr_matrix(upper - lower)
        area = sparse.diags(vertex_areas(verts, faces))
        solver = factored((area + FADE**2 * stiffness_of(verts, faces)).tocsc())
        # smoothed twice: no peaks at the points
        self.spread = solver.solve(area @ solver.solve(self.between.T.toarray()))
        self.met = self.between @ self.spread

    def apart(self, values: np.ndarray) -> np.ndarray:
        """(V, 3) vertices or displacements -> (P, 3) from lower to upper."""
        return self.between @ values

    def correction(self, wanted: np.ndarray, pairs: np.ndarray | Sequence[int]) -> np.ndarray:
        """(V, 3) mm that moves some of the pairs (N,) apart by `wanted` (N, 3) mm; others follow."""
        pairs = np.asarray(pairs)
        if len(pairs) == 0:
            return np.zeros((len(self.spread), 3))
        system = self.met[np.ix_(pairs, pairs)]
        return self.spread[:, pairs] @ np.linalg.solve(system, wanted)
