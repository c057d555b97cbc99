"""Deformation transfer: what a shape does to one surface, done to another of the same triangles.

Each triangle is turned, stretched and sheared as on the first surface; the second one's vertices are those that come
closest to that in all triangles at once, a Poisson equation with one matrix for all shapes.

Source: Sumner and Popovic 2004, "Deformation transfer for triangle meshes", sec. 3; Botsch et al. 2006, "Deformation
transfer for detail-preserving surface editing", sec. 3 (the same as a Poisson equation).
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from ..compute.sparse_solve import factored

STILL = 0.1  # mm; a vertex that no shape moves further holds its place
REACH = 400.0  # mm over which a moving vertex is drawn to the first surface's displacement: a shape has no other place
THIN = 1e-3  # of a triangle's longest edge squared: less area than that is no direction


class Carrier:
    """Two surfaces of the same triangles.

    Args:
        first, second: (V, 3) mm. faces: (F, 3).
        moved: (V,) mm, how far the shapes move each vertex of the first surface at most.
    """

    def __init__(self, first: np.ndarray, second: np.ndarray, faces: np.ndarray, moved: np.ndarray) -> None:
        self.faces, self.first = faces, first
        self.frames = np.linalg.inv(_frames(first[faces]))
        corners = second[faces]
        self.weights = _cotangents(corners)
        # (F, 3, 3): side k runs against corner k
        self.sides = np.roll(corners, -1, 1) - np.roll(corners, 1, 1)
        self.pull = vertex_areas(second, faces) * np.where(moved < STILL, 1e3 / STILL, 1 / REACH**2)
        self.solver = factored(stiffness(self.weights, faces, len(second)) + sparse.diags(self.pull))

    def __call__(self, shape: np.ndarray) -> np.ndarray:
        """(V, 3) mm, a shape's displacement of the first surface -> (V, 3) mm of the second."""
        turn = _frames((self.first + shape)[self.faces]) @ self.frames - np.eye(3)
        change = self.weights[:, :, None] * np.einsum("fab,fkb->fka", turn, self.sides)
        right = self.pull[:, None] * shape
        for corner in range(3):
            # side k runs from corner k + 2 to corner k + 1
            for end, sign in (((corner + 1) % 3, 1.0), ((corner + 2) % 3, -1.0)):
                at = self.faces[:, end]
                for axis in range(3):
                    right[:, axis] += np.bincount(at, sign * change[:, corner, axis], len(right))
        return self.solver.solve(right)


def _frames(corners: np.ndarray) -> np.ndarray:
    """(F, 3, 3) corners -> (F, 3, 3) with two sides and a normal of their length as columns."""
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    normal = np.cross(first, second)
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    longest = np.maximum((first**2).sum(1), (second**2).sum(1))[:, None]
    normal = normal / np.sqrt(np.maximum(length, THIN * longest + 1e-12))
    return np.stack([first, second, normal], 2)


def _cotangents(corners: np.ndarray) -> np.ndarray:
    """(F, 3, 3) corners -> (F, 3) half the cotangent of the angle at each corner."""
    out = np.empty(corners.shape[:2])
    for k in range(3):
        u, v = corners[:, (k + 1) % 3] - corners[:, k], corners[:, (k + 2) % 3] - corners[:, k]
        area = np.linalg.norm(np.cross(u, v), axis=1)
        longest = np.maximum((u**2).sum(1), (v**2).sum(1))
        out[:, k] = 0.5 * (u * v).sum(1) / np.maximum(area, THIN * longest + 1e-12)
    return out


def stiffness(weights: np.ndarray, faces: np.ndarray, count: int) -> sparse.csc_matrix:
    """(count, count) of the weights (F, 3) of the sides against each corner."""
    row, column = np.roll(faces, -1, 1).ravel(), np.roll(faces, 1, 1).ravel()
    half = sparse.coo_matrix((weights.ravel(), (row, column)), (count, count))
    both = (half + half.T).tocsc()
    return (sparse.diags(np.asarray(both.sum(1))[:, 0]) - both).tocsc()


def stiffness_of(verts: np.ndarray, faces: np.ndarray) -> sparse.csc_matrix:
    """(V, V) of a surface (V, 3), (F, 3): the Laplace-Beltrami operator without the areas, positive semidefinite."""
    return stiffness(_cotangents(verts[faces]), faces, len(verts))


def vertex_areas(verts: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V,) mm^2, a third of the triangles around each vertex; a hair where there is none."""
    corners = verts[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 6
    return np.maximum(np.bincount(faces.ravel(), np.repeat(area, 3), len(verts)), 1e-6)
