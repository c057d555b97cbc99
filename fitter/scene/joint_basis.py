"""Joints as linear directions of the surface."""

from __future__ import annotations

import torch
from torch import Tensor

from ..model.face_model import FaceModel
from .parameters import Parameters


@torch.no_grad()
def joint_basis(model: FaceModel, step: float = 0.05, at: Parameters | None = None) -> Tensor:
    """(3 T, V, 3) mm per radian: what a turn of each of the T turned joints about x, y and z does to the face `at`
    (B = 1; default: the mean face at rest), by central differences over `step` radians; T = 0 for a model without
    joints."""
    if model.skeleton is None or not model.skeleton.turned:
        return model.verts.new_zeros(0, *model.verts.shape)
    turned, at = model.skeleton.turned, at or Parameters.zeros(model.sizes, device=model.device)
    rows = []
    for joint in turned:
        for axis in range(3):
            joints = at.joints.repeat(2, 1, 1)
            joints[0, joint, axis] += step
            joints[1, joint, axis] -= step
            up, down = model.shape(at.identity.expand(2, -1), at.expression.expand(2, -1), joints=joints)
            rows.append((up - down) / (2 * step))
    return torch.stack(rows)
