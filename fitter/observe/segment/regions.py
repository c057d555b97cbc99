"""Regions of a label picture: left and right sides, ears and neck, the parts of a mouth."""

from __future__ import annotations

import numpy as np

from ...anatomy.landmarks import (
    CHIN,
    FACE_OVAL,
    FOREHEAD,
    LEFT_BROW,
    LEFT_EYE,
    LIPS_INNER,
    LOWER_LIP,
    RIGHT_BROW,
    RIGHT_EYE,
    UPPER_LIP,
)
from ...anatomy.parts import LABEL
from ...geometry.polygon import polygon_pixels
from .morphology import distance_to, grow


def sides(shape: tuple[int, int], landmarks: np.ndarray) -> np.ndarray:
    """(S, S) bool: True where a pixel lies nearer to the person's right eye and brow than to the left ones.

    Parsers and data sets disagree whether "left" is the person's or the viewer's, so their sides are never trusted.
    """
    right = landmarks[list(RIGHT_EYE + RIGHT_BROW)].mean(0)
    left = landmarks[list(LEFT_EYE + LEFT_BROW)].mean(0)
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    middle, across = (right + left) / 2, right - left
    return (x - middle[0]) * across[0] + (y - middle[1]) * across[1] > 0


def separate_sides(labels: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Eyes and brows of either side, renamed to right and left by where the landmarks are.

    Args:
        labels: (S, S) uint8 facefit.anatomy.parts.LABELS. landmarks: (478, 2) window pixels.
    Returns:
        (S, S) uint8.
    """
    right = sides(labels.shape, landmarks)
    out = labels.copy()
    for part in ("eye", "brow"):
        here = np.isin(labels, (LABEL[f"right_{part}"], LABEL[f"left_{part}"]))
        out[here & right] = LABEL[f"right_{part}"]
        out[here & ~right] = LABEL[f"left_{part}"]
    return out


def separate_ears_and_neck(labels: np.ndarray, landmarks: np.ndarray, reach: float = 0.04) -> np.ndarray:
    """Skin beside and below the face, renamed to ear and neck, for label sets that call all of it skin.

    Skin above the oval of landmarks is forehead. Beside is what lies between the chin's level and the brows, below is
    under the jaw.

    Args:
        labels: (S, S) uint8 facefit.anatomy.parts.LABELS. landmarks: (478, 2) window pixels.
        reach: how far beyond the oval skin still belongs to the face, as a share of the oval's height.
    Returns:
        (S, S) uint8.
    """
    oval = landmarks[list(FACE_OVAL)]
    up = landmarks[FOREHEAD] - landmarks[CHIN]
    height = float(np.hypot(*up))
    up = up / max(height, 1e-6)
    face = grow(polygon_pixels(labels.shape, oval), reach * height)
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]] + 0.5
    chin = landmarks[CHIN]
    level = ((x - chin[0]) * up[0] + (y - chin[1]) * up[1]) / max(height, 1e-6)  # chin 0, forehead 1
    aside = (labels == LABEL["skin"]) & ~face
    out = labels.copy()
    out[aside & (level < 0.8)] = LABEL["ear"]
    out[aside & (level < 0.25)] = LABEL["neck"]
    return out


def split_mouth(labels: np.ndarray, mouth: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Give each pixel of a mouth to the upper lip, the lower lip or the opening, whichever loop is nearest.

    Args:
        labels: (S, S) uint8 facefit.anatomy.parts.LABELS. mouth: (S, S) bool.
        landmarks: (478, 2) window pixels.
    Returns:
        (S, S) uint8, `labels` outside the mouth.
    """
    distance = [
        distance_to(polygon_pixels(labels.shape, landmarks[list(loop)])) for loop in (LIPS_INNER, UPPER_LIP, LOWER_LIP)
    ]
    numbers = np.array([LABEL["mouth_inside"], LABEL["upper_lip"], LABEL["lower_lip"]], np.uint8)
    # The lips' own loops come first where they meet the opening's line, or a closed mouth would have a gap.
    nearest = np.argmin(np.stack([distance[0] + 0.5, distance[1], distance[2]]), 0)
    out = labels.copy()
    out[mouth] = numbers[nearest][mouth]
    return out
