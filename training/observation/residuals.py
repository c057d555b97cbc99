"""Observed points and normals as residuals of the landmark stage's Gauss-Newton, beside the landmarks'.

A point's residual is its distance in the picture. A normal says that the surface's edges lie at right angles to it: an
edge's residual is its part along the normal seen at its middle, in units of its length, which is the angle between
both and linear in the coefficients. Edges run between observed points, across no slit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import facefit  # noqa: F401  before torch and numpy: it sets their threads

import numpy as np  # isort: skip
import torch
from scipy import sparse
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import Delaunay
from torch import Tensor

from facefit.anatomy.landmarks import IRISES
from facefit.compute.derived import derived
from facefit.fit.config import FitConfig
from facefit.fit.first_pose import first_pose
from facefit.fit.landmark_basis import POSE, LandmarkProblem
from facefit.fit.landmark_stage_cpu import _FaceSolver, _factored
from facefit.geometry.camera import window_camera
from facefit.geometry.mesh_graph import mesh_edges
from facefit.geometry.rotation import rotation_vector
from facefit.model.face_model import FaceModel
from facefit.observe.observation import Observation
from facefit.render.lighting import vertex_normals
from facefit.scene.joint_basis import joint_basis
from facefit.scene.parameters import Parameters
from training.observation.places import chosen

LONGEST = 14.0  # mm of an edge
DETOUR, ROUND = 1.35, 0.5  # way along the surface over an edge's length, and mm: more, and it crosses a slit
FACING = 0.15  # cosine to the view below which a point is not counted
ROBUST = 3.0  # deviations beyond which a residual counts less (Huber)
POINT_FLOOR, NORMAL_FLOOR = 1.0, 0.03  # pixels of the network's crop, radians: nothing is surer
# How many independent measurements all points and all normals of a face count as.
POINTS, NORMALS = 400.0, 60.0


class PointBasis:
    """The observed points of the default model as functions of its coefficients, in the order of LandmarkBasis.

    Attributes:
        index: (P,) vertices; mean (P, 3) mm, basis (P, 3, N), corrective (P, 3, K), normals (P, 3) of the mean face.
        edges: (E, 2) places among the points; length (E,) mm; along (E, 3, N) what the coefficients do to them.
    """

    def __init__(self, model: FaceModel) -> None:
        self.index = chosen(model)
        bases = (model.identity_basis, joint_basis(model), model.expression_basis)
        basis = torch.cat([each[:, self.index] for each in bases])
        self.mean, self.basis = model.verts[self.index].double().numpy(), _last(basis)
        more = model.verts.new_zeros(0, *model.verts.shape) if model.correctives is None else model.correctives.basis
        self.corrective = _last(more[:, self.index])
        self.normals = vertex_normals(model.verts[None], model.faces)[0].double().numpy()[self.index]
        self.edges = _edges(model, self.index)
        self.length = np.linalg.norm(self._across(self.mean), axis=1)
        self.along = self._across(self.basis)

    def _across(self, values: np.ndarray) -> np.ndarray:
        return values[self.edges[:, 0]] - values[self.edges[:, 1]]


def _last(basis: Tensor) -> np.ndarray:
    """(K, P, 3) -> (P, 3, K) float64."""
    return basis.permute(1, 2, 0).double().numpy()


def _edges(model: FaceModel, index: np.ndarray) -> np.ndarray:
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


def point_basis(model: FaceModel) -> PointBasis:
    """The model's, made once."""
    return derived(model, "observed points", PointBasis)


@dataclass(frozen=True)
class Seen:
    """What the network says of one face, in the pixels of the fit's window.

    Attributes:
        points: (P, 2) pixels; point_spread (P,) their deviation; point_share (P,) in [0, 1], 0 where hidden.
        normals: (E, 3) unit, camera space, at the middles of the edges; normal_spread (E,) radians; normal_share (E,).
        counted: how many independent measurements all points and all normals are.
    """

    points: np.ndarray
    point_spread: np.ndarray
    point_share: np.ndarray
    normals: np.ndarray
    normal_spread: np.ndarray
    normal_share: np.ndarray
    counted: tuple[float, float] = (POINTS, NORMALS)


@dataclass(frozen=True)
class Rows:
    """Whitened residuals (M,); derivatives by turn and shift of the pose (M, 6), by the coefficients (M, N)."""

    left: np.ndarray
    posed: np.ndarray
    shaped: np.ndarray


def residuals(
    basis: PointBasis, seen: Seen, shape: np.ndarray, pose: tuple[np.ndarray, np.ndarray], focal: np.ndarray,
    centre: np.ndarray,
) -> Iterator[Rows]:  # fmt: skip
    """Points in x, points in y, normals.

    Args:
        shape: (P, 3) the points in model space; pose: (3, 3) rotation and (3,) translation, mm.
        focal, centre: (2,) of the window's camera.
    """
    rotation, translation = pose
    turned = shape @ rotation.T
    points = turned + translation
    depth = np.maximum(-points[:, 2], 1.0)
    pixels = centre + focal * (1.0, -1.0) * points[:, :2] / depth[:, None]
    facing = ((basis.normals @ rotation.T) * -points).sum(1) > FACING * np.linalg.norm(points, axis=1)
    for axis, sign in ((0, 1.0), (1, -1.0)):
        slope = np.zeros_like(points)
        slope[:, axis] = sign * focal[axis] / depth
        slope[:, 2] = sign * focal[axis] * points[:, axis] / depth**2
        spread = seen.point_spread
        weight = _weight(seen.point_share * facing, seen.counted[0])
        left = (pixels[:, axis] - seen.points[:, axis]) / spread
        yield _rows(left, slope / spread[:, None], turned, slope / spread[:, None], weight, rotation, basis.basis)
    first, second = basis.edges.T
    along = turned[first] - turned[second]
    slope = seen.normals / (basis.length * seen.normal_spread)[:, None]
    weight = _weight(seen.normal_share * facing[first] * facing[second], seen.counted[1])
    yield _rows((slope * along).sum(1), slope, along, np.zeros_like(slope), weight, rotation, basis.along)


