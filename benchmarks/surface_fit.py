"""How well a head model can represent a scanned surface: components fitted to the surface itself, no photo between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitter.closest_point import ClosestPoint
from fitter.initialize import joint_basis
from fitter.metrics import Similarity, fit_similarity
from fitter.model.face_model import LANDMARKS7, FaceModel

INDEPENDENT = 2000  # the surface counts as so many independent points ...
NOISE = 0.2  # ... each known to so many mm, against the components' unit prior, in the end
FIRST_NOISE = 3.0  # mm, at the start, when closest points are the wrong ones
RIGID = 4  # rounds of pose and size alone
SIGMA = 3.0  # mm; beyond, a point counts less (Geman-McClure): hair, holes
EXPRESSION_SCALE = 0.35  # activation that counts as one standard deviation


@dataclass(frozen=True)
class SurfaceFit:
    """verts: (V, 3) mm in model space; landmarks7: (7, 3); identity: (I,) and expression: (E,) coefficients."""

    verts: np.ndarray
    landmarks7: np.ndarray
    identity: np.ndarray
    expression: np.ndarray


def fit_surface(model: FaceModel, points: np.ndarray, landmarks7: np.ndarray, iterations: int = 22) -> SurfaceFit:
    """Gauss-Newton on point-to-plane distances, closest points anew each time; pose and size free, joints linearised.

    Args:
        points: (N, 3) mm on the scan; landmarks7: (7, 3) on the scan, for the start alone.
    """
    sizes = model.sizes
    joints = joint_basis(model).numpy()
    bases = (model.identity_basis.numpy(), joints, model.expression_basis.numpy())
    basis = np.concatenate(bases).astype(np.float32)
    first = sizes["identity"] + len(joints)
    precision = np.ones(len(basis))
    if model.skeleton is not None and len(joints):
        spread = model.skeleton.spread()[model.skeleton.turned].reshape(-1).numpy()
        precision[sizes["identity"] : first] = 1 / spread**2
    if model.activation:
        precision[first:] = 1 / EXPRESSION_SCALE**2
    mean, faces = model.verts.numpy().astype(np.float64), near_face(model)
    corner = model.faces.numpy()[model.landmark_faces[list(LANDMARKS7)].numpy()]
    bary7 = model.landmark_bary[list(LANDMARKS7)].numpy()[:, :, None]

    def shaped(value: np.ndarray) -> np.ndarray:
        return mean + np.tensordot(value.astype(np.float32), basis, 1)

    def seven(verts: np.ndarray) -> np.ndarray:
        return (verts[corner] * bary7).sum(1)

    coefficients = np.zeros(len(basis))
    verts = mean
    motion = fit_similarity(seven(verts), landmarks7, scale=True)
    for round_ in range(iterations):
        at = motion.inverse(points)  # the scan, in model space
        distance, closest, face = ClosestPoint(verts, faces)(at)
        triangle = verts[faces[face]]
        normal = np.cross(triangle[:, 1] - triangle[:, 0], triangle[:, 2] - triangle[:, 0])
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        sigma = max(SIGMA, 12.0 * 0.8**round_)
        noise = max(NOISE, FIRST_NOISE * 0.75 ** max(round_ - RIGID, 0))
        weight = (sigma**2 / (sigma**2 + distance**2)) ** 2 * (INDEPENDENT / len(points)) / noise**2
        share = _weights(closest, triangle)
        moves = np.zeros((len(points), len(basis)))  # along the normal, per unit of each component
        for k in range(3):
            moves += share[:, [k]] * np.einsum("inx,nx->ni", basis[:, faces[face][:, k]], normal)
        # the scan may turn, shift and grow a little against the model at the same time
        pose = np.concatenate([np.cross(at, normal), normal, (at * normal).sum(1, keepdims=True)], 1)
        system = np.concatenate([moves, -pose], 1)
        gap = ((at - closest) * normal).sum(1)
        normal_matrix = system.T @ (weight[:, None] * system)
        right = system.T @ (weight * gap)
        rigid = round_ < RIGID
        # then the size stays: distances are measured at the model's, and a smaller scan would have smaller ones
        ridge = np.concatenate([precision * (1e9 if rigid else 1.0), np.full(6, 1e-6), [1e-6 if rigid else 1e15]])
        right[: len(basis)] -= precision * coefficients
        boxed = slice(first, len(basis)) if model.activation else slice(0, 0)
        step = _solve_boxed(normal_matrix + np.diag(ridge), right, boxed, coefficients)
        coefficients = coefficients + step[: len(basis)]
        verts = shaped(coefficients)
        turn = step[len(basis) :]
        moved = at + np.cross(turn[:3], at) + turn[3:6] + turn[6] * at
        motion = _inverse(fit_similarity(points, moved, scale=True))
        if round_ > 14 and np.abs(step[: len(basis)]).max() < 2e-3:
            break
    return SurfaceFit(verts, seven(verts), coefficients[: sizes["identity"]], coefficients[first:])


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


def _weights(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(N, 3) barycentric weights of points on their triangles."""
    a, b, c = triangles.transpose(1, 0, 2)
    cross = np.cross(b - a, c - a)
    area = np.maximum((cross**2).sum(1), 1e-18)
    v = (np.cross(points - a, c - a) * cross).sum(1) / area
    w = (np.cross(b - a, points - a) * cross).sum(1) / area
    out = np.clip(np.stack([1 - v - w, v, w], 1), 0, 1)
    return out / np.maximum(out.sum(1, keepdims=True), 1e-12)
