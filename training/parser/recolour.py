"""Other hair and other skin on a labelled photo: seven people are few, and most of them are dark-haired and light.

Only colours change, so every label stays true.
"""

from __future__ import annotations

import numpy as np

from facefit.anatomy.landmarks import FACE_OVAL
from facefit.anatomy.parts import LABEL
from facefit.geometry.polygon import polygon_pixels
from facefit.synth.brush import blurred
from training.parser.samples import IGNORE

# Mean colours of hair and skin as cameras show them, from dark to light; a person's lies between two neighbours.
HAIR_COLOURS = np.array(
    [
        (0.05, 0.04, 0.04), (0.12, 0.09, 0.07), (0.25, 0.17, 0.11), (0.42, 0.22, 0.11), (0.42, 0.31, 0.20),
        (0.58, 0.46, 0.30), (0.72, 0.62, 0.45), (0.66, 0.64, 0.62),
    ],
    np.float32,
)  # fmt: skip
SKIN_COLOURS = np.array(
    [(0.20, 0.13, 0.10), (0.33, 0.22, 0.16), (0.48, 0.33, 0.25), (0.64, 0.46, 0.36), (0.78, 0.60, 0.50),
     (0.88, 0.72, 0.64)],
    np.float32,
)  # fmt: skip
_SKIN = [LABEL[name] for name in ("skin", "nose", "ear", "neck", "upper_lip", "lower_lip")]
_EYES = [LABEL["right_eye"], LABEL["left_eye"]]
_LUMA = np.array([0.3, 0.59, 0.11], np.float32)
# A region smaller than this share of the picture has no mean colour worth changing.
_LEAST = 0.01


def between(colours: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random colour on the line through `colours`."""
    place = rng.uniform(0, len(colours) - 1)
    low = min(int(place), len(colours) - 2)
    return colours[low] + (place - low) * (colours[low + 1] - colours[low])


def dyed(image: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The hair of the head and the brows in another colour, its strands and shine kept; (S, S, 3) float32 in [0, 1]."""
    hair = labels == LABEL["hair"]
    if hair.mean() < _LEAST:
        return image
    luma = image @ _LUMA
    relative = np.clip(luma / max(float(luma[hair].mean()), 0.02), 0.1, 3.0)
    # light hair shows its strands with less contrast than dark hair its shine
    colour = between(HAIR_COLOURS, rng)
    new = colour * (relative ** np.float32(rng.uniform(0.5, 1.0)))[..., None]
    brows = np.isin(labels, (LABEL["right_brow"], LABEL["left_brow"])) if rng.random() < 0.5 else False
    soft = blurred((hair | brows).astype(np.float32), rng.uniform(0.8, 1.6))[..., None]
    return np.clip(image + soft * (new - image), 0, 1).astype(np.float32)


def complexion(image: np.ndarray, labels: np.ndarray, landmarks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The skin lighter or darker; shadows and the redness of lips are kept. Arguments as of example."""
    skin = np.isin(labels, _SKIN)
    if skin.mean() < _LEAST:
        return image
    gain = between(SKIN_COLOURS, rng) / np.maximum(image[skin].mean(0), 0.05)
    # what is not labelled within the face is skin or lies on it
    where = skin | ((labels == IGNORE) & polygon_pixels(labels.shape, landmarks[list(FACE_OVAL)]))
    where &= ~np.isin(labels, _EYES)
    soft = blurred(where.astype(np.float32), rng.uniform(0.8, 1.6))[..., None]
    return np.clip(image * (1 + soft * (gain.astype(np.float32) - 1)), 0, 1).astype(np.float32)
