"""The landmark stage: pose, identity and expression from landmarks, and from dense points and normals where they were
seen, by Gauss-Newton for some 160 unknowns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..anatomy.landmarks import IRISES
from ..compute.derived import derived
from ..errors import FitError
from ..geometry.camera import Camera
from ..geometry.rotation import rotation_vector
from ..model.face_model import FaceModel
from ..scene.parameters import Parameters
from . import landmark_stage_cpu, landmark_stage_torch
from .config import FitConfig
from .dense_rows import DenseRows
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


def first_pose(model: FaceModel, landmarks: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """Pose of the mean face by scaled orthography.

    Args:
        landmarks: (B, L, 2) pixels of `camera`.
    Returns:
        (B, 3, 3) rotation and (B, 3) translation in mm, float64.
    Source: DeMenthon and Davis 1995 (POS), with an SVD for the nearest rotation.
    """
    centre, inverse = derived(model, "orthography", _orthography)
    rays = (landmarks.double()[:, : IRISES.start] - camera.centre[:, None]) / camera.focal[:, None]
    rays = rays * torch.tensor([1.0, -1.0], dtype=torch.float64, device=rays.device)
    mean_ray = rays.mean(1)
    affine = inverse @ (rays - mean_ray[:, None])
    rows = affine.transpose(1, 2)  # (B, 2, 3)
    scale = torch.linalg.svdvals(rows).mean(1).clamp_min(1e-9)
    third = torch.linalg.cross(rows[:, 0], rows[:, 1]) / scale[:, None] ** 2
    u, _, vt = torch.linalg.svd(torch.cat([rows / scale[:, None, None], third[:, None]], 1))
    u = u * torch.stack([torch.ones_like(scale), torch.ones_like(scale), torch.linalg.det(u @ vt)], -1)[:, None]
    rotation = u @ vt
    distance = 1 / scale
    at = torch.cat([mean_ray * distance[:, None], -distance[:, None]], 1)
    return rotation, at - (rotation @ centre)


def _orthography(model: FaceModel) -> tuple[Tensor, Tensor]:
    """Centre (3,) of the mean face's landmarks and pseudoinverse (3, L - 10) of their places around it."""
    shape = model.landmarks(model.verts[None])[0, : IRISES.start].double()
    centre = shape.mean(0)
    return centre, torch.linalg.pinv(shape - centre)
