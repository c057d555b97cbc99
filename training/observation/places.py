"""The same points of the face on every head: chosen on the default model, found on others by registration."""

from __future__ import annotations

from dataclasses import dataclass

import facefit  # noqa: F401  before torch and numpy: it sets their threads

import numpy as np  # isort: skip
from scipy import sparse
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import Delaunay

from facefit.anatomy.landmarks import FACE_OVAL, IRISES
from facefit.anatomy.parts import LABEL
from facefit.compute.derived import derived
from facefit.convert.dense_points import face_samples
from facefit.convert.surface_fit import SurfaceFit, fit_surface
from facefit.geometry.closest_point import ClosestPoint
from facefit.geometry.mesh_graph import mesh_edges
from facefit.geometry.polygon import inside
from facefit.geometry.triangles import triangle_weights
from facefit.model.face_model import FaceModel
from facefit.observe.dense import DensePoints, load_points
from facefit.observe.dense_surface import landmark_surface
from facefit.render.lighting import vertex_normals
from facefit.synth.heads import SKIN, Head

COUNT = 520  # at most
FACING = -0.1  # cosine to the front on the mean face; less is seen from the side alone
FAR = 3.0  # mm between a registered point and the surface; more is another place
SKIN_FAR = 4.0  # the same for the colours of skin, which need less
LONGEST = 14.0  # mm of an edge
DETOUR, ROUND = 1.35, 0.5  # way along the surface over an edge's length, and mm: more, and it crosses a slit
_PARTS = ("skin", "nose", "right_eye", "left_eye", "right_brow", "left_brow", "upper_lip", "lower_lip")


@dataclass(frozen=True)
class Places:
    """P points of a mesh: corners (P, 3) vertex numbers, shares (P, 3) float32, known (P,) bool whether it has them."""

    corners: np.ndarray
    shares: np.ndarray
    known: np.ndarray

    def of(self, values: np.ndarray) -> np.ndarray:
        """(V, C) at the vertices -> (P, C)."""
        return np.einsum("pc,pcd->pd", self.shares, values[self.corners])


def chosen(model: FaceModel) -> np.ndarray:
    """(P,) vertices of the default model, evenly over what the landmarks surround of the face, eyeballs left out."""
    return derived(model, "points of the observation", _chosen)


def _chosen(model: FaceModel) -> np.ndarray:
    verts = model.verts.numpy()
    oval = model.landmarks(model.verts[None])[0, list(FACE_OVAL), :2].numpy().astype(np.float64)
    front = vertex_normals(model.verts[None], model.faces)[0, :, 2].numpy()
    of_face = np.isin(model.vertex_label.numpy(), [LABEL[name] for name in _PARTS]) & (model.eyeball.numpy() == 0)
    candidates = np.flatnonzero(of_face & (front > FACING) & inside(verts[:, :2].astype(np.float64), oval))
    side = 2.0  # mm of the cells of which each gives one
    while True:
        cells = np.floor(verts[candidates] / side).astype(int)
        first = np.unique(cells, axis=0, return_index=True)[1]
        if len(first) <= COUNT:
            return np.sort(candidates[first])
        side *= 1.05


def definition(model: FaceModel) -> DensePoints:
    """The points as the fit has them: on the landmarks' surface of the default model's mean face, with their edges.

    Once they are bundled they stay, also when the head changes where they are not: what was learned is of them.
    """
    landmarks = model.landmarks(model.verts[None])[0].numpy().astype(np.float64)
    index = chosen(model)
    surface = landmark_surface(landmarks, model.verts.numpy()[index].astype(np.float64))
    return DensePoints(surface, edges_between(model, index), index)


def edges_between(model: FaceModel, index: np.ndarray) -> np.ndarray:
    """(E, 2) neighbours among the vertices `index`, seen from the front."""
    verts = model.verts.double().numpy()
    triangles = Delaunay(verts[index, :2]).simplices
    edges = mesh_edges(triangles.astype(np.int64))
    length = np.linalg.norm(verts[index[edges[:, 0]]] - verts[index[edges[:, 1]]], axis=1)
    of_mesh = mesh_edges(model.faces.numpy())
    step = np.linalg.norm(verts[of_mesh[:, 0]] - verts[of_mesh[:, 1]], axis=1)
    graph = sparse.csr_matrix((step, of_mesh.T), shape=(len(verts), len(verts)))
    way = dijkstra(graph, directed=False, indices=index, limit=2 * LONGEST)[:, index][edges[:, 0], edges[:, 1]]
    return edges[(way < DETOUR * length + ROUND) & (length < LONGEST)]


def on_own() -> Places:
    """The points on the default model itself."""
    index = load_points().vertices
    corners = np.stack([index] * 3, 1)
    return Places(corners, np.tile(np.array([1, 0, 0], np.float32), (len(index), 1)), np.ones(len(index), bool))


def register(model: FaceModel, head: Head) -> SurfaceFit:
    """The default model fitted to another head's mean face."""
    landmarks = head.landmarks(head.verts).astype(np.float64)
    samples = face_samples(head.verts.astype(np.float64), head.faces[head.kind == SKIN], landmarks)
    landmarks[IRISES] = np.nan
    return fit_surface(model, samples, landmarks, size=False)


def on_other(head: Head, fit: SurfaceFit) -> Places:
    """The points on a head to whose mean face the default model was fitted."""
    return _closest(fit.motion(fit.verts)[load_points().vertices], head.verts, head.faces[head.kind == SKIN], FAR)


def skins_on_other(model: FaceModel, head: Head, fit: SurfaceFit) -> Places:
    """For every vertex of the head its place on the default model."""
    faces = model.faces.numpy()
    faces = faces[(model.eyeball.numpy()[faces] == 0).all(1)]
    return _closest(head.verts.astype(np.float64), fit.motion(fit.verts), faces, SKIN_FAR)


def _closest(points: np.ndarray, verts: np.ndarray, faces: np.ndarray, far: float) -> Places:
    verts = verts.astype(np.float64)
    distance, closest, face = ClosestPoint(verts, faces)(points)
    shares = triangle_weights(closest, verts[faces[face]])
    return Places(faces[face], shares.astype(np.float32), distance < far)
