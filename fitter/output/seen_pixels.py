"""What of a photo shows the face, as the fit saw it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..anatomy.parts import MASKS
from ..fit.result import FitResult, Sighting
from ..geometry.camera import WindowTransform
from ..observe.segment.occluders import glasses_mask

_FEATURES = ("left_eye", "right_eye", "left_brow", "right_brow", "upper_lip", "lower_lip")

_LUMA = np.array((0.299, 0.587, 0.114), np.float32)

_SPECK = 0.003  # of the window


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
        glasses: (S, S) bool, what of the covered is the frame of glasses.
    """

    photo: np.ndarray
    window: WindowTransform
    valid: np.ndarray
    covered: np.ndarray
    features: np.ndarray
    hair: np.ndarray
    glasses: np.ndarray


def seen_pixels(sighting: Sighting | FitResult) -> SeenPixels:
    """What a fit was held against."""
    observation = sighting.observation
    masks = observation.part_masks[0].cpu().numpy()
    hair = masks[MASKS.index("hair")] > 0.5
    # of a wire frame, finer than its pixels, a parser sees next to nothing
    glasses = glasses_mask(observation.image[0].cpu().numpy() @ _LUMA, observation.landmarks[0].cpu().numpy())
    covered = hair | glasses | (masks[MASKS.index("occluder")] > 0.5)
    features = masks[[MASKS.index(name) for name in _FEATURES]].max(0) > 0.5
    valid = _believed(observation.valid[0].cpu().numpy(), covered) & ~glasses
    return SeenPixels(sighting.photo, sighting.window, valid, covered, features, hair, glasses)


def _believed(confidence: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """(S, S) how sure a parser is of the part of the face that it sees, 0 beyond the face -> bool.

    What is unsure and borders on what is no face may be none. In the middle of a face it is unsure of the part alone,
    as where a frown is skin or brow; and specks of something else there, which covers nothing, are gloss.
    """
    sure = confidence > 0.5
    number, count = ndimage.label(~sure)
    if count == 0:
        return sure
    index = np.arange(1, count + 1)
    named = ndimage.minimum(confidence, number, index) > 0
    rim = np.isin(index, np.concatenate([number[0], number[-1], number[:, 0], number[:, -1]]))
    small = np.bincount(number.ravel(), minlength=count + 1)[1:] < _SPECK * sure.size
    inside = small & ~rim & ~ndimage.maximum(covered, number, index).astype(bool)
    return sure | np.concatenate([[False], named | inside])[number]
