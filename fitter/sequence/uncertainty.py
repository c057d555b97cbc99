"""How well landmarks tell pose and expression of a frame: the covariance that a fit of them leaves."""

from __future__ import annotations

import torch
from torch import Tensor

from ..energies.landmark import calibrated_precision
from ..fit.config import FitConfig
from ..geometry.rotation import rotation_matrix
from ..model.face_model import FaceModel
from ..scene.landmarks import head_yaw
from ..scene.parameters import Parameters

POSE = 6  # turn and shift
AT_ONCE = 64  # frames, of which each takes half a megabyte
FLOOR = 1.0  # mm; what photos add to the calibrated deviations of the landmarks


@torch.no_grad()
def pose_and_expression(
    model: FaceModel, parameters: Parameters, config: FitConfig | None = None
) -> tuple[Tensor, Tensor]:
    """What landmarks leave open of each of F frames, identity given.

    Args:
        parameters: of the frames, one identity.
    Returns:
        (F, 6, 6) float64, the posterior covariance of the head's turn about the axes of the camera, radians, and shift,
        mm; (F, E) that of each expression alone.
    """
    found = [
        torch.linalg.inv(information(model, parameters[slice(start, start + AT_ONCE)], config or FitConfig()))
        for start in range(0, parameters.batch, AT_ONCE)
    ]
    pose = [covariance[:, :POSE, :POSE] for covariance in found]
    own = [covariance.diagonal(dim1=1, dim2=2)[:, POSE:] for covariance in found]
    return torch.cat(pose), torch.cat(own)


def information(model: FaceModel, parameters: Parameters, config: FitConfig) -> Tensor:
    """(F, 6 + E, 6 + E) float64: the inverse of the whole covariance, by the landmarks' Jacobian and the prior."""
    basis = model.landmarks(model.expressions(parameters.identity[0])).double()  # (E, L, 3)
    neutral = model.shape(parameters.identity[:1], parameters.expression[:1] * 0)
    points = model.landmarks(neutral)[0].double() + torch.einsum("fe,elx->flx", parameters.expression.double(), basis)
    rotation = rotation_matrix(parameters.rotvec.double())
    turned = points @ rotation.transpose(1, 2)
    placed = turned + parameters.translation.double()[:, None]
    frames, count = placed.shape[:2]
    x, y, depth = placed[..., 0], placed[..., 1], (-placed[..., 2]).clamp_min(1.0)
    scale = depth.mean(1, keepdim=True) / depth
    zero = torch.zeros_like(x)
    # of the picture at the face's own depth, mm, y down, by the point
    view = torch.stack([scale, zero, scale * x / depth, zero, -scale, -scale * y / depth], -1).reshape(frames, -1, 2, 3)
    tx, ty, tz = turned.unbind(-1)
    cross = torch.stack([zero, tz, -ty, -tz, zero, tx, ty, -tx, zero], -1).reshape(frames, -1, 3, 3)
    shift = torch.eye(3, dtype=torch.float64).expand(frames, count, 3, 3)
    moved = torch.einsum("fab,elb->flae", rotation, basis)
    jacobian = view @ torch.cat([cross, shift, moved], -1)  # (F, L, 2, 6 + E)
    _, precision = calibrated_precision(
        head_yaw(rotation).float(), model.landmark_yaw, model.landmark_bias, model.landmark_covariance,
        torch.ones(frames), FLOOR,
    )  # fmt: skip
    weight = config.weights.landmark / count  # landmarks of one network err together
    whole = torch.einsum("flia,flij,fljb->fab", jacobian, weight * precision.double(), jacobian)
    own = config.weights.expression / (config.activation_scale**2 if model.activation else 1.0)
    whole.diagonal(dim1=1, dim2=2)[:, POSE:] += own
    return whole
