"""The landmark stage of several photos of one person.

Gauss-Newton whose normal equations are coupled by what the photos share, solved by a Schur complement, so that the cost
grows linearly with the photos.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..anatomy.landmarks import IRISES
from ..errors import FitError
from ..fit.config import FitConfig
from ..fit.dense_rows import dense_rows
from ..fit.landmark_basis import POSE, LandmarkProblem
from ..fit.landmark_stage_torch import BatchSolver, descend
from ..geometry.camera import window_camera
from ..geometry.rotation import rotation_matrix, rotation_vector
from ..model.face_model import FaceModel
from ..observe.observation import Observation
from ..scene.parameters import Parameters
from .sharing import Sharing

ITERATIONS = 6  # two more than for one photo: what the photos share has further to go


class SharedSolver(BatchSolver):
    """Gauss-Newton steps in which some coefficients move alike in all photos."""

    def __init__(self, problem: LandmarkProblem, sharing: Sharing) -> None:
        super().__init__(problem)
        parts = problem.parts()
        names = [name for name in sharing.names if name in parts]
        shared = torch.zeros(POSE + problem.basis.count, dtype=torch.bool)
        for name in names:
            shared[POSE:][parts[name]] = True
        device = problem.landmarks.device
        self.shared, self.own = shared.nonzero()[:, 0].to(device), (~shared).nonzero()[:, 0].to(device)

    def solve(self, normal: Tensor, gradient: Tensor) -> Tensor:
        """The step of all photos together (B, U): each photo's own unknowns are eliminated first.

        Raises:
            FitError: the system has no unique solution.
        """
        return schur_step(normal, gradient, self.shared, self.own)


def schur_step(normal: Tensor, gradient: Tensor, shared: Tensor, own: Tensor) -> Tensor:
    """The Gauss-Newton step of B systems with unknowns in common.

    Args:
        normal: (B, U, U) and gradient (B, U) of each photo.
        shared, own: places of the unknowns that are common and of those that are each photo's.
    Returns:
        (B, U) the step against the gradient; the same at the shared places of every row.
    Raises:
        FitError: the system has no unique solution.
    Source: Triggs et al. 2000, Bundle Adjustment, sec. 6.1.
    """
    matrix, slope = normal.double(), gradient.double()
    matrix.diagonal(dim1=1, dim2=2).mul_(1 + 1e-6).add_(1e-9)
    among_own = matrix[:, own][:, :, own]
    across = matrix[:, own][:, :, shared]
    factor, info = torch.linalg.cholesky_ex(among_own)
    if info.any():
        raise FitError("the landmarks of a photo have no unique solution: are they those of a face?")
    solved = torch.cholesky_solve(torch.cat([across, slope[:, own, None]], 2), factor)
    reduced = (matrix[:, shared][:, :, shared] - across.transpose(1, 2) @ solved[:, :, :-1]).sum(0)
    right = (slope[:, shared] - (across.transpose(1, 2) @ solved[:, :, -1:])[..., 0]).sum(0)
    factor, info = torch.linalg.cholesky_ex(reduced)
    if info.any():
        raise FitError("the landmarks of the photos have no unique solution: are they those of one person?")
    common = -torch.cholesky_solve(right[:, None], factor)[:, 0]
    step = torch.empty_like(slope)
    step[:, shared] = common
    step[:, own] = -solved[:, :, -1] - solved[:, :, :-1] @ common
    return step.to(gradient.dtype)


@torch.no_grad()
def solve_together(
    observation: Observation, start: Parameters, model: FaceModel, config: FitConfig, sharing: Sharing
) -> Parameters:
    """Pose and expression of each photo, and the identity of all.

    Args:
        observation: of B photos of one person, on the model's device.
        start: their own fits; what is shared begins at the mean of them.
    Returns:
        the same parameters with new identity, expression, joints and pose.
    Raises:
        FitError: the system has no finite solution.
    """
    if "landmark" not in config.energies:
        return sharing.shared(start)
    config = replace(sharing.weighted(config, observation.batch), landmark_iterations=ITERATIONS)
    confidence = observation.landmark_confidence.clone()
    confidence[:, IRISES] = 0  # gaze is not solved here
    camera = window_camera(observation.camera, observation.window)
    begin = sharing.shared(start)
    problem = LandmarkProblem(
        model, observation.landmarks, confidence, camera, config, dense_rows(model, observation, camera, config), begin
    )
    rotation, translation, coefficients = descend(
        SharedSolver(problem, sharing), rotation_matrix(begin.rotvec), begin.translation
    )
    if not (torch.isfinite(coefficients).all() and torch.isfinite(translation).all()):
        raise FitError("the landmarks of the photos have no finite solution: are they those of one person?")
    parts = problem.parts()
    return replace(
        begin,
        identity=coefficients[:, parts["identity"]],
        expression=coefficients[:, parts["expression"]],
        joints=problem.joints(coefficients),
        rotvec=rotation_vector(rotation.double()).float(),
        translation=translation,
    )
