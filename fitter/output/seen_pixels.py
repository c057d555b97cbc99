"""What of a photo shows the face, as the fit saw it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..anatomy.parts import MASKS
from ..fit.result import FitResult, Sighting
from ..geometry.camera import WindowTransform

_FEATURES = ("left_eye", "right_eye", "left_brow", "right_brow", "upper_lip", "lower_lip")


@dataclass(frozen=True)
class SeenPixels:
    """What a texture is taken from.

    Attributes:
        photo: (H, W, 3) uint8, what the scene's camera refers to.
        window: photo pixels -> pixels of the masks (B = 1).
        valid: (S, S) bool, where the person's skin, eyes, brows, lips or nose are seen.
        covered: (S, S) bool, where hair or something else lies over the face.
        features: (S, S) bool, where eyes, brows or lips are seen.
        hair: (S, S) bool, what of the covered is hair.
    """

    photo: np.ndarray
    window: WindowTransform
    valid: np.ndarray
    covered: np.ndarray
    features: np.ndarray
    hair: np.ndarray


def seen_pixels(sighting: Sighting | FitResult) -> SeenPixels:
    """What a fit was held against."""
    masks = sighting.observation.part_masks[0].cpu().numpy()
    hair = masks[MASKS.index("hair")] > 0.5
    covered = hair | (masks[MASKS.index("occluder")] > 0.5)
    features = masks[[MASKS.index(name) for name in _FEATURES]].max(0) > 0.5
    valid = sighting.observation.valid[0].cpu().numpy() > 0.5
    return SeenPixels(sighting.photo, sighting.window, valid, covered, features, hair)
