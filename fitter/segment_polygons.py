"""Parts straight from the landmarks: where every look at the pixels starts, and the segmenter of last resort."""

from __future__ import annotations

import cv2
import numpy as np

from fitter.camera import WindowTransform
from fitter.landmark_topology import (
    FACE_OVAL,
    LEFT_BROW,
    LEFT_EYE,
    LIPS_INNER,
    LIPS_OUTER,
    LOWER_LIP,
    NOSE,
    RIGHT_BROW,
    RIGHT_EYE,
    UPPER_LIP,
)
from fitter.observation import LABEL
from fitter.segmentation import Segmentation, check_window, fill_loop


def face_region(shape: tuple[int, int], landmarks: np.ndarray) -> np.ndarray:
    """(S, S) bool: the face as far as the landmarks go.

    The oval, and what a turned head shows beyond it: nose, lips, brows and the far cheek, each group with its hull.
    """
    mask = fill_loop(shape, landmarks[list(FACE_OVAL)])
    groups = (
        NOSE + (4, 1),
        NOSE[:4] + RIGHT_EYE + RIGHT_BROW + (10, 151, 9, 8),
        NOSE[:4] + LEFT_EYE + LEFT_BROW + (10, 151, 9, 8),
        LIPS_OUTER + (2, 94, 98, 327),
        LIPS_OUTER + (152, 148, 377, 200, 18, 199),
    )
    for group in groups:
        hull = cv2.convexHull(landmarks[list(group)].astype(np.float32))[:, 0]
        mask |= fill_loop(shape, hull)
    return mask


def polygon_labels(shape: tuple[int, int], landmarks: np.ndarray) -> np.ndarray:
    """(S, S) uint8 labels: face parts filled over the face, everything else background."""
    labels = np.zeros(shape, np.uint8)
    labels[face_region(shape, landmarks)] = LABEL["skin"]
    # From far to near: on a turned head the nose covers the far eye.
    for name, loop in (
        ("right_brow", RIGHT_BROW),
        ("left_brow", LEFT_BROW),
        ("right_eye", RIGHT_EYE),
        ("left_eye", LEFT_EYE),
        ("mouth_inside", LIPS_INNER),
        ("upper_lip", UPPER_LIP),
        ("lower_lip", LOWER_LIP),
        ("nose", NOSE),
    ):
        labels[fill_loop(shape, landmarks[list(loop)])] = LABEL[name]
    return labels


class PolygonSegmenter:
    """The landmark polygons, blind to hair, hands and glasses."""

    def segment(self, image: np.ndarray, landmarks: np.ndarray, window: WindowTransform | None = None) -> Segmentation:
        """See PartSegmenter; `window` is not used."""
        check_window(image, landmarks)
        labels = polygon_labels(image.shape[:2], landmarks)
        return Segmentation(labels, np.full(labels.shape, 0.5, np.float32))
