"""The morph targets of a sequence: the model's expressions, and chords of the turns of eyes and joints."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..model.face_model import FaceModel
from ..scene.parameters import Parameters

GAZE_STEP, JOINT_STEP = math.radians(20.0), 0.15  # radians of a target's full weight
SIGNS = {"+": 1.0, "-": -1.0}


@dataclass(frozen=True)
class Turn:
    """One direction of one angle of the parameters `gaze` or `joints`: a morph target."""

    name: str
    parameter: str
    place: tuple[int, int]
    sign: float
    step: float

    def weight(self, parameters: Parameters) -> float:
        """Of its target, under these parameters (B = 1)."""
        angle = float(getattr(parameters, self.parameter)[0][self.place])
        return max(self.sign * angle, 0.0) / self.step


def turns_of(model: FaceModel) -> list[Turn]:
    """What of eyes and joints a sequence turns, under this model."""
    found = []
    for eye, side in enumerate(("Right", "Left")):
        for axis, angle in enumerate(("Yaw", "Pitch")):
            found += [
                Turn(f"gaze{side}{angle}{word}", "gaze", (eye, axis), sign, GAZE_STEP) for word, sign in SIGNS.items()
            ]
    if model.skeleton is not None:
        for joint in model.skeleton.turned:
            for axis, letter in enumerate("XYZ"):
                name = f"{model.skeleton.names[joint]}{letter}"
                found += [
                    Turn(f"{name}{word}", "joints", (joint, axis), sign, JOINT_STEP) for word, sign in SIGNS.items()
                ]
    return found


@torch.no_grad()
def _moves(model: FaceModel, identity: Tensor, turns: list[Turn]) -> np.ndarray:
    """(T, V, 3) mm: what each turn does to the neutral face."""
    rest = Parameters.zeros(model.sizes)
    neutral = model.shape(identity, rest.expression, rest.gaze, rest.joints)[0]
    moves = []
    for turn in turns:
        angles = {"gaze": rest.gaze.clone(), "joints": rest.joints.clone()}
        angles[turn.parameter][0][turn.place] = turn.sign * turn.step
        moves.append(model.shape(identity, rest.expression, angles["gaze"], angles["joints"])[0] - neutral)
    return torch.stack(moves).double().numpy()


@torch.no_grad()
def sequence_targets(model: FaceModel, identity: Tensor) -> tuple[list[str], np.ndarray, np.ndarray]:
    """(T,) names, (V, 3) mm of the person's neutral face, and (T, V, 3) mm: all morph targets that a sequence may use,
    for an identity (1, I)."""
    rest, turns = Parameters.zeros(model.sizes), turns_of(model)
    neutral = model.shape(identity, rest.expression, rest.gaze, rest.joints)[0].double().numpy()
    moves = model.expressions(identity[0]).double().numpy()
    names = [*model.expression_names, *(turn.name for turn in turns)]
    return names, neutral, np.concatenate([moves, _moves(model, identity, turns)])
