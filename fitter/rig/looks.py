"""Eyes as the targets of a rig: what `eyeLook...` does to the eyeballs, and which of them a gaze is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..model.face_model import FaceModel
from ..model.skeleton import gaze_rotation
from ..output.morph_targets import LOOK_RADIANS, look_gaze
from .lids import ball_centre

STILL = 1.0  # mm; an expression that moves an eyeball less leaves it alone


def with_looks(model: FaceModel, neutral: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """The shapes (E, V, 3) mm of a person with the neutral (V, 3) mm, eyeballs turned by the `eyeLook` ones.

    A model's own look units move the lids alone, for the gaze is a turn; as a target it is the chord of the turn.
    """
    out = shapes.copy()
    for index, name in enumerate(model.expression_names):
        gaze = look_gaze(name)
        if gaze is None:
            continue
        for eye, ball, weight in balls(model):
            if gaze[0, eye].any() and np.abs(shapes[index, ball]).max() < STILL:
                turn = gaze_rotation(gaze[:, eye].double())[0].numpy() - np.eye(3)
                out[index, ball] += (neutral[ball] - ball_centre(neutral, ball, weight)) @ turn.T
    return out


def balls(model: FaceModel) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """The eyeballs there are: 0 right and 1 left, the vertices (N,), and the weights (N,) that give the centre."""
    found = []
    for eye in (0, 1):
        ball = np.flatnonzero(model.eyeball.cpu().numpy() == eye + 1)
        if len(ball):
            weight = np.full(len(ball), 1 / len(ball))
            if model.eyeball_weight is not None:
                weight = model.eyeball_weight[torch.from_numpy(ball)].double().numpy()
            found.append((eye, ball, weight))
    return found


def is_look(name: str) -> bool:
    """Whether an expression is a gaze."""
    return look_gaze(name) is not None


def look_weights(gaze: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """(F, T) weights of the `eyeLook` ones among names (T,) for a gaze (F, 2, 2) in radians; 0 for others, and 1 for
    what is beyond the range of an eye."""
    out = np.zeros((len(gaze), len(names)))
    for index, name in enumerate(names):
        full = look_gaze(name)
        if full is None:
            continue
        direction = full[0].double().numpy()
        angle = LOOK_RADIANS[name.removeprefix("eyeLook").removesuffix("Left").removesuffix("Right")]
        out[:, index] = np.clip((gaze * direction).sum((1, 2)) / angle**2, 0, 1)
    return out
