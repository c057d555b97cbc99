"""The first guess: pose, identity and expression from landmarks alone, by Gauss-Newton for some 160 unknowns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..anatomy.landmarks import IRISES
from ..errors import FitError
from ..geometry.camera import Camera
from ..geometry.rotation import rotation_vector
from ..model.face_model import FaceModel
from ..scene.parameters import Parameters
from . import landmark_stage_cpu, landmark_stage_torch
from .config import FitConfig
from .dense_rows import DenseRows
from .first_pose import first_pose
from .landmark_basis import LandmarkProblem


@torch.no_grad()
def solve_landmarks(
    model: FaceModel, landmarks: Tensor, confidence: Tensor, camera: Camera, config: FitConfig, *,
    dense: DenseRows | None = None, start: Parameters | None = None, fixed: Sequence[str] = (),
    expected: Tensor | None = None,
) -> Parameters:  # fmt: skip
    """Pose, identity, joints and expression.

    Args:
        landmarks: (B, L, 2) and confidence (B, L), in the pixels of `camera` (a window's).
        dense: what a network saw of the faces beside landmarks; None: nothing.
        start: identity, joints and expression to begin with; None: the mean face.
        fixed: those of them that stay as they are at the start.
        expected: (B, I) the middle of the identity's prior; None: the mean face.
    Raises:
        FitError: the system has no finite solution.
    """
    confidence = confidence.clone()
    confidence[:, IRISES] = 0  # gaze is not solved here
    problem = LandmarkProblem(model, landmarks, confidence, camera, config, dense, start, fixed, expected)
    rotation, translation = (value.to(landmarks.dtype) for value in first_pose(model, landmarks, camera))
    form = landmark_stage_cpu if landmarks.device.type == "cpu" else landmark_stage_torch
    rotation, translation, coefficients = form.solve(problem, rotation, translation)
    known, parts = problem.known(), problem.parts()
    for name in set(fixed) & set(parts):
        coefficients[:, parts[name]] = known[:, parts[name]]
    if not (torch.isfinite(coefficients).all() and torch.isfinite(translation).all()):
        raise FitError("the landmark stage found no finite solution: are the landmarks those of a face?")
    return replace(
        Parameters.zeros(model.sizes, len(landmarks), landmarks.device),
        identity=coefficients[:, parts["identity"]],
        expression=coefficients[:, parts["expression"]],
        joints=problem.joints(coefficients),
        rotvec=rotation_vector(rotation.double()).float(),
        translation=translation,
    )