def _weight(share: np.ndarray, counted: float) -> np.ndarray:
    return share * (counted / max(float(share.sum()), 1e-9))


def _rows(
    left: np.ndarray, slope: np.ndarray, turned: np.ndarray, moved: np.ndarray, weight: np.ndarray,
    rotation: np.ndarray, basis: np.ndarray,
) -> Rows:  # fmt: skip
    """Derivatives from those by the points (M, 3), where these lie turned (M, 3), and those by a shift (M, 3)."""
    root = np.sqrt(weight * np.minimum(1, ROBUST / np.maximum(np.abs(left), 1e-9)))[:, None]
    posed = np.concatenate([np.cross(turned, slope), moved], 1)
    shaped = np.einsum("mk,mkn->mn", slope @ rotation, basis)
    return Rows(left * root[:, 0], posed * root, shaped * root)


class ObservedSolver(_FaceSolver):
    """The landmark stage of one face with an observation beside its landmarks.

    Attributes:
        system: of the last step, the observation's own normal matrix (6 + N, 6 + N) and gradient (6 + N,), and the
            coefficients (N,) that they were taken at.
    """

    def __init__(self, problem: LandmarkProblem, face: int, points: PointBasis, seen: Seen) -> None:
        super().__init__(problem, face)
        self.points, self.seen = points, seen
        self.system: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def _step(
        self, rotation: np.ndarray, translation: np.ndarray, coefficients: np.ndarray, pose_only: bool
    ) -> np.ndarray:
        if pose_only:
            return super()._step(rotation, translation, coefficients, pose_only)
        shape, marched = self._shape(rotation, translation, coefficients)
        self._assemble(shape, marched, rotation, translation, False)
        posed, shaped = self.posed.double().numpy(), self.shaped.double().numpy()
        normal, gradient = _system(Rows(posed[:, POSE], posed[:, :POSE], shaped))
        own = self._own(rotation, translation, coefficients)
        self.system = (*own, coefficients.copy())
        normal, gradient = normal + own[0], gradient + own[1]
        normal.reshape(-1)[:: len(normal) + 1][POSE:] += self.precision
        gradient[POSE:] += self.precision * coefficients + self.slope
        right, factor = _factored(normal, gradient[:, None])
        step = -torch.cholesky_solve(right, factor)[:, 0].numpy()
        return self._keep_box(step, factor, coefficients[self.first_activation :]) if self.model.activation else step

    def _own(
        self, rotation: np.ndarray, translation: np.ndarray, coefficients: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        vector = torch.from_numpy(coefficients.astype(np.float32))[None]
        more = self.points.corrective @ self.basis.corrective(vector)[0].double().numpy()
        shape = self.points.mean + self.points.basis @ coefficients + more
        rows = list(residuals(self.points, self.seen, shape, (rotation, translation), self.focal, self.centre))
        return _system(Rows(*(np.concatenate([getattr(row, name) for row in rows]) for name in Rows.__annotations__)))

    def of_shape(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The observation's energy as a function of the coefficients c alone, whatever the pose: centre (N,), matrix A
        (N, N) and slope (N,) of (c - centre)' A (c - centre) + 2 slope' (c - centre), for a full stage that starts
        here."""
        assert self.system is not None
        normal, gradient, centre = self.system
        back = normal[POSE:, :POSE] @ np.linalg.pinv(normal[:POSE, :POSE], rcond=1e-10)
        return centre, normal[POSE:, POSE:] - back @ normal[:POSE, POSE:], gradient[POSE:] - back @ gradient[:POSE]


def _system(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    derivative = np.concatenate([rows.posed, rows.shaped], 1)
    return derivative.T @ derivative, derivative.T @ rows.left


@torch.no_grad()
def solve_observed(
    model: FaceModel, observation: Observation, config: FitConfig, seen: Seen
) -> tuple[Parameters, ObservedSolver]:
    """The landmark stage of one face (B = 1) of the default model with what the network saw."""
    camera, confidence = window_camera(observation.camera, observation.window), observation.landmark_confidence.clone()
    confidence[:, IRISES] = 0
    problem = LandmarkProblem(model, observation.landmarks, confidence, camera, config)
    first = first_pose(model, observation.landmarks, camera)
    solver = ObservedSolver(problem, 0, point_basis(model), seen)
    rotation, translation, coefficients = solver.solve(*(value[0].numpy() for value in first))
    parts, found = problem.parts(), torch.from_numpy(coefficients).float()[None]
    zero = Parameters.zeros(model.sizes)
    values = {
        "identity": found[:, parts["identity"]], "expression": found[:, parts["expression"]],
        "joints": problem.joints(found), "rotvec": rotation_vector(torch.from_numpy(rotation)[None]).float(),
        "translation": torch.from_numpy(translation).float()[None],
    }  # fmt: skip
    return Parameters(**{**zero.tensors(), **values}), solver
