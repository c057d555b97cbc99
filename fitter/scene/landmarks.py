"""The forward model's geometry, from parameters to what the energies look at: camera points, pixels, landmarks."""

from __future__ import annotations

import torch
from torch import Tensor

from ..compute.derived import derived
from ..energies.landmark import march_contour
from ..geometry.camera import Camera, project
from ..model.face_model import FaceModel
from ..render.lighting import vertex_normals


def head_yaw(rotation: Tensor) -> Tensor:
    """(B, 3, 3) rotations -> (B,) degrees between the nose and the camera in the horizontal plane, positive when the
    subject looks to the viewer's right."""
    forward = rotation[:, :, 2]
    return torch.rad2deg(torch.atan2(forward[:, 0], forward[:, 2]))


def contour_choice(model: FaceModel, pixels: Tensor) -> Tensor:
    """(B, V, 2) projected vertices -> (B, R) vertices the cheek contour's landmarks sit on under this pose."""
    return march_contour(pixels, model.contour_rows, contour_stop(model))


def contour_stop(model: FaceModel) -> Tensor:
    """(R,) column of each contour row that lies nearest to its landmark on the mean face: no marching behind it."""
    return derived(model, "contour stop", _contour_stop)


def _contour_stop(model: FaceModel) -> Tensor:
    landmark = model.landmarks(model.verts[None])[0, model.contour_landmarks]
    row = model.verts[model.contour_rows.clamp_min(0)]
    distance = (row - landmark[:, None]).norm(dim=-1)
    return torch.where(model.contour_rows >= 0, distance, torch.inf).argmin(1)


def landmark_trust(model: FaceModel, rotation: Tensor) -> Tensor:
    """How much a landmark counts for where it lies: 1 on the side turned to the camera, little on the hidden one.

    A detector invents the hidden half of a profile. Landmarks just beyond the outline keep their weight, for the
    calibration has seen them.

    Args:
        model: whose landmarks they are.
        rotation: (B, 3, 3) model space -> camera space.
    Returns:
        (B, L) in [0.05, 1].
    """
    normal = derived(
        model, "landmark normals", lambda own: own.landmarks(vertex_normals(own.verts[None], own.faces))[0]
    )
    facing = (normal @ rotation.transpose(1, 2))[..., 2]
    return ((facing + 0.5) / 0.3).clamp(0.05, 1.0)


def project_landmarks(
    model: FaceModel, points: Tensor, camera: Camera, contour: Tensor | None, at: Tensor | None = None
) -> Tensor:
    """The model's landmarks in pixels.

    Args:
        model: with L landmarks, R of them on the contour.
        points: (B, V, 3) camera space mm. camera: of the pixels wanted.
        contour: (B, R) from `contour_choice`, or None to leave the contour where it lies on the mean face.
        at: (B, L, 3) `model.landmarks(points)` where it is known already.
    Returns:
        (B, L, 2) pixels.
    """
    at = model.landmarks(points) if at is None else at
    if contour is not None:
        marched = points.gather(1, contour[..., None].expand(-1, -1, 3))
        at = at.index_copy(1, model.contour_landmarks, marched)
    return project(at, camera)
