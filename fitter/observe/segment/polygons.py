"""Parts straight from the landmarks: where every look at the pixels starts, and the segmenter of last resort."""

from __future__ import annotations

import numpy as np

from ...anatomy.landmarks import (
    FACE_OVAL,
    LEFT_BROW,
    LEFT_BROW_LOWER,
    LEFT_BROW_UPPER,
    LEFT_EYE,
    LIPS_INNER,
    LIPS_OUTER,
    LOWER_LIP,
    NOSE,
    RIGHT_BROW,
    RIGHT_BROW_LOWER,
    RIGHT_BROW_UPPER,
    RIGHT_EYE,
    UPPER_LIP,
    mirrored,
)
from ...anatomy.parts import LABEL
from ...geometry.camera import WindowTransform
from ...geometry.convex_hull import convex_hull
from ...geometry.polygon import polygon_pixels
from .contract import Segmentation, check_window

# The oval folds over itself on a profile; these hulls keep the near cheek whole.
RIGHT_CHEEK = (127, 234, 93, 132, 58, 61, 98, 129, 133, 33, 70)
RIGHT_JAW = (132, 58, 172, 136, 150, 149, 176, 148, 152, 17, 61)
# Where the brow's hair lies between its upper (0) and lower (1) row of landmarks.
BROW_TOP, BROW_BOTTOM = 0.1, 1.25
# People who label eyes include the lids' margins, which the landmarks run inside of: openings are made taller by this.
# Against hand labels the overlap rises from .73 to .76 (frontal) and .64 to .69 (turned); against renders that label
# the bare eyeball it falls from .67 to .63.
EYE_TALLER = 1.15


def face_region(shape: tuple[int, int], landmarks: np.ndarray) -> np.ndarray:
    """(S, S) bool: the face as far as the landmarks go.

    The oval, and what a turned head shows beyond it: nose, lips, brows and the far cheek, each group with its hull.
    """
    mask = polygon_pixels(shape, landmarks[list(FACE_OVAL)])
    groups = (
        NOSE + (4, 1),
        NOSE[:4] + RIGHT_EYE + RIGHT_BROW + (10, 151, 9, 8),
        NOSE[:4] + LEFT_EYE + LEFT_BROW + (10, 151, 9, 8),
        LIPS_OUTER + (2, 94, 98, 327),
        LIPS_OUTER + (152, 148, 377, 200, 18, 199),
        RIGHT_CHEEK,
        mirrored(RIGHT_CHEEK),
        RIGHT_JAW,
        mirrored(RIGHT_JAW),
    )
    for group in groups:
        mask |= polygon_pixels(shape, convex_hull(landmarks[list(group)]))
    return mask


def brow_polygon(landmarks: np.ndarray, upper: tuple[int, ...], lower: tuple[int, ...]) -> np.ndarray:
    """The brow's hair, (10, 2) window pixels: lower than the landmarks, which run along the brow's upper edge.

    Lowered against hand labels (overlap .48 to .56 and .34 to .43) and rendered brows (.66 to .67) alike.
    """
    top, bottom = landmarks[list(upper)], landmarks[list(lower)]
    return np.concatenate([top + BROW_TOP * (bottom - top), (top + BROW_BOTTOM * (bottom - top))[::-1]])


def eye_polygon(landmarks: np.ndarray, loop: tuple[int, ...], taller: float = EYE_TALLER) -> np.ndarray:
    """A lid loop stretched across its own axis, (16, 2) window pixels; a closed eye stays closed."""
    points = landmarks[list(loop)].astype(np.float64)
    corner, other = points[0], points[len(points) // 2]
    axis = (other - corner) / max(float(np.hypot(*(other - corner))), 1e-6)
    normal = np.array([-axis[1], axis[0]])
    offset = (points - (corner + other) / 2) @ normal
    return points + ((taller - 1) * offset)[:, None] * normal


def polygon_labels(shape: tuple[int, int], landmarks: np.ndarray) -> np.ndarray:
    """(S, S) uint8 labels: face parts filled over the face, everything else background."""
    labels = np.zeros(shape, np.uint8)
    labels[face_region(shape, landmarks)] = LABEL["skin"]
    for name, upper, lower in (
        ("right_brow", RIGHT_BROW_UPPER, RIGHT_BROW_LOWER),
        ("left_brow", LEFT_BROW_UPPER, LEFT_BROW_LOWER),
    ):
        labels[polygon_pixels(shape, brow_polygon(landmarks, upper, lower))] = LABEL[name]
    # From far to near: on a turned head the nose covers the far eye.
    for name, loop in (
        ("right_eye", RIGHT_EYE),
        ("left_eye", LEFT_EYE),
        ("mouth_inside", LIPS_INNER),
        ("upper_lip", UPPER_LIP),
        ("lower_lip", LOWER_LIP),
        ("nose", NOSE),
    ):
        points = eye_polygon(landmarks, loop) if name.endswith("eye") else landmarks[list(loop)]
        labels[polygon_pixels(shape, points)] = LABEL[name]
    return labels


class PolygonSegmenter:
    """The landmark polygons, blind to hair, hands and glasses."""

    def segment(self, image: np.ndarray, landmarks: np.ndarray, window: WindowTransform | None = None) -> Segmentation:
        """See PartSegmenter; `window` is not used."""
        check_window(image, landmarks)
        labels = polygon_labels(image.shape[:2], landmarks)
        return Segmentation(labels, np.full(labels.shape, 0.5, np.float32))
