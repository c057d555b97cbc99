"""The landmark stage of all faces at once, on any device: what a GPU runs, and the plain twin of the CPU's."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..energies.landmark import calibrated_precision, march_contour
from ..errors import FitError
from ..geometry.camera import project
from ..geometry.rotation import rotation_matrix
from ..scene.landmarks import head_yaw, landmark_trust
from .landmark_basis import DAMPING, POSE, POSE_ITERATIONS, LandmarkBasis, LandmarkProblem


def solve(problem: LandmarkProblem, rotation: Tensor, translation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """From a first pose (B, 3, 3), (B, 3) mm to rotations, translations and coefficients (B, N).

    Raises:
        FitError: a system has no unique solution.
    """
    return descend(BatchSolver(problem), rotation, translation)


def descend(solver: BatchSolver, rotation: Tensor, translation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """All steps of a solver: first the pose alone, then everything. Args, Returns as `solve`."""
    problem = solver.problem
    model, first = problem.model, problem.basis.first_expression
    coefficients = problem.known()
    for iteration in range(POSE_ITERATIONS + problem.config.landmark_iterations):
        pose_only = iteration < POSE_ITERATIONS
        step = solver.step(rotation, translation, coefficients, pose_only)
        rotation = rotation_matrix(step[:, :3]) @ rotation
        translation = translation + step[:, 3:POSE]
        if not pose_only:
            coefficients = coefficients + step[:, POSE:]
            if model.activation:
                coefficients[:, first:] = coefficients[:, first:].clamp(0, 1)
    return rotation, translation, coefficients


class BatchSolver:
    """Gauss-Newton steps of one problem, whose faces have nothing to do with each other."""

    def __init__(self, problem: LandmarkProblem) -> None:
        self.problem, self.basis = problem, problem.basis
        self.near: tuple[Tensor, LandmarkBasis] | None = None  # a code, and the basis there
        known = problem.known()
        self.precision, slope = (torch.from_numpy(value).to(known) for value in problem.prior())
        self.slope = slope - self.precision * problem.middle()

    def step(self, rotation: Tensor, translation: Tensor, coefficients: Tensor, pose_only: bool) -> Tensor:
        """One Gauss-Newton step (B, 6 + N): rotation, translation, coefficients."""
        model, camera, batch = self.problem.model, self.problem.camera, len(coefficients)
        basis = self._basis_at(coefficients)
        shape, chosen = self._with_contour(basis, rotation, translation, coefficients)
        turned = shape @ rotation.transpose(1, 2)
        points = turned + translation[:, None]
        depth = (-points[..., 2]).clamp_min(1.0)
        focal = camera.focal[:, None]
        pixels = project(points, camera)
        root, residual = self._whitened(pixels, rotation, depth)

        # d pixel / d point: u = cx + fx x / d, v = cy - fy y / d, d = -z
        zero = torch.zeros_like(depth)
        du = torch.stack([focal[..., 0] / depth, zero, focal[..., 0] * points[..., 0] / depth**2], -1)
        dv = torch.stack([zero, -focal[..., 1] / depth, -focal[..., 1] * points[..., 1] / depth**2], -1)
        by_point = root @ torch.stack([du, dv], -2)  # (B, L, 2, 3)
        x, y, z = turned.unbind(-1)
        cross = torch.stack([zero, z, -y, -z, zero, x, y, -x, zero], -1).reshape(*turned.shape[:2], 3, 3)
        unknowns = POSE if pose_only else POSE + coefficients.shape[1]
        jacobian = shape.new_empty(*by_point.shape[:3], unknowns)
        jacobian[..., :3] = by_point @ cross
        jacobian[..., 3:POSE] = by_point
        if not pose_only:
            by_model = by_point @ rotation[:, None]  # (B, L, 2, 3) d / d model point
            jacobian[..., POSE:] = by_model @ basis.landmark_basis
            jacobian[:, model.contour_landmarks, :, POSE:] = by_model[:, model.contour_landmarks] @ basis.rows(chosen)
        jacobian = jacobian.reshape(batch, -1, unknowns)
        residual = residual.reshape(batch, -1, 1)
        normal = jacobian.transpose(1, 2) @ jacobian
        gradient = (jacobian.transpose(1, 2) @ residual)[..., 0]
        if pose_only:
            step = solve_each(normal, gradient)
            return torch.cat([step, step.new_zeros(coefficients.shape)], 1)
        if self.problem.dense is not None:
            more, slope = self.problem.dense.system(rotation, translation, coefficients, basis.corrective(coefficients))
            normal, gradient = normal + more, gradient + slope
        normal.diagonal(dim1=1, dim2=2)[:, POSE:] += self.precision
        gradient[:, POSE:] += self.precision * coefficients + self.slope
        step = self.solve(normal, gradient)
        if model.activation:
            first = basis.first_expression
            step = _keep_box(self.solve, step, normal, gradient, coefficients[:, first:], POSE + first)
        return step

    def _basis_at(self, coefficients: Tensor) -> LandmarkBasis:
        """The model's directions there; those of the last step while only the pose moves."""
        if self.basis.everywhere:
            return self.basis
        if self.near is None or not torch.equal(self.near[0], coefficients):
            self.near = coefficients, self.basis.at_each(coefficients)
        return self.near[1]

    def solve(self, normal: Tensor, gradient: Tensor) -> Tensor:
        """(B, U, U) and (B, U), the pose first -> (B, U) the step."""
        return solve_each(normal, gradient)

    def _with_contour(
        self, basis: LandmarkBasis, rotation: Tensor, translation: Tensor, coefficients: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Landmarks (B, L, 3) in model space, the cheek contour marched to the silhouette, and where it now is among
        the vertices of the contour's rows (B, R)."""
        shape, rows = basis.points(coefficients)
        pixels = project(rows @ rotation.transpose(1, 2) + translation[:, None], self.problem.camera)
        chosen = march_contour(pixels, basis.local_rows)
        marched = rows.gather(1, chosen[..., None].expand(-1, -1, 3))
        return shape.index_copy(1, self.problem.model.contour_landmarks, marched), chosen

    def _whitened(self, pixels: Tensor, rotation: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
        """Square roots (B, L, 2, 2) of the landmarks' precisions with all weights, and the residuals under them."""
        model, config, landmarks = self.problem.model, self.problem.config, self.problem.landmarks
        confidence = self.problem.confidence * landmark_trust(model, rotation)
        if config.calibrated:
            scale = depth.mean(1) / self.problem.camera.focal.mean(1)
            bias, precision = calibrated_precision(
                head_yaw(rotation), model.landmark_yaw, model.landmark_bias, model.landmark_covariance, scale,
                config.landmark_floor,
            )  # fmt: skip
        else:
            bias = torch.zeros_like(landmarks)
            precision = torch.eye(2, device=landmarks.device).expand(*landmarks.shape, 2)
        difference = pixels + bias - landmarks
        distance = (difference[..., None, :] @ precision @ difference[..., None])[..., 0, 0].clamp_min(0).sqrt()
        robust = (config.robust / distance.clamp_min(config.robust)) if config.calibrated else torch.ones_like(distance)
        weight = config.weights.of_landmarks(self.problem.expected is not None)
        share = confidence * robust * weight / confidence.sum(1, keepdim=True).clamp_min(1e-9)
        lower = torch.linalg.cholesky(precision)
        root = lower.transpose(-1, -2) * share.sqrt()[..., None, None]
        return root, (root @ difference[..., None])[..., 0]


def solve_each(normal: Tensor, gradient: Tensor) -> Tensor:
    """(B, U, U) and (B, U) -> (B, U): each face's step against its gradient, damped no more than it needs. Raises
    FitError."""
    share = torch.full_like(normal[:, 0, :1], DAMPING[0], dtype=torch.float64)  # of each face
    for more in (*DAMPING[1:], None):
        damped = normal.to(torch.float64, copy=True)
        damped.diagonal(dim1=1, dim2=2).mul_(1 + share).add_(1e-9)
        factor, info = torch.linalg.cholesky_ex(damped)
        if not info.any():
            break
        if more is None:
            raise FitError("the landmark stage has no unique solution: are the landmarks those of a face?")
        share = torch.where(info[:, None] > 0, more, share)
    return -torch.cholesky_solve(gradient.double()[..., None], factor)[..., 0].to(gradient.dtype)


def _keep_box(
    solve: Callable[[Tensor, Tensor], Tensor], step: Tensor, normal: Tensor, gradient: Tensor, activation: Tensor,
    first: int,
) -> Tensor:  # fmt: skip
    """Solve again with the activations that would leave [0, 1] held at the bound they reach.

    What is held stays held: asking a second time whether it would leave is asking the rounding.
    """
    held, bound = torch.zeros_like(step, dtype=torch.bool), torch.zeros_like(step)
    for _ in range(2):
        wanted = activation + step[:, first:]
        leaving = torch.zeros_like(held)
        leaving[:, first:] = (wanted < 0) | (wanted > 1)
        leaving &= ~held
        if not leaving.any():
            break
        bound[:, first:] = torch.where(leaving[:, first:], wanted.clamp(0, 1) - activation, bound[:, first:])
        held |= leaving
        free = (~held).to(step.dtype)
        reduced = normal * free[:, :, None] * free[:, None, :] + torch.diag_embed(1 - free)
        right = (gradient + (normal @ bound[..., None])[..., 0]) * free
        step = torch.where(held, bound, solve(reduced, right))
    wanted = (activation + step[:, first:]).clamp(0, 1)
    return torch.cat([step[:, :first], wanted - activation], 1)
