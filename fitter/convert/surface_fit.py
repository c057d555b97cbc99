"""A head model's components fitted to a surface itself, no photo between: a scan, or a face in another topology."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..anatomy.landmarks import LANDMARKS7
from ..compute.sparse_map import SparseMap
from ..geometry.closest_point import ClosestPoint
from ..geometry.similarity import Similarity, fit_similarity
from ..geometry.triangles import triangle_normals, triangle_weights
from ..model.face_model import FaceModel
from ..scene.joint_basis import joint_basis
from ..scene.parameters import Parameters

INDEPENDENT = 2000  # the surface counts as so many independent points ...

NOISE = 0.2  # ... each known to so many mm, against the components' unit prior, in the end

FIRST_NOISE = 3.0  # mm, at the start, when closest points are the wrong ones

RIGID = 4  # rounds of pose and size alone

SIGMA = 3.0  # mm; beyond, a point counts less (Geman-McClure): hair, holes

EXPRESSION_SCALE = 0.35  # activation that counts as one standard deviation

LANDMARK_NOISE = 1.5  # mm between what two models call the same landmark; it holds what may slide along the surface

BESIDE = 1.5  # mm that a closest point may lie sideways of its point: more, and it is the rim of its region

BENT = 0.1  # of a decoder's code: farther from where its directions were measured, they are measured anew

FACING = 0.5  # cosine of the normals' largest angle, 60 degrees


@dataclass(frozen=True)
class Samples:
    """Points of the surface that is fitted.

    Attributes:
        points: (N, 3) mm.
        normals: (N, 3) unit, or None; with them a point counts only where the model faces the same way.
        group: (N,) int, or None; a point is compared with the triangles of its group alone.
        weight: (N,), or None for 1: how much each counts.
    """

    points: np.ndarray
    normals: np.ndarray | None = None
    group: np.ndarray | None = None
    weight: np.ndarray | None = None


@dataclass(frozen=True)
class SurfaceFit:
    """What was found.

    Attributes:
        verts: (V, 3) mm in model space; landmarks7: (7, 3).
        identity: (I,), expression: (E,) coefficients; joints: (J, 3) radians.
        motion: model space -> the surface's space.
    """

    verts: np.ndarray
    landmarks7: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    joints: np.ndarray
    motion: Similarity


class GroupedSurface:
    """Closest points on triangles of the same group.

    Args:
        verts: (V, 3) mm; faces: (F, 3); group: (F,) int, or None for one group.
    """

    def __init__(self, verts: np.ndarray, faces: np.ndarray, group: np.ndarray | None = None) -> None:
        self.faces = np.asarray(faces)
        group = np.zeros(len(faces), int) if group is None else np.asarray(group)
        self.index = {int(g): np.flatnonzero(group == g) for g in np.unique(group)}
        self.part = {g: ClosestPoint(verts, self.faces[index]) for g, index in self.index.items()}

    def moved(self, verts: np.ndarray) -> GroupedSurface:
        """The same with its vertices (V, 3) mm elsewhere."""
        other = object.__new__(GroupedSurface)
        other.faces, other.index = self.faces, self.index
        other.part = {g: part.moved(verts) for g, part in self.part.items()}
        return other

    def __call__(self, points: np.ndarray, group: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
        """(N, 3) points, (N,) groups -> distances (N,), closest points (N, 3), triangles (N,). A group that the surface
        does not have is infinitely far, at the point itself and triangle 0."""
        group = np.zeros(len(points), int) if group is None else group
        distance, closest, face = np.full(len(points), np.inf), points.copy(), np.zeros(len(points), int)
        for g, part in self.part.items():
            mine = np.flatnonzero(group == g)
            if len(mine):
                distance[mine], closest[mine], found = part(points[mine])
                face[mine] = self.index[g][found]
        return distance, closest, face


def fit_surface(
    model: FaceModel, samples: Samples, landmarks: np.ndarray, iterations: int = 22, *, size: bool = True,
    noise: float = NOISE, faces: np.ndarray | None = None, face_group: np.ndarray | None = None,
    usual: np.ndarray | None = None,
) -> SurfaceFit:  # fmt: skip
    """Gauss-Newton on point-to-plane distances, closest points anew each time.

    Args:
        landmarks: (7, 3) mm on the surface (`LANDMARKS7`), for the start alone, or all (L, 3) of the model's, which are
            then held to LANDMARK_NOISE as well; rows that are not finite are left out.
        size: whether the surface's size may differ from the model's; without, both are in mm.
        noise: mm to which each of INDEPENDENT points is followed in the end; more keeps the components likelier.
        faces: (F', 3) triangles of the model that the surface is compared with, with their groups `face_group` (F',);
            default: those near the face, in one group.
        usual: (E,) expression that the prior pulls to, and the start; default: rest.
    Raises:
        ValueError: landmarks of another shape.
    """
    landmarks = np.asarray(landmarks, np.float64)
    held = len(landmarks) != len(LANDMARKS7)
    at_rows = np.arange(len(model.landmark_faces)) if held else np.array(LANDMARKS7)
    if landmarks.shape != (len(at_rows), 3):
        raise ValueError(f"landmarks have shape {landmarks.shape}; expected (7, 3) or ({len(model.landmark_faces)}, 3)")
    at_rows, landmarks = at_rows[np.isfinite(landmarks).all(1)], landmarks[np.isfinite(landmarks).all(1)]
    faces = near_face(model) if faces is None else faces
    corner, bary = model.faces.numpy()[model.landmark_faces.numpy()], model.landmark_bary.numpy().astype(np.float64)

    def marked(verts: np.ndarray, rows) -> np.ndarray:
        return (verts[corner[list(rows)]] * bary[list(rows)][:, :, None]).sum(1)

    unknowns = _Unknowns(model, usual)
    value = unknowns.start
    verts = unknowns.verts(value)
    surface = GroupedSurface(verts, faces, face_group)
    motion = fit_similarity(marked(verts, at_rows), landmarks, scale=size)
    weights = 1.0 if samples.weight is None else samples.weight
    for round_ in range(iterations):
        at = motion.inverse(samples.points)  # the surface, in model space
        distance, closest, face = surface.moved(verts)(at, samples.group)
        triangle = faces[face]
        normal = triangle_normals(verts[triangle])
        sigma = max(SIGMA, 12.0 * 0.8**round_)
        known = max(noise, FIRST_NOISE * 0.75 ** max(round_ - RIGID, 0))
        weight = weights * (sigma**2 / (sigma**2 + distance**2)) ** 2 * (INDEPENDENT / len(at)) / known**2
        gap = ((at - closest) * normal).sum(1)
        if samples.normals is not None:
            weight = weight * ((samples.normals @ motion.rotation * normal).sum(1) > FACING)
        if samples.group is not None:
            aside = np.linalg.norm(at - closest - gap[:, None] * normal, axis=1)
            weight = weight / (1 + (aside / max(BESIDE, sigma / 2)) ** 4)
        share = triangle_weights(closest, verts[triangle])
        if held:  # three planes a landmark, across the axes
            there = motion.inverse(landmarks)
            apart = there - marked(verts, at_rows)
            at, gap = np.concatenate([at, *[there] * 3]), np.concatenate([gap, *apart.T])
            normal = np.concatenate([normal, np.repeat(np.eye(3), len(there), 0)])
            triangle = np.concatenate([triangle, *[corner[at_rows]] * 3])
            share = np.concatenate([share, *[bary[at_rows]] * 3])
            trust = (sigma**2 / (sigma**2 + (apart**2).sum(1))) ** 2 / LANDMARK_NOISE**2
            weight = np.concatenate([weight, *[trust] * 3])
        moves = unknowns.moves(value, triangle, share, normal)
        # the surface may turn, shift and grow a little against the model at the same time
        pose = np.concatenate([np.cross(at, normal), normal, (at * normal).sum(1, keepdims=True)], 1)
        system = np.concatenate([moves, -pose], 1)
        normal_matrix = system.T @ (weight[:, None] * system)
        right = system.T @ (weight * gap)
        rigid = round_ < RIGID
        # then the size stays: distances are measured at the model's, and a smaller scan would have smaller ones
        grows = 1e-6 if rigid and size else 1e15
        ridge = np.concatenate([unknowns.precision * (1e9 if rigid else 1.0), np.full(6, 1e-6), [grows]])
        right[: len(value)] -= unknowns.precision * (value - unknowns.start)
        step = _solve_boxed(normal_matrix + np.diag(ridge), right, unknowns.boxed, value)
        value = value + step[: len(value)]
        verts = unknowns.verts(value)
        turn = step[len(value) :]
        moved = motion.inverse(samples.points)
        moved = moved + np.cross(turn[:3], moved) + turn[3:6] + turn[6] * moved
        motion = _inverse(fit_similarity(samples.points, moved, scale=size))
        if round_ > 14 and np.abs(step[: len(value)]).max() < 2e-3:
            break
    found = unknowns.parameters(value)
    identity, expression, joints = (
        part[0].double().numpy() for part in (found.identity, found.expression, found.joints)
    )
    return SurfaceFit(verts, marked(verts, LANDMARKS7), identity, expression, joints, motion)


class _Unknowns:
    """Identity, turns of the joints and expression as one vector, and what they do to the surface."""

    def __init__(self, model: FaceModel, usual: np.ndarray | None) -> None:
        self.model, sizes = model, model.sizes
        self.turned: list[int] = []
        spread = np.zeros(0)
        if model.skeleton is not None:
            self.turned = model.skeleton.turned
            spread = model.skeleton.spread()[self.turned].reshape(-1).numpy()
        self.first_joint, self.first = sizes["identity"], sizes["identity"] + 3 * len(self.turned)
        count = self.first + sizes["expression"]
        self.precision, self.start = np.ones(count), np.zeros(count)
        self.precision[self.first_joint : self.first] = 1 / spread**2
        if usual is not None:
            self.start[self.first :] = usual
        if model.activation:
            self.precision[self.first :] = 1 / EXPRESSION_SCALE**2
        self.boxed = slice(self.first, count) if model.activation else slice(0, 0)
        # vertices first: points look up few of them
        bases = torch.cat([model.identity_basis, model.expression_basis]).permute(1, 2, 0)
        self.basis = bases.contiguous().numpy()  # (V, 3, I + E)
        self.near = np.zeros(count)  # where it holds, of a decoder

    def parameters(self, value: np.ndarray) -> Parameters:
        """At rest but for these."""
        whole = torch.from_numpy(value.astype(np.float32))[None]
        empty = Parameters.zeros(self.model.sizes)
        joints = empty.joints
        if self.turned:
            joints[:, self.turned] = whole[:, self.first_joint : self.first].reshape(1, -1, 3)
        named = {"identity": whole[:, : self.first_joint], "expression": whole[:, self.first :], "joints": joints}
        return Parameters(**empty.tensors() | named)

    @torch.no_grad()
    def verts(self, value: np.ndarray) -> np.ndarray:
        """(V, 3) float64 mm."""
        found = self.parameters(value)
        return self.model.shape(found.identity, found.expression, joints=found.joints)[0].double().numpy()

    def moves(self, value: np.ndarray, triangle: np.ndarray, share: np.ndarray, normal: np.ndarray) -> np.ndarray:
        """(M, N) mm along the normals that the points (corners and their shares) move per unit of each unknown."""
        if self.model.decoder is not None and np.abs(value - self.near).max() > BENT:
            self._linearise(value)
        along = (share[:, :, None] * normal[:, None, :]).astype(np.float32).reshape(len(share), 1, 9)
        moves = (along @ self.basis[triangle].reshape(len(share), 9, -1))[:, 0].astype(np.float64)
        if not self.turned:
            return moves
        joints = joint_basis(self.model, at=self.parameters(value)).numpy().transpose(1, 2, 0)
        turns = (along @ joints[triangle].reshape(len(share), 9, -1))[:, 0]
        return np.concatenate([moves[:, : self.first_joint], turns, moves[:, self.first_joint :]], 1)

    def _linearise(self, value: np.ndarray) -> None:
        """The directions of a decoder's shapes anew, near these unknowns."""
        at, decoder = self.parameters(value), self.model.decoder
        assert decoder is not None
        whole = SparseMap.identity(len(self.model.verts))
        found = decoder.linearised(at.identity[0], at.expression[0], decoder.at(whole), self.model.activation)[1:]
        self.basis[:, :, : len(found)] = found.permute(1, 2, 0).numpy()
        self.near = value.copy()


