"""The landmark stage face by face on the CPU: the steps of fit.landmark_stage_torch without torch's overhead, which is
most of the time of its batched twin on systems so small. Products of large matrices go to torch, whose number of
threads is the caller's choice.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numba import njit

from ..errors import FitError
from ..scene.landmarks import landmark_trust
from .landmark_basis import DAMPING, POSE, POSE_ITERATIONS, LandmarkProblem

# A step below both ends the iteration: what would follow is a tenth of it, and the full stage moves more in one step.
STILL_COEFFICIENT, STILL_MILLIMETRE = 3e-3, 0.1


def solve(
    problem: LandmarkProblem, rotation: torch.Tensor, translation: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """From a first pose (B, 3, 3), (B, 3) mm to rotations, translations and coefficients (B, N).

    Raises:
        FitError: a system has no unique solution.
    """
    found = [
        _FaceSolver(problem, face).solve(rotation[face].double().numpy(), translation[face].double().numpy())
        for face in range(len(rotation))
    ]
    rotations, translations, coefficients = (
        torch.from_numpy(np.stack(values)).to(rotation.dtype) for values in zip(*found, strict=True)
    )
    return rotations, translations, coefficients


class _FaceSolver:
    """Gauss-Newton of one face of a problem, float64."""

    def __init__(self, problem: LandmarkProblem, face: int) -> None:
        self.basis, self.model, self.config = problem.basis, problem.model, problem.config
        self.landmarks, self.confidence, self.focal, self.centre, self.known = (
            value[face].double().numpy()
            for value in (
                problem.landmarks, problem.confidence, problem.camera.focal, problem.camera.centre, problem.known(),
            )
        )  # fmt: skip
        self.dense = None if problem.dense is None else problem.dense[face]
        self.first_activation = self.basis.first_expression
        self.precision, slope = problem.prior()
        self.landmark_weight = problem.config.weights.of_landmarks(problem.expected is not None)
        self.slope = slope - self.precision * problem.middle()[face].double().numpy()
        count, points = len(self.precision), len(self.landmarks)
        self.shaped = torch.empty(2 * points, count)  # d whitened residual / d coefficients
        self.posed = torch.empty(2 * points, POSE + 1)  # the same by rotation and translation; the residual itself

    def solve(self, rotation: np.ndarray, translation: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """From a first pose (3, 3), (3,) to rotation, translation and coefficients (N,)."""
        coefficients = self.known.copy()
        everywhere = self.basis
        for iteration in range(POSE_ITERATIONS + self.config.landmark_iterations):
            pose_only = iteration < POSE_ITERATIONS
            if iteration == 0 or iteration > POSE_ITERATIONS:  # the coefficients have moved
                self.basis = everywhere.at(torch.from_numpy(coefficients))  # another one for a decoder alone
            step = self._step(rotation, translation, coefficients, pose_only)
            rotation = rotation_matrix(step[:3]) @ rotation
            translation = translation + step[3:POSE]
            if not pose_only:
                coefficients = coefficients + step[POSE:]
                if self.model.activation:
                    np.clip(coefficients[self.first_activation :], 0, 1, coefficients[self.first_activation :])
                still = np.abs(step[POSE:]).max(initial=0.0) < STILL_COEFFICIENT
                if still and np.abs(step[3:POSE]).max() < STILL_MILLIMETRE:
                    break
        return rotation, translation, coefficients

    def _step(
        self, rotation: np.ndarray, translation: np.ndarray, coefficients: np.ndarray, pose_only: bool
    ) -> np.ndarray:
        """(6 + N,) or, of the pose only, (6,)."""
        shape, marched = self._shape(rotation, translation, coefficients)
        self._assemble(shape, marched, rotation, translation, pose_only)
        pose = (self.posed.T @ self.posed).double().numpy()  # (7, 7)
        if pose_only:
            return -torch.cholesky_solve(*_factored(pose[:POSE, :POSE], pose[:POSE, POSE:]))[:, 0].numpy()
        across = (self.posed.T @ self.shaped).numpy()
        count = POSE + len(coefficients)
        normal = np.empty((count, count))
        normal[:POSE, :POSE] = pose[:POSE, :POSE]
        normal[:POSE, POSE:], normal[POSE:, :POSE] = across[:POSE], across[:POSE].T
        normal[POSE:, POSE:] = _gram(self.shaped).numpy()
        gradient = np.concatenate([pose[:POSE, POSE], across[POSE]])
        if self.dense is not None:
            given = (torch.from_numpy(value).float()[None] for value in (rotation, translation, coefficients))
            turn, shift, vector = given
            more, slope = self.dense.system(turn, shift, vector, self.basis.corrective(vector))
            normal += more[0].double().numpy()
            gradient += slope[0].double().numpy()
        normal.reshape(-1)[:: count + 1][POSE:] += self.precision
        gradient[POSE:] += self.precision * coefficients + self.slope
        right, factor = _factored(normal, gradient[:, None])
        step = -torch.cholesky_solve(right, factor)[:, 0].numpy()
        if self.model.activation:
            step = self._keep_box(step, factor, coefficients[self.first_activation :])
        return step

    def _shape(
        self, rotation: np.ndarray, translation: np.ndarray, coefficients: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Landmarks (L, 3) in model space with the marched contour, and for each landmark the row vertex that it has
        marched to, or -1 (L,)."""
        basis = self.basis
        row_points, landmarks = basis.row_mean, basis.landmark_mean
        if coefficients.any():
            vector = torch.from_numpy(coefficients.astype(np.float32))
            row_points = row_points + (basis.row_basis.flatten(0, 1) @ vector).reshape(-1, 3)
            landmarks = landmarks + (basis.landmark_basis.flatten(0, 1) @ vector).reshape(-1, 3)
            more = basis.corrective(vector[None])[0]
            if len(more):
                row_points = row_points + basis.row_corrective @ more
                landmarks = landmarks + basis.landmark_corrective @ more
        rows, shape = row_points.numpy(), landmarks.numpy().astype(np.float64)
        points = rows @ rotation.T + translation
        pixels = self.centre + self.focal * (1.0, -1.0) * points[:, :2] / np.maximum(-points[:, 2:], 1e-3)
        chosen = _march(pixels, basis.local_rows.numpy())
        contour = self.model.contour_landmarks.numpy()
        shape[contour] = rows[chosen]
        marched = np.full(len(shape), -1)
        marched[contour] = chosen
        return shape, marched

    def _assemble(
        self, shape: np.ndarray, marched: np.ndarray, rotation: np.ndarray, translation: np.ndarray, pose_only: bool
    ) -> None:
        """Fill `posed` and, unless only the pose is asked for, `shaped`."""
        config, model, basis = self.config, self.model, self.basis
        trust = landmark_trust(model, torch.from_numpy(rotation[None].astype(np.float32)))[0].numpy()
        confidence = self.confidence * trust
        share = confidence * (self.landmark_weight / max(float(confidence.sum()), 1e-9))
        # the bins as in energies.landmark.calibrated_precision, whose tensors would take longer than all of the rest
        yaw, bins = math.degrees(math.atan2(rotation[0, 2], rotation[2, 2])), model.landmark_yaw.numpy()
        upper = min(int(np.searchsorted(bins, yaw)), len(bins) - 1)
        lower = max(upper - 1, 0)
        width = float(bins[upper] - bins[lower])
        part = min(max((yaw - float(bins[lower])) / width, 0.0), 1.0) if width > 0 else 0.0
        _assemble(
            shape, rotation, translation, self.focal, self.centre, self.landmarks, share, model.landmark_bias.numpy(),
            model.landmark_covariance.numpy(), lower, upper, part, config.calibrated, float(config.landmark_floor),
            float(config.robust), marched, basis.landmark_basis.numpy(), basis.row_basis.numpy(), pose_only,
            self.posed.numpy(), self.shaped.numpy(),
        )  # fmt: skip

    def _keep_box(self, step: np.ndarray, factor: torch.Tensor, activation: np.ndarray) -> np.ndarray:
        """As landmark_stage_torch._keep_box: what would leave [0, 1] is held at the bound it reaches, and stays held.

        With the factor of the free system at hand, holding is a correction by as many unknowns as are held: their
        Lagrange multipliers.
        """
        first = POSE + self.first_activation
        held, bound = np.zeros(len(activation), bool), np.zeros(len(activation))
        kept = step
        for _ in range(2):
            wanted = activation + kept[first:]
            leaving = ((wanted < 0) | (wanted > 1)) & ~held
            if not leaving.any():
                break
            bound[leaving] = wanted[leaving].clip(0, 1) - activation[leaving]
            held |= leaving
            at = first + np.flatnonzero(held)
            unit = torch.zeros(len(step), len(at), dtype=torch.float64)
            unit[torch.from_numpy(at), torch.arange(len(at))] = 1
            inverse = torch.cholesky_solve(unit, factor).numpy()
            pull = np.linalg.solve(inverse[at], step[at] - bound[held])
            kept = step - inverse @ pull
            kept[at] = bound[held]
        kept[first:] = (activation + kept[first:]).clip(0, 1) - activation
        return kept


