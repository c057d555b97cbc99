"""The pose under which a mean face shows the landmarks best."""

from __future__ import annotations

import torch
from torch import Tensor

from ..anatomy.landmarks import IRISES
from ..compute.derived import derived
from ..geometry.camera import Camera
from ..model.face_model import FaceModel


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
