"""The first guess: pose, identity and expression from landmarks alone, by Gauss-Newton for some 160 unknowns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..anatomy.landmarks import IRISES
from ..energies.landmark import calibrated_precision, march_contour
from ..errors import FitError
from ..geometry.camera import Camera, project
from ..geometry.rotation import rotation_matrix, rotation_vector
from ..model.face_model import FaceModel
from ..scene.joint_basis import joint_basis
from ..scene.landmarks import contour_stop, head_yaw, landmark_trust
from ..scene.parameters import Parameters
from .config import FitConfig
from .first_pose import first_pose
from .landmark_basis import IMMOVABLE, POSE, POSE_ITERATIONS, with_rest


class LandmarkSolver:
    """The landmark stage for one model: what depends only on the model is computed once.

    The energy is that of the full stage's landmark, identity and expression terms, so the full stage starts where those
    three agree.
    """

    def __init__(self, model: FaceModel) -> None:
        self.model = model
        # joints count as components: what they do to the surface, linearised at rest
        joints = joint_basis(model)
        bases = (model.identity_basis, joints, model.expression_basis)
        self.first_expression = len(model.identity_basis) + len(joints)
        # of the contour's rows only what marching may choose
        stop = contour_stop(model).clamp_min(0)
        rows = model.contour_rows[:, : int(stop.max()) + 1]
        rows = torch.where(torch.arange(rows.shape[1], device=rows.device) <= stop[:, None], rows, -1)
        self.local_rows = torch.full_like(rows, -1)
        self.local_rows[rows >= 0] = torch.arange(int((rows >= 0).sum()), device=rows.device)
        row_vertices = rows[rows >= 0]
        # points first, then x, y, z, then coefficients: the order in which the Jacobian is filled
        self.landmark_mean = model.landmarks(model.verts[None])[0]
        self.landmark_basis = torch.cat([model.landmarks(basis) for basis in bases]).permute(1, 2, 0).contiguous()
        self.row_mean = model.verts[row_vertices]
        row_basis = torch.cat([basis[:, row_vertices] for basis in bases])
        self.row_basis = row_basis.permute(1, 2, 0).contiguous()

    def prior(self, config: FitConfig, fixed: Sequence[str] = ()) -> tuple[np.ndarray, np.ndarray]:
        """Precision and slope (N,) of the coefficients' priors: identity, joints, expression. What is `fixed` has a
        precision that no landmark can move."""
        weights, count_i, first = config.weights, self.model.sizes["identity"], self.first_expression
        count = self.landmark_basis.shape[2]
        precision, slope = np.full(count, weights.identity), np.zeros(count)
        if self.model.skeleton is not None:
            spread = self.model.skeleton.spread()[self.model.skeleton.turned].reshape(-1).cpu().double().numpy()
            precision[count_i:first] = weights.joints / spread**2
        scale = config.activation_scale if self.model.activation else 1.0
        precision[first:] = weights.expression / scale**2
        if self.model.activation:
            slope[first:] = 0.5 * weights.sparsity / scale
        for name, part in self._parts().items():
            if name in fixed:
                precision[part], slope[part] = IMMOVABLE, 0
        return precision, slope

    def _parts(self) -> dict[str, slice]:
        """Where each parameter lies among the coefficients."""
        count_i, first = self.model.sizes["identity"], self.first_expression
        return {"identity": slice(0, count_i), "joints": slice(count_i, first), "expression": slice(first, None)}

    def _coefficients(self, start: Parameters | None, like: Tensor) -> Tensor:
        """(B, N) of known parameters, or the mean face's."""
        coefficients = like.new_zeros(len(like), self.landmark_basis.shape[2])
        if start is not None:
            turned = () if self.model.skeleton is None else self.model.skeleton.turned
            parts = self._parts()
            coefficients[:, parts["identity"]] = start.identity.to(like)
            coefficients[:, parts["joints"]] = start.joints[:, list(turned)].flatten(1).to(like)
            coefficients[:, parts["expression"]] = start.expression.to(like)
        return coefficients

    @torch.no_grad()
    def solve(
        self, landmarks: Tensor, confidence: Tensor, camera: Camera, config: FitConfig, *,
        start: Parameters | None = None, fixed: Sequence[str] = (),
    ) -> Parameters:  # fmt: skip
        """Pose, identity, joints and expression.

        Args:
            landmarks: (B, L, 2) and confidence (B, L), in the pixels of `camera` (a window's).
            start: identity, joints and expression to begin with; None: the mean face.
            fixed: those of them that stay as they are at the start.
        Raises:
            FitError: the system has no finite solution.
        """
        model, count_i, count_j = self.model, self.model.sizes["identity"], self.first_expression
        batch = len(landmarks)
        confidence = confidence.clone()
        confidence[:, IRISES] = 0  # gaze is not solved here
        rotation, translation = (value.to(landmarks.dtype) for value in first_pose(model, landmarks, camera))
        run = self._run_cpu if landmarks.device.type == "cpu" else self._run
        known = self._coefficients(start, landmarks)
        rotation, translation, coefficients = run(
            rotation, translation, known, landmarks, confidence, camera, config, fixed
        )
        for name in set(fixed) & set(self._parts()):
            coefficients[:, self._parts()[name]] = known[:, self._parts()[name]]
        if not (torch.isfinite(coefficients).all() and torch.isfinite(translation).all()):
            raise FitError("the landmark stage found no finite solution: are the landmarks those of a face?")
        return replace(
            Parameters.zeros(model.sizes, batch, landmarks.device),
            identity=coefficients[:, :count_i],
            expression=coefficients[:, count_j:],
            joints=with_rest(model, coefficients[:, count_i:count_j]),
            rotvec=rotation_vector(rotation.double()).float(),
            translation=translation,
        )

    def _run_cpu(
        self, rotation: Tensor, translation: Tensor, known: Tensor, landmarks: Tensor, confidence: Tensor,
        camera: Camera, config: FitConfig, fixed: Sequence[str],
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """`_run` face by face in NumPy: a quarter of the time."""
        from .landmark_stage_cpu import FaceSolver

        given = [value.double().numpy() for value in (landmarks, confidence, camera.focal, camera.centre)]
        found = [
            FaceSolver(self, *(value[face] for value in given), config, known[face].double().numpy(), fixed).solve(
                rotation[face].double().numpy(), translation[face].double().numpy(), POSE_ITERATIONS
            )
            for face in range(len(landmarks))
        ]
        return tuple(torch.from_numpy(np.stack(values)).to(landmarks.dtype) for values in zip(*found, strict=True))

    def _run(
        self, rotation: Tensor, translation: Tensor, known: Tensor, landmarks: Tensor, confidence: Tensor,
        camera: Camera, config: FitConfig, fixed: Sequence[str],
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """All faces at once: rotations (B, 3, 3), translations (B, 3), coefficients (B, I + 3 T + E)."""
        model, first = self.model, self.first_expression
        coefficients, prior = known.clone(), self.prior(config, fixed)
        precision, slope = (torch.from_numpy(value).to(known) for value in prior)
        slope = slope - torch.where(precision == IMMOVABLE, precision * known, 0.0)  # the prior's middle is the start
        for iteration in range(POSE_ITERATIONS + config.landmark_iterations):
            pose_only = iteration < POSE_ITERATIONS
            trusted = confidence * landmark_trust(model, rotation)
            step = self._step(
                rotation, translation, coefficients, precision, slope, landmarks, trusted, camera, config, pose_only
            )
            rotation = rotation_matrix(step[:, :3]) @ rotation
            translation = translation + step[:, 3:POSE]
            if not pose_only:
                coefficients = coefficients + step[:, POSE:]
                if model.activation:
                    coefficients[:, first:] = coefficients[:, first:].clamp(0, 1)
        return rotation, translation, coefficients

    def _step(
        self, rotation: Tensor, translation: Tensor, coefficients: Tensor, precision: Tensor, slope: Tensor,
        landmarks: Tensor, confidence: Tensor, camera: Camera, config: FitConfig, pose_only: bool,
    ) -> Tensor:  # fmt: skip
        """One Gauss-Newton step (B, 6 + I + E): rotation, translation, coefficients."""
        model, batch = self.model, len(landmarks)
        shape, chosen = self._with_contour(rotation, translation, coefficients, camera)
        turned = shape @ rotation.transpose(1, 2)
        points = turned + translation[:, None]
        depth = (-points[..., 2]).clamp_min(1.0)
        focal = camera.focal[:, None]
        pixels = project(points, camera)
        root, residual = self._whitened(pixels, rotation, depth, landmarks, confidence, camera, config)

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
            jacobian[..., POSE:] = by_model @ self.landmark_basis
            jacobian[:, model.contour_landmarks, :, POSE:] = (
                by_model[:, model.contour_landmarks] @ self.row_basis[chosen]
            )
        jacobian = jacobian.reshape(batch, -1, unknowns)
        residual = residual.reshape(batch, -1, 1)
        normal = jacobian.transpose(1, 2) @ jacobian
        gradient = (jacobian.transpose(1, 2) @ residual)[..., 0]
        if pose_only:
            step = self._solve(normal, gradient)
            return torch.cat([step, step.new_zeros(coefficients.shape)], 1)
        first = self.first_expression
        normal.diagonal(dim1=1, dim2=2)[:, POSE:] += precision
        gradient[:, POSE:] += precision * coefficients + slope
        step = self._solve(normal, gradient)
        if model.activation:
            step = self._keep_box(step, normal, gradient, coefficients[:, first:], POSE + first)
        return step

    def _with_contour(
        self, rotation: Tensor, translation: Tensor, coefficients: Tensor, camera: Camera
    ) -> tuple[Tensor, Tensor]:
        """Landmarks (B, L, 3) in model space, the cheek contour marched to the silhouette, and where it now is among
        the vertices of the contour's rows (B, R)."""
        model, batch = self.model, len(coefficients)

        def posed(mean: Tensor, basis: Tensor) -> Tensor:
            return (mean.reshape(-1) + coefficients @ basis.flatten(0, 1).T).reshape(batch, -1, 3)

        rows = posed(self.row_mean, self.row_basis)
        pixels = project(rows @ rotation.transpose(1, 2) + translation[:, None], camera)
        chosen = march_contour(pixels, self.local_rows)
        marched = rows.gather(1, chosen[..., None].expand(-1, -1, 3))
        shape = posed(self.landmark_mean, self.landmark_basis).index_copy(1, model.contour_landmarks, marched)
        return shape, chosen

    def _whitened(
        self, pixels: Tensor, rotation: Tensor, depth: Tensor, landmarks: Tensor, confidence: Tensor, camera: Camera,
        config: FitConfig,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Square roots (B, L, 2, 2) of the landmarks' precisions with all weights, and the residuals under them."""
        model = self.model
        if config.calibrated:
            scale = depth.mean(1) / camera.focal.mean(1)
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
        share = confidence * robust * config.weights.landmark / confidence.sum(1, keepdim=True).clamp_min(1e-9)
        lower = torch.linalg.cholesky(precision)
        root = lower.transpose(-1, -2) * share.sqrt()[..., None, None]
        return root, (root @ difference[..., None])[..., 0]

    @staticmethod
    def _solve(normal: Tensor, gradient: Tensor) -> Tensor:
        damped = normal.double()
        damped.diagonal(dim1=1, dim2=2).mul_(1 + 1e-6).add_(1e-9)
        factor, info = torch.linalg.cholesky_ex(damped)
        if info.any():
            raise FitError("the landmark stage has no unique solution: are the landmarks those of a face?")
        return -torch.cholesky_solve(gradient.double()[..., None], factor)[..., 0].to(gradient.dtype)

    def _keep_box(self, step: Tensor, normal: Tensor, gradient: Tensor, activation: Tensor, first: int) -> Tensor:
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
            step = torch.where(held, bound, self._solve(reduced, right))
        wanted = (activation + step[:, first:]).clamp(0, 1)
        return torch.cat([step[:, :first], wanted - activation], 1)


def landmark_solver(model: FaceModel) -> LandmarkSolver:
    """The model's solver, made once."""
    cached = model.__dict__.get("_landmark_solver")
    if cached is None:
        cached = LandmarkSolver(model)
        object.__setattr__(model, "_landmark_solver", cached)
    return cached
