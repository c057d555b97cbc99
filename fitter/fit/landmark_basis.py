"""TODO-DOC fitter/fit/landmark_basis.py."""

from __future__ import annotations

from torch import Tensor

from ..model.face_model import FaceModel

POSE = 6  # unknowns

IMMOVABLE = 1e9  # precision of what is fixed; landmarks give some 1e5

POSE_ITERATIONS = 3  # of the pose alone, before anything else moves


def with_rest(model: FaceModel, turns: Tensor) -> Tensor:
    """(B, 3 T) turns of the turned joints -> (B, J, 3) of all, the others at rest."""
    joints = turns.new_zeros(len(turns), model.sizes["joints"], 3)
    if model.skeleton is not None:
        joints[:, model.skeleton.turned] = turns.reshape(len(turns), -1, 3)
    return joints
