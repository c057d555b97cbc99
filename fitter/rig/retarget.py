"""One person's motion on another's rig: the same expression, not the same numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..model.face_model import FaceModel
from .clip import Clip, check_names
from .looks import is_look, with_looks
from .openings import Openings
from .personal import personal_shapes


@dataclass(frozen=True)
class Rig:
    """A person who can be moved.

    Attributes:
        model: whose triangles and names these are.
        neutral: (V, 3) mm in model space. targets: (E, V, 3) mm at weight 1, in the order of the model's expressions.
        openings: of its lids and lips. average: those of the model's mean face, for clips of nobody known.
    """

    model: FaceModel
    neutral: np.ndarray
    targets: np.ndarray
    openings: Openings
    average: Openings


def rig_of(model: FaceModel, neutral: np.ndarray, wrinkles: np.ndarray | float = 0.0) -> Rig:
    """The rig of a neutral face (V, 3) mm in the model's triangles: `personal_shapes`, with eyes that turn.

    Args:
        wrinkles: (E, V, 3) mm that the person's skin folds beyond that (`HeadFile.moves`).

    Raises:
        ValueError: as `personal_shapes`, or the model's expressions have other names than ARKit's.
    """
    check_names(model)
    shapes = personal_shapes(model, neutral)
    generic = model.verts.double().numpy(), model.expression_basis.double().numpy()
    targets = with_looks(model, neutral, shapes) + wrinkles
    return Rig(model, neutral, targets, Openings.of(model, neutral, shapes), Openings.of(model, *generic))


def calibrated(clip: Clip, rest: np.ndarray) -> np.ndarray:
    """(F, T) weights counted from the face at rest (T,): that is 0, and 1 stays 1."""
    weights = clip.looked()
    looks = np.array([is_look(name) for name in clip.names], bool)
    return np.where(looks, weights, np.clip((weights - rest) / (1 - rest), 0, 1))


def retarget(clip: Clip, rig: Rig, rest: np.ndarray | None = None) -> Clip:
    """The clip as weights of the rig.

    1. What the source shows at rest is subtracted; whole activations stay whole (`calibrated`).
    2. The gaze becomes the rig's looks.
    3. Weights that open and close eyes and mouth are moved as little as makes the rig's openings those of the source
       (facefit.rig.openings): closed stays closed, half open stays half open, whoever's eyes these are.

    Head and timing stay.

    Args:
        rest: (T,) weights of the source at rest; None: `Clip.rest`.
    Returns:
        with the names of the rig's model; expressions that the clip lacks are 0.
    """
    rest = clip.rest() if rest is None else rest
    names = rig.model.expression_names
    place = {name: k for k, name in enumerate(clip.names)}
    shared = [(k, place[name]) for k, name in enumerate(names) if name in place]
    here, there = np.array(shared, int).reshape(-1, 2).T
    weights = np.zeros((len(clip.seconds), len(names)))
    weights[:, here] = calibrated(clip, rest)[:, there]
    source = clip.openings or rig.average
    fitted, still = (_of(source, clip, values) for values in (clip.weights, rest[None]))
    wanted = rig.openings.wanted(source.at(fitted), source, source.at(still)[0])
    opened = rig.openings.opened(weights, wanted)
    return replace(clip, names=tuple(names), weights=opened, openings=rig.openings)


def _of(source: Openings, clip: Clip, weights: np.ndarray) -> np.ndarray:
    """(F, T) weights of a clip in the order of the names of `source`; 0 for those that the clip lacks."""
    place = {name: k for k, name in enumerate(clip.names)}
    found = [weights[:, place[name]] if name in place else np.zeros(len(weights)) for name in source.names]
    return np.stack(found, 1)
