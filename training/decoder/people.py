"""People of both free head models on the default model's control vertices: two Gaussians of shapes.

The default model's people are its own components. ICT-FaceKit's are carried over: where the default model, laid on the
other's mean face, has a counterpart there, its vertices go where that goes; elsewhere (skull, ears, neck, eyes, mouth)
the surface follows as stiffly as it can the nearest of its own people.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import facefit  # noqa: F401  before torch and numpy: it sets their threads

import numpy as np  # isort: skip
import torch
from scipy import sparse
from scipy.sparse.linalg import splu

from facefit.anatomy.parts import LABEL
from facefit.convert.surface_fit import Samples, fit_surface, near_face
from facefit.geometry.closest_point import ClosestPoint
from facefit.geometry.mesh_graph import edge_matrix, mesh_edges
from facefit.geometry.triangles import sample_surface, triangle_weights
from facefit.model.face_model import FaceModel
from facefit.model.model_file import load_model

POINTS = 6000  # of the other model's mean face, to lay the default head on it
REACH = 4.0  # mm; farther, a vertex has no counterpart
STIFF = 0.3  # of the residual's curvature over the mesh's edges against how well counterparts are met
HOLD = 1e-3  # and of the residual itself, so that what has no counterpart comes to rest
HEAD = 0.01  # weight of a vertex of skull, ears and neck of the nearest own person, which shall stay where it is
RIDGE = 10.0  # mm^2 that a squared deviation of the default model costs, over all vertices


@dataclass(frozen=True)
class Population:
    """Shapes (C, 3) mm on control vertices: mean + coefficients (N, K) of deviations times basis (K, C, 3)."""

    mean: np.ndarray
    basis: np.ndarray

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """(count, C, 3) float32 mm."""
        return (self.mean + np.tensordot(rng.standard_normal((count, len(self.basis))), self.basis, 1)).astype(
            np.float32
        )


def own_people(arrays: dict[str, np.ndarray]) -> Population:
    """The default model's, of its file's arrays."""
    return Population(arrays["verts"].astype(np.float64), arrays["identity_basis"].astype(np.float64))


def carried_people(arrays: dict[str, np.ndarray], model: FaceModel, others: FaceModel) -> Population:
    """Another model's on the default model's control vertices. `arrays`: of the file that `model` is read from."""
    used, place, moves = _counterparts(model, others)
    upsample = upsampling(arrays)
    own = own_people(arrays)
    everywhere = np.stack([upsample @ shape for shape in own.basis], -1)  # (V, 3, I)
    count = len(own.basis)
    behind = everywhere[model.vertex_label.numpy() == LABEL["head"]].reshape(-1, count)
    basis, upsample = everywhere[used].reshape(-1, count), upsample[used]
    wanted = np.concatenate([(place - upsample @ own.mean)[None], moves])  # (1 + N, V', 3)
    flat = wanted.reshape(len(wanted), -1).T
    found = np.linalg.solve(basis.T @ basis + HEAD * behind.T @ behind + RIDGE * np.eye(count), basis.T @ flat)
    near = np.tensordot(found.T, own.basis, 1)  # (1 + N, C, 3)
    left = (flat - basis @ found).T.reshape(wanted.shape)
    links = (neighbours(arrays, model) > 0).astype(np.float64)
    degree = np.asarray(links.sum(1))[:, 0]
    laplacian = sparse.diags(degree) - links
    system = (
        upsample.T @ upsample
        + STIFF * (laplacian.T @ laplacian) / degree.mean() ** 2
        + HOLD * sparse.eye(len(own.mean))
    )
    right = np.concatenate([upsample.T @ shape for shape in left], 1)
    rest = splu(system.tocsc()).solve(right).reshape(len(own.mean), len(left), 3).transpose(1, 0, 2)
    shapes = near + rest
    return Population(own.mean + shapes[0], shapes[1:])


def upsampling(arrays: dict[str, np.ndarray]) -> sparse.csr_matrix:
    """(V, C): vertices as sums of control vertices."""
    rows, columns = arrays["upsample_index"].shape
    at = np.repeat(np.arange(rows), columns), arrays["upsample_index"].ravel().astype(np.int64)
    weight = arrays["upsample_weight"].ravel().astype(np.float64)
    return sparse.csr_matrix((weight, at), shape=(rows, len(arrays["verts"])))


def neighbours(arrays: dict[str, np.ndarray], model: FaceModel) -> sparse.csr_matrix:
    """(C, C) which control vertices share an edge's ends: the mesh's edges, seen through their strongest weights."""
    strongest = np.take_along_axis(arrays["upsample_index"], arrays["upsample_weight"].argmax(1)[:, None], 1)[:, 0]
    edges = strongest.astype(np.int64)[mesh_edges(model.faces.numpy())]
    edges = edges[edges[:, 0] != edges[:, 1]]
    return edge_matrix(edges, np.ones(len(edges)), len(arrays["verts"])).tocsr()


def _counterparts(model: FaceModel, others: FaceModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices (V',) of the default model's face with a place on the other's mean face (V', 3) mm in the default
    model's space, and what its components do there (N, V', 3)."""
    theirs = others.verts.double().numpy()
    label, eyeball = others.vertex_label.numpy(), others.eyeball.numpy()
    face = (label >= 1) & (label <= 8) & (eyeball == 0)
    surface = others.faces.numpy()
    surface = surface[face[surface].all(1)]
    still = replace(model, expression_basis=torch.zeros_like(model.expression_basis), correctives=None)
    faces = near_face(model)
    own = (model.vertex_label.numpy() >= 1) & (model.vertex_label.numpy() <= 8) & (model.eyeball.numpy() == 0)
    faces = faces[own[faces].all(1)]
    marks = others.landmarks(others.verts[None])[0].double().numpy()
    fit = fit_surface(still, Samples(sample_surface(theirs, surface, POINTS, seed=1)), marks, size=False, faces=faces)
    used = np.unique(faces)
    distance, place, triangle = ClosestPoint(theirs, surface)(fit.motion(fit.verts)[used])
    used, place, triangle = (value[distance < REACH] for value in (used, place, surface[triangle]))
    weight = triangle_weights(place, theirs[triangle])
    moves = np.einsum("nvkx,vk->nvx", others.identity_basis.double().numpy()[:, triangle], weight)
    return used, fit.motion.inverse(place), moves @ fit.motion.rotation


def populations(model_file: Path, ict: str) -> tuple[Population, Population]:
    """The default model's people and ICT-FaceKit's."""
    with np.load(model_file) as file:
        arrays = dict(file)
    return own_people(arrays), carried_people(arrays, load_model(model_file), load_model(ict))
