"""The patch of skin on which a surface is refined: where it may move, and derivatives on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from scipy.sparse import csgraph
from scipy.sparse.linalg import SuperLU, splu

from ..anatomy.parts import LABEL
from ..compute.derived import derived
from ..compute.smoothstep import smoothstep
from ..geometry.camera import Camera
from ..geometry.mesh_graph import edge_table, largest_piece
from ..geometry.triangles import vertex_normals
from ..model.face_model import FaceModel
from ..render.view import make_window, view
from ..scene.part_picture import mesh_faces
from .visibility import visible

FADE = 4.0  # mm from the patch's borders (eyes, mouth line, hair line, neck) over which a displacement dies out

# Directions (degrees of yaw and pitch) from which a vertex is looked at: what most of them do not see is a nostril, the
# corner of an eye or a fold, where no photo shows what the light does.
_LOOKS = ((0, 0), (-30, 0), (30, 0), (-60, 0), (60, 0), (0, 25), (0, -25), (-35, 20), (35, 20))
_OPEN = 3  # of them have to see it

_PARTS = ("skin", "nose", "right_brow", "left_brow", "upper_lip", "lower_lip")
_REACH = 115.0  # mm from the middle of the face; further back landmarks and masks hold no fit


@dataclass(frozen=True)
class Patch:
    """N vertices of a mesh and their M triangles, with derivatives on the surface.

    Attributes:
        vertices: (N,) their places among the mesh's. points, normals: (N, 3) mm and unit, of the neutral head.
        faces: (M, 3) places in the patch.
        fade: (N,) in [0, 1], how far a displacement counts there.
        skin: (N,) bool: bare skin, neither lips nor brows, which have colours of their own.
        gradient: three (N, N) matrices: a field's derivatives along x, y, z, 1/mm, tangential.
        mass: (N,) mm^2; stiffness: (N, N), the cotangent Laplacian's (a field's Dirichlet energy).
        edges: (E, 2) places; spacing: mm, their median length.
    """

    vertices: np.ndarray
    points: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    fade: np.ndarray
    skin: np.ndarray
    gradient: tuple[sparse.csr_matrix, sparse.csr_matrix, sparse.csr_matrix]
    mass: np.ndarray
    stiffness: sparse.csr_matrix
    edges: np.ndarray
    spacing: float

    @property
    def count(self) -> int:
        """N."""
        return len(self.vertices)

    def smoothed(self, values: np.ndarray, deviation: float) -> np.ndarray:
        """A field (N,) or fields (N, C) after diffusion over `deviation` mm (two implicit steps)."""
        if deviation <= 0:
            return values
        system = derived(self, ("diffusion", deviation), lambda own: own._diffusion(deviation))
        mass = self.mass if values.ndim == 1 else self.mass[:, None]
        return system.solve(mass * system.solve(mass * values))

    def _diffusion(self, deviation: float) -> SuperLU:
        return splu((sparse.diags(self.mass) + deviation**2 / 4 * self.stiffness).tocsc())

    def moved(self, displacement: np.ndarray) -> np.ndarray:
        """(N, 3) mm: the points displaced along their normals by (N,) mm."""
        return self.points + displacement[:, None] * self.normals


def skin_patch(model: FaceModel, verts: np.ndarray) -> Patch:
    """The face of a head without expression.

    Args:
        model: on the CPU. verts: (V, 3) mm, model space.
    """
    faces, label = mesh_faces(model), model.vertex_label.numpy()
    verts = np.asarray(verts, np.float64)
    middle = verts[faces[model.landmark_faces.numpy()]].mean(1).mean(0)
    keep = np.isin(label, [LABEL[name] for name in _PARTS]) & (model.eyeball.numpy() == 0)
    keep &= np.linalg.norm(verts - middle, axis=1) < _REACH
    seen = _openness(verts, faces)
    keep = largest_piece(keep & (seen >= _OPEN), faces)
    return surface_patch(verts, faces, keep, np.isin(label, [LABEL["skin"], LABEL["nose"]]))


def surface_patch(verts: np.ndarray, faces: np.ndarray, keep: np.ndarray, skin: np.ndarray) -> Patch:
    """Some vertices of a mesh with the triangles between them.

    Args:
        verts: (V, 3) mm; faces: (F, 3). keep: (V,) bool; one without a triangle is left out. skin: (V,) bool.
    """
    local = np.full(len(verts), -1)
    triangles = faces[keep[faces].all(1)]
    used = np.unique(triangles)
    local[used] = np.arange(len(used))
    triangles = local[triangles]
    points, count = verts[used], len(used)
    corners = points[triangles]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    double = np.maximum(np.linalg.norm(cross, axis=1), 1e-9)  # twice the areas
    normal = cross / double[:, None]
    # the gradient of each corner's hat function on its triangle
    hats = [np.cross(normal, corners[:, (k + 2) % 3] - corners[:, (k + 1) % 3]) / double[:, None] for k in range(3)]
    around = np.bincount(triangles.reshape(-1), np.repeat(double, 3), count)
    row = np.concatenate([triangles[:, i] for i in range(3) for _ in range(3)])
    column = np.concatenate([triangles[:, j] for _ in range(3) for j in range(3)])
    share = np.concatenate([double / around[triangles[:, i]] for i in range(3) for _ in range(3)])
    slopes = np.concatenate([hats[j] for _ in range(3) for j in range(3)])
    x, y, z = (sparse.csr_matrix((share * slopes[:, k], (row, column)), (count, count)) for k in range(3))
    energy = np.concatenate([(hats[i] * hats[j]).sum(1) * double / 2 for i in range(3) for j in range(3)])
    edges, _, uses = edge_table(triangles)
    length = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1)
    return Patch(
        vertices=used,
        points=points,
        normals=vertex_normals(verts, faces)[used],
        faces=triangles,
        fade=smoothstep(_border_distance(edges, length, uses, count) / FADE),
        skin=skin[used],
        gradient=(x, y, z),
        mass=around / 6,
        stiffness=sparse.csr_matrix((energy, (row, column)), (count, count)),
        edges=edges,
        spacing=float(np.median(length)),
    )


def _border_distance(edges: np.ndarray, length: np.ndarray, uses: np.ndarray, count: int) -> np.ndarray:
    """(N,) mm along the edges to where the patch ends."""
    graph = sparse.coo_matrix((length, (edges[:, 0], edges[:, 1])), (count, count)).tocsr()
    border = np.unique(edges[uses == 1])
    if len(border) == 0:
        return np.full(count, np.inf)
    return csgraph.dijkstra(graph, directed=False, indices=border, min_only=True)


def _openness(verts: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V,) from how many of _LOOKS a vertex is seen."""
    size, distance = 384, 5000.0
    seen = np.zeros(len(verts), int)
    for yaw, pitch in np.radians(_LOOKS):
        turn_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
        turn_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
        turned = verts @ (turn_x @ turn_y).T - np.array([0, 0, distance])
        extent = float(np.ptp(turned[:, :2], axis=0).max()) * 1.05
        focal = size * distance / extent
        middle = (turned[:, :2].max(0) + turned[:, :2].min(0)) / 2
        turned[:, :2] -= middle
        camera = Camera(torch.full((1, 2), focal), torch.full((1, 2), size / 2))
        depth = view(turned, faces, camera, make_window((0.0, 0.0), size, size)).depth
        pixels = size / 2 + focal * turned[:, :2] / -turned[:, 2:] * (1, -1)
        facing = vertex_normals(turned, faces)[:, 2]
        seen += visible(-turned[:, 2], pixels, depth, extent / size) & (facing > 0)
    return seen