def _gram(matrix: torch.Tensor) -> torch.Tensor:
    """matrix.T @ matrix (N, N) by its upper triangle of blocks."""
    half = matrix.shape[1] // 2
    left, right = matrix[:, :half], matrix[:, half:]
    out = matrix.new_empty(matrix.shape[1], matrix.shape[1])
    out[:half, :half], out[half:, half:] = left.T @ left, right.T @ right
    out[:half, half:] = left.T @ right
    out[half:, :half] = out[:half, half:].T
    return out


def _factored(normal: np.ndarray, right: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """The right side and the Cholesky factor of the slightly damped system, for torch.cholesky_solve."""
    system = torch.from_numpy(normal)
    for damping in DAMPING:
        damped = system.clone()
        damped.diagonal().mul_(1 + damping).add_(1e-9)
        factor, info = torch.linalg.cholesky_ex(damped)
        if not int(info):
            return torch.from_numpy(right), factor
    raise FitError("the landmark stage has no unique solution: are the landmarks those of a face?")


def _march(pixels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(R,) the outermost vertex of each row (R, K), -1 pads: as facefit.energies.landmark.march_contour."""
    points = pixels[np.maximum(rows, 0)]
    front = points[:, 0]
    outward = front - front.mean(0)
    reach = np.where(rows >= 0, (points * outward[:, None]).sum(-1), -np.inf)
    return rows[np.arange(len(rows)), reach.argmax(1)]


def rotation_matrix(rotvec: np.ndarray) -> np.ndarray:
    """Rotation vector (3,) in radians -> (3, 3): as facefit.geometry.rotation.rotation_matrix."""
    angle = math.sqrt(float(rotvec @ rotvec))
    a = math.sin(angle) / angle if angle > 1e-6 else 1.0
    b = (1 - math.cos(angle)) / angle**2 if angle > 1e-4 else 0.5
    x, y, z = rotvec
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + a * k + b * (k @ k)


@njit(cache=True, nogil=True, error_model="numpy")
def _assemble(
    shape, rotation, translation, focal, centre, landmarks, share, bias, covariance, lower, upper, part, calibrated,
    floor, robust, marched, landmark_basis, row_basis, pose_only, posed, shaped,
):  # fmt: skip
    """Whitened residuals and their derivatives, two rows a landmark: as the steps of landmark_stage_torch."""
    count, unknowns = len(shape), shaped.shape[1]
    turned, mean_depth = np.empty((count, 3)), 0.0
    for n in range(count):
        for k in range(3):
            turned[n, k] = rotation[k, 0] * shape[n, 0] + rotation[k, 1] * shape[n, 1] + rotation[k, 2] * shape[n, 2]
        mean_depth += max(-(turned[n, 2] + translation[2]), 1.0) / count
    scale = mean_depth / (0.5 * (focal[0] + focal[1]))  # mm a pixel
    g = np.empty((2, 3))
    for n in range(count):
        x, y, z = turned[n, 0], turned[n, 1], turned[n, 2]
        px, py, pz = x + translation[0], y + translation[1], z + translation[2]
        depth, seen = max(-pz, 1.0), max(-pz, 1e-3)
        rx = centre[0] + focal[0] * px / seen - landmarks[n, 0]
        ry = centre[1] - focal[1] * py / seen - landmarks[n, 1]
        # the root [[a, b], [0, c]] of the precision, which is the inverse of the covariance [[xx, xy], [xy, yy]]
        a, b, c, weight = 1.0, 0.0, 1.0, share[n]
        if calibrated:
            rx += (bias[lower, n, 0] * (1 - part) + bias[upper, n, 0] * part) / scale
            ry += (bias[lower, n, 1] * (1 - part) + bias[upper, n, 1] * part) / scale
            low, high = covariance[lower, n], covariance[upper, n]
            xx = (low[0, 0] * (1 - part) + high[0, 0] * part) / scale**2 + floor**2
            yy = (low[1, 1] * (1 - part) + high[1, 1] * part) / scale**2 + floor**2
            xy = 0.5 * ((low[0, 1] + low[1, 0]) * (1 - part) + (high[0, 1] + high[1, 0]) * part) / scale**2
            determinant = xx * yy - xy * xy
            a = math.sqrt(yy / determinant)
            b = -xy / determinant / a
            c = 1 / math.sqrt(yy)
            along, across = a * rx + b * ry, c * ry
            weight *= robust / max(math.sqrt(along * along + across * across), robust)
        root = math.sqrt(weight)
        a, b, c = a * root, b * root, c * root
        posed[2 * n, 6], posed[2 * n + 1, 6] = a * rx + b * ry, c * ry
        # d pixel / d point: u = cx + fx x / d, v = cy - fy y / d, d = -z
        du, dv = focal[0] / depth, -focal[1] / depth
        g[0, 0], g[0, 1], g[0, 2] = a * du, b * dv, (a * du * px + b * dv * py) / depth
        g[1, 0], g[1, 1], g[1, 2] = 0.0, c * dv, c * dv * py / depth
        for k in range(2):
            gx, gy, gz, row = g[k, 0], g[k, 1], g[k, 2], 2 * n + k
            posed[row, 0], posed[row, 1], posed[row, 2] = y * gz - z * gy, z * gx - x * gz, x * gy - y * gx
            posed[row, 3], posed[row, 4], posed[row, 5] = gx, gy, gz
            if pose_only:
                continue
            mx = np.float32(gx * rotation[0, 0] + gy * rotation[1, 0] + gz * rotation[2, 0])
            my = np.float32(gx * rotation[0, 1] + gy * rotation[1, 1] + gz * rotation[2, 1])
            mz = np.float32(gx * rotation[0, 2] + gy * rotation[1, 2] + gz * rotation[2, 2])
            basis = landmark_basis[n] if marched[n] < 0 else row_basis[marched[n]]
            for i in range(unknowns):
                shaped[row, i] = mx * basis[0, i] + my * basis[1, i] + mz * basis[2, i]
