"""The motion of one person: weights of expressions, gaze and head over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..geometry.rotation import rotation_matrix
from ..model.face_model import FaceModel
from ..scene.parameters import Parameters
from .looks import is_look, look_weights
from .openings import Openings

QUIET = 0.1  # of the frames: those with the least expression show the face at rest
RESTING = 0.3  # activation; a face at rest has no more of anything


@dataclass(frozen=True)
class Clip:
    """F frames.

    Attributes:
        names: (T,) of the expressions, ARKit's.
        seconds: (F,) increasing.
        weights: (F, T) in [0, 1].
        rotation: (F, 3, 3), translation: (F, 3) mm: the head in the scene; model space -> camera space.
        gaze: (F, 2, 2) radians, right and left eye, yaw and pitch; None where the `eyeLook` weights say it.
        camera: glTF's, or None.
        openings: of lids and lips of the person who moved; None for one who is not known.
    """

    names: tuple[str, ...]
    seconds: np.ndarray
    weights: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    gaze: np.ndarray | None = None
    camera: dict | None = None
    openings: Openings | None = None

    def looked(self) -> np.ndarray:
        """(F, T) the weights, with the gaze as those of the `eyeLook` ones."""
        if self.gaze is None:
            return self.weights
        looks = np.array([is_look(name) for name in self.names], bool)
        return np.where(looks, look_weights(self.gaze, self.names), self.weights)

    def rest(self) -> np.ndarray:
        """(T,) weights of the face at rest, as it was tracked: the median of the quietest frames.

        Blinks come and go in any frame, and a gaze is none: they do not make a frame unquiet.
        """
        free = np.array([is_look(name) or name.startswith("eyeBlink") for name in self.names], bool)
        busy = self.weights[:, ~free].sum(1)
        quiet = np.argsort(busy, kind="stable")[: max(1, round(QUIET * len(busy)))]
        return np.clip(np.median(self.weights[quiet], 0), 0, RESTING)


def clip_of_fits(
    model: FaceModel, parameters: Parameters, seconds: Sequence[float], camera: dict | None = None
) -> Clip:
    """What fits of one person's frames show.

    Args:
        parameters: of F frames; the identity is the first one's. camera: glTF's.
    Raises:
        ValueError: the model's expressions are no activations with ARKit's names, parameters that are not the model's,
            or frames that are not in order.
    """
    check_names(model)
    for name in ("identity", "expression"):
        count = getattr(parameters, name).shape[1]
        if count != model.sizes[name]:
            raise ValueError(f"{name} has {count} numbers; the model has {model.sizes[name]}")
    if (np.diff(seconds) <= 0).any():
        raise ValueError("frames are not in the order of their seconds")
    shapes = model.expressions(parameters.identity[0]).double().numpy()
    neutral = model.shape(parameters.identity[:1], parameters.expression[:1] * 0)[0].double().numpy()
    return Clip(
        names=tuple(model.expression_names),
        seconds=np.asarray(seconds, float),
        weights=parameters.expression.double().numpy(),
        rotation=rotation_matrix(parameters.rotvec.double()).numpy(),
        translation=parameters.translation.double().numpy(),
        gaze=parameters.gaze.double().numpy(),
        camera=camera,
        openings=Openings.of(model, neutral, shapes),
    )


def check_names(model: FaceModel) -> None:
    """Raises ValueError: the expressions of the model are not ARKit's, so that another face has no such thing."""
    if not model.activation or not {"jawOpen", "eyeBlinkLeft"} <= set(model.expression_names):
        raise ValueError(f"expressions of face model {model.name} are not ARKit's; they mean nothing on another face")
