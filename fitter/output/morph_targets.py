"""A fitted face as a neutral one, displacements for its expressions, and their weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..scene.scene import Scene

# A full `eyeLook` activation turns the eyeball by this much: the comfortable range of the eye before the head follows.
LOOK_RADIANS = {"In": np.radians(30.0), "Out": np.radians(30.0), "Up": np.radians(25.0), "Down": np.radians(30.0)}


def look_gaze(name: str) -> torch.Tensor | None:
    """The gaze (1, 2, 2) in radians that an ARKit name such as `eyeLookInLeft` stands for; None for another name."""
    for side, eye in (("Right", 0), ("Left", 1)):
        for direction, angle in LOOK_RADIANS.items():
            if name != f"eyeLook{direction}{side}":
                continue
            gaze = torch.zeros(1, 2, 2)
            if direction in ("Up", "Down"):
                gaze[0, eye, 1] = angle if direction == "Up" else -angle
            else:  # inwards is towards +x for the right eye, towards -x for the left one
                gaze[0, eye, 0] = angle if (direction == "In") == (side == "Right") else -angle
            return gaze
    return None


@dataclass(frozen=True)
class Morphs:
    """A mesh with named displacements: base + sum(weights * targets).

    Attributes:
        base: (V, 3) mm. targets: (T, V, 3) mm. names, weights: (T,).
    """

    base: np.ndarray
    targets: np.ndarray
    names: tuple[str, ...]
    weights: np.ndarray

    @property
    def verts(self) -> np.ndarray:
        """(V, 3) mm under the weights."""
        return self.base + np.tensordot(self.weights, self.targets, 1)


def morph_targets(scene: Scene, space: str = "model") -> Morphs:
    """The fitted neutral, its expressions, and their weights: base + sum(weights * targets) is the fitted mesh.

    `eyeLook` targets of a model whose own units leave the eyeballs alone get their rotation, linearised as the chord
    (exact at 0 and 1). What the fitted gaze holds beyond the weights stays in the base's eyeballs.
    """
    model, value = scene.model, scene.parameters
    with torch.no_grad():
        targets = model.expressions(value.identity[0]).cpu().double().numpy().copy()
    ball = model.eyeball.cpu().numpy() > 0
    looks = {
        index: gaze
        for index, name in enumerate(model.expression_names)
        if (gaze := look_gaze(name)) is not None and ball.any() and np.abs(targets[index, ball]).max() < 1.0
    }
    if looks:
        gaze = torch.cat([torch.zeros(1, 2, 2), *looks.values()]).to(value.gaze)
        with torch.no_grad():
            identity = value.identity.expand(len(gaze), -1)
            turned = model.shape(identity, torch.zeros_like(value.expression).expand(len(gaze), -1), gaze)
        moves = (turned[1:, ball] - turned[:1, ball]).cpu().double().numpy()
        for index, move in zip(looks, moves, strict=True):
            targets[index, ball] += move
    weights = value.expression[0].detach().cpu().double().numpy()
    verts = scene.verts_in(space)
    if space == "camera":
        targets = targets @ scene.pose()[0].T
    return Morphs(verts - np.tensordot(weights, targets, 1), targets, model.expression_names, weights)