def _solve_boxed(matrix: np.ndarray, right: np.ndarray, boxed: slice, value: np.ndarray) -> np.ndarray:
    """The step that solves the system with those of `value` in `boxed` staying in [0, 1]: what would leave is held at
    the bound it reaches, and the others are solved again."""
    step, held = np.linalg.solve(matrix, right), np.zeros(len(right), bool)
    for _ in range(6):
        wanted = value[boxed] + step[boxed]
        leaving = np.zeros(len(right), bool)
        leaving[boxed] = (wanted < -1e-9) | (wanted > 1 + 1e-9)
        if not leaving.any():
            break
        held |= leaving
        step[boxed] = wanted.clip(0, 1) - value[boxed]
        free = ~held
        inner = right[free] - matrix[np.ix_(free, held)] @ step[held]
        step[free] = np.linalg.solve(matrix[np.ix_(free, free)], inner)
    step[boxed] = (value[boxed] + step[boxed]).clip(0, 1) - value[boxed]
    return step


def near_face(model: FaceModel, reach: float = 30.0) -> np.ndarray:
    """(F', 3) the triangles within `reach` mm of the landmarks on the mean face: what a scan's face can be closest to.
    Searching the whole head and its inside would take four times as long."""
    from scipy.spatial import cKDTree

    points = model.landmarks(model.verts[None])[0].numpy()
    faces = model.faces.numpy()
    distance = cKDTree(points).query(model.verts.numpy()[faces].mean(1))[0]
    return faces[distance < reach]


def _inverse(motion: Similarity) -> Similarity:
    rotation = motion.rotation.T
    return Similarity(1 / motion.scale, rotation, -(rotation @ motion.translation) / motion.scale)
