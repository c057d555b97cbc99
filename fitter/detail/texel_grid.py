"""A patch of surface as a grid of texels: differences between neighbours, in millimetres of the surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

_SMALLEST = 1e-6  # mm^2 of a texel


@dataclass(frozen=True)
class TexelGrid:
    """N texels of a texture, row 0 at v = 1, and how the surface goes on from each to its neighbours.

    What lies beyond the texels counts as 0: a height on them ends there.

    Attributes:
        inside: (T, T) bool: the texels, in the order of their rows.
        corner: (N, 3) vertices of the triangle that a texel lies on; bary: (N, 3) their weights.
        right, down: (N, 3) unit-free gradients of column and row on the surface, 1/mm: a height's slope is its
            difference along columns times `right` plus that along rows times `down`.
        area: (N,) mm^2 of a texel.
        neighbours: (4, N) places of the left, right, upper and lower neighbour; N where there is none.
    """

    inside: np.ndarray
    corner: np.ndarray
    bary: np.ndarray
    right: np.ndarray
    down: np.ndarray
    area: np.ndarray
    neighbours: np.ndarray

    @property
    def count(self) -> int:
        """N."""
        return len(self.corner)

    def of_vertices(self, values: np.ndarray) -> np.ndarray:
        """(V,) or (V, C) -> (N,) or (N, C)."""
        return np.einsum("nk,nk...->n...", self.bary, values[self.corner])

    def differences(self) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
        """(N, N) each: central differences along columns and along rows, of a texel."""
        left, right, upper, lower = self.neighbours
        return self._matrix(((right, 0.5), (left, -0.5))), self._matrix(((lower, 0.5), (upper, -0.5)))

    def laplacian(self) -> sparse.csr_matrix:
        """(N, N) the surface Laplacian, 1/mm^2, by the second differences of either direction."""
        across = (self.right**2).sum(1)
        along = (self.down**2).sum(1)
        parts = [(place, share) for place, share in zip(self.neighbours, (across, across, along, along), strict=True)]
        return self._matrix(parts) - sparse.diags(2 * (across + along))

    def slope(self, height: np.ndarray) -> np.ndarray:
        """(N,) mm -> (N, 3) its gradient on the surface."""
        by_column, by_row = (matrix @ height for matrix in self.differences())
        return by_column[:, None] * self.right + by_row[:, None] * self.down

    def axes(self) -> tuple[np.ndarray, np.ndarray]:
        """Two orthogonal unit tangents (N, 3): the way that columns go on, and up across it, as in glTF's normal maps
        (their v points up the picture)."""
        share = (self.right * self.down).sum(1, keepdims=True) / (self.down**2).sum(1, keepdims=True)
        return _unit(self.right - share * self.down), -_unit(self.down)

    def picture(self, values: np.ndarray) -> np.ndarray:
        """(N,) or (N, C) -> (T, T) or (T, T, C), 0 elsewhere."""
        out = np.zeros((*self.inside.shape, *values.shape[1:]), values.dtype)
        out[self.inside] = values
        return out

    def _matrix(self, parts) -> sparse.csr_matrix:
        """The sum of what comes from neighbours: places (N,) and the weight, or weights (N,), of each."""
        row = np.arange(self.count)
        rows, columns, values = [], [], []
        for place, weight in parts:
            there = place < self.count
            rows.append(row[there])
            columns.append(place[there])
            values.append(np.broadcast_to(weight, self.count)[there])
        return sparse.csr_matrix(
            (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (self.count, self.count)
        )


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def texel_grid(
    face: np.ndarray, bary: np.ndarray, verts: np.ndarray, faces: np.ndarray, uv: np.ndarray, uv_faces: np.ndarray,
    keep: np.ndarray,
) -> TexelGrid:  # fmt: skip
    """The grid of some texels.

    Args:
        face: (T, T) triangle of each texel, -1 for none; bary: (T, T, 3) weights of its corners.
        verts: (V, 3) mm; faces: (F, 3). uv: (K, 2) in [0, 1], v up; uv_faces: (F, 3).
        keep: (T, T) bool, which texels; those of triangles without area in the layout are left out.
    """
    size = len(face)
    corners = uv[uv_faces] * (size, -size)  # columns and rows
    across, along = (corners[:, k] - corners[:, 0] for k in (1, 2))
    side, other = (verts[faces[:, k]] - verts[faces[:, 0]] for k in (1, 2))
    double = across[:, 0] * along[:, 1] - along[:, 0] * across[:, 1]  # texels^2
    known = np.abs(double) > 1e-9
    inverse = 1 / np.where(known, double, 1.0)[:, None]
    by_column = (side * along[:, 1:] - other * across[:, 1:]) * inverse  # mm of the surface a texel
    by_row = (other * across[:, :1] - side * along[:, :1]) * inverse
    xx, yy, xy = (by_column**2).sum(1), (by_row**2).sum(1), (by_column * by_row).sum(1)
    square = xx * yy - xy**2
    known &= square > _SMALLEST**2
    square = np.where(known, square, 1.0)[:, None]
    right = (yy[:, None] * by_column - xy[:, None] * by_row) / square
    down = (xx[:, None] * by_row - xy[:, None] * by_column) / square

    inside = keep & (face >= 0)
    inside[inside] = known[face[inside]]
    own = face[inside]
    number = np.full((size + 2, size + 2), len(own))
    number[1:-1, 1:-1][inside] = np.arange(len(own))
    around = (number[1:-1, :-2], number[1:-1, 2:], number[:-2, 1:-1], number[2:, 1:-1])
    return TexelGrid(
        inside=inside, corner=faces[own], bary=bary[inside].astype(np.float64), right=right[own], down=down[own],
        area=np.sqrt(square[own, 0]), neighbours=np.stack([each[inside] for each in around]),
    )  # fmt: skip
