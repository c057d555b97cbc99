"""From labels to the masks and confidences that a fit takes."""

from __future__ import annotations

import numpy as np

from ...anatomy.landmarks import (
    CHIN,
    EYE_CORNERS,
    FOREHEAD,
    LANDMARKS,
    LEFT_BROW,
    LEFT_BROW_UPPER,
    RIGHT_BROW,
    RIGHT_BROW_UPPER,
)
from ...anatomy.parts import LABEL, MASKS, PARTS
from .contract import Segmentation
from .morphology import grow, pieces, shrink
from .polygons import face_region

# What shows the person's own face, so that a colour may be compared there.
FACE_LABELS = tuple(
    LABEL[name]
    for name in ("skin", "nose", "right_eye", "left_eye", "right_brow", "left_brow", "upper_lip", "lower_lip")
)

# A piece of a part smaller than this share of its largest piece is a speck.
SPECK = 0.1

# Pixels of a valid region this close to its border (as a share of the window's side) mix two colours.
VALID_MARGIN = 1 / 150

# How far beyond the landmarks' face skin still belongs to it, as a share of its height: the far cheek of a turned head
# reaches over the landmarks' hull.
FACE_GROW = 0.03

# Brows rise or fall towards the nose by less than this, also in anger; more is a broken mask.
STEEPEST_BROW = 25.0


# --- post-processing ------------------------------------------------------------------------------------------------


def remove_specks(mask: np.ndarray, share: float = SPECK) -> np.ndarray:
    """(S, S) bool without the connected pieces smaller than `share` of the largest one."""
    piece, count = pieces(mask)
    if count <= 1:
        return mask
    area = np.bincount(piece.ravel())
    area[0] = 0
    keep = area >= share * area.max()
    keep[0] = False
    return keep[piece]


def brow_tangents(labels: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The line over each brow, of which the forehead is above.

    A brow's tangent runs along the chord of its landmarks where it falls towards the nose, and level with the eyes
    where the brow rises towards the nose: forehead is what lies above both lines, and a rising line, prolonged to the
    other half of the face, would keep forehead there.

    Args:
        labels: (S, S) uint8 facefit.anatomy.parts.LABELS. landmarks: (478, 2) window pixels.
    Returns:
        (2, 3) float32 a, b, c of a x + b y + c = 0 in window pixels, right and left brow, a^2 + b^2 = 1, above > 0.
    """
    right, left = (landmarks[list(corners)].mean(0) for corners in (EYE_CORNERS[:2], EYE_CORNERS[2:]))
    across = left - right
    across = across / max(float(np.hypot(*across)), 1e-6)
    up = np.array([across[1], -across[0]])
    if up @ (landmarks[FOREHEAD] - landmarks[CHIN]) < 0:  # a picture of a mirrored or upside-down landmark set
        up = -up
    lines = []
    for brow, loop, upper, sign in (
        ("right_brow", RIGHT_BROW, RIGHT_BROW_UPPER, 1.0),
        ("left_brow", LEFT_BROW, LEFT_BROW_UPPER, -1.0),
    ):
        inwards = landmarks[upper[-1]] - landmarks[upper[0]]
        rise = np.degrees(np.arctan2(inwards @ up, max(sign * (inwards @ across), 1e-6)))
        rise = np.radians(np.clip(rise, -STEEPEST_BROW, 0.0))
        normal = np.cos(rise) * up - sign * np.sin(rise) * across
        y, x = np.nonzero(remove_specks(labels == LABEL[brow]))
        points = np.stack([x, y], 1) + 0.5 if len(x) else landmarks[list(loop)]
        top = np.percentile(points @ normal, 99)  # one stray pixel of a brow does not lift the line
        lines.append([*normal, -top])
    return np.array(lines, np.float32)


def above_brows(shape: tuple[int, int], brow_line: np.ndarray) -> np.ndarray:
    """(S, S) bool: pixels above both tangents, as facefit.energies.prdl.select.above_brows leaves vertices out."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    return np.all([a * x + b * y + c > 0 for a, b, c in brow_line], axis=0)


def near_face(shape: tuple[int, int], landmarks: np.ndarray, reach: float = FACE_GROW) -> np.ndarray:
    """(S, S) bool: the landmarks' face grown by a share of its height.

    The mesh's skin ends where the landmarks' face ended when it was annotated; a parser's goes on to the ear and over
    the sides of a bald head.
    """
    height = float(np.hypot(*(landmarks[FOREHEAD] - landmarks[CHIN])))
    return grow(face_region(shape, landmarks), reach * height)


def part_confidence(segmentation: Segmentation, masks: np.ndarray) -> np.ndarray:
    """(8,) float32 in [0, 1]: mean confidence within each of PARTS' masks, 1 for one that is not seen.

    Args:
        segmentation: of one window, (S, S). masks: (10, S, S) of `post_process`.
    """
    area = masks[: len(PARTS)].sum((1, 2))
    total = (masks[: len(PARTS)] * segmentation.confidence).sum((1, 2))
    return np.where(area > 0, total / np.maximum(area, 1), 1).astype(np.float32)


def post_process(segmentation: Segmentation, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels -> the masks of an Observation.

    Ears, neck and what lies beyond the face are left out of the skin, isolated specks out of every part, and the
    forehead above the brows out of the skin. A part that is not seen is empty.

    Args:
        segmentation: of one window.
        landmarks: (478, 2) window pixels.
    Returns:
        part_masks (10, S, S) float32 in the order of anatomy.parts.MASKS, valid (S, S) float32, brow_line (2, 3)
        float32; see Observation.
    Raises:
        ValueError: another number of landmarks.
    Source: Wang et al. 2024, supplement B and fig. 12.
    """
    labels = segmentation.labels
    shape = labels.shape
    if landmarks.shape != (LANDMARKS, 2):
        raise ValueError(f"landmarks have shape {landmarks.shape}; expected ({LANDMARKS}, 2)")
    masks = np.zeros((len(MASKS), *shape), np.float32)
    for channel, name in enumerate(MASKS):
        if name == "occluder":
            masks[channel] = np.isin(labels, (LABEL["glasses"], LABEL["occluder"]))
        elif name == "hair":
            masks[channel] = labels == LABEL["hair"]
        else:
            masks[channel] = remove_specks(labels == LABEL[name])
    brow_line = brow_tangents(labels, landmarks)
    masks[MASKS.index("skin")][above_brows(shape, brow_line) | ~near_face(shape, landmarks)] = 0
    valid = shrink(np.isin(labels, FACE_LABELS), max(1, round(shape[0] * VALID_MARGIN)))
    return masks, (valid * segmentation.confidence).astype(np.float32), brow_line
