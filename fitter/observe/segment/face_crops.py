"""What the face parser looks at: the upright face and, finer, each eye with its brow and the mouth.

Training and use share this file, so that a network sees in use what it was trained on. A crop is a similarity from
window pixels, laid by the landmarks alone; the left eye's is mirrored, so one network knows both eyes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ...anatomy.landmarks import (
    CHIN,
    FACE_OVAL,
    FOREHEAD,
    LEFT_BROW,
    LEFT_EYE,
    LIPS_INNER,
    LIPS_OUTER,
    LOWER_LIP,
    MIRROR,
    NOSE,
    RIGHT_BROW,
    RIGHT_EYE,
    UPPER_LIP,
)
from ...anatomy.parts import LABEL, LABELS
from ...geometry.polygon import polygon_pixels
from ...photo.resample import inverse, nearest, warp
from .polygons import eye_polygon, face_region

# What the parser tells apart, in the order of its output: LABELS without the mesh's "head".
CLASSES = tuple(name for name in LABELS if name != "head")
CLASS_LABEL = np.array([LABEL[name] for name in CLASSES], np.uint8)
# Class of the same thing on the other side of the face.
MIRROR_CLASS = np.array(
    [
        CLASSES.index(name.replace("right", "left") if "right" in name else name.replace("left", "right"))
        for name in CLASSES
    ]
)
# 3 colours and the landmarks' own idea of 9 parts.
CHANNELS = 12
# Side of each crop in pixels, and in heights of the face (forehead's top to chin, the hull of the landmarks when a
# head is turned). The face's is that of a fit's window: it shows hair, ears and neck.
FACE_SIDE, FACE_EXTENT = 128, 1.6
DETAIL_SIDE, EYE_EXTENT, MOUTH_EXTENT = 96, 0.46, 0.56
FACE_RISE = 0.05  # as facefit.photo.window.WINDOW_RISE


@dataclass(frozen=True)
class Crop:
    """A square look at a window.

    Attributes:
        matrix: (2, 3) window pixels -> crop pixels, both with pixel centres at + 0.5.
        side: pixels.
        mirrored: whether left and right are swapped in it.
    """

    matrix: np.ndarray
    side: int
    mirrored: bool = False

    def points(self, landmarks: np.ndarray) -> np.ndarray:
        """(478, 2) window pixels -> crop pixels; in a mirrored crop renamed, so that its right eye is at the right."""
        moved = landmarks @ self.matrix[:, :2].T + self.matrix[:, 2]
        return moved[MIRROR] if self.mirrored else moved

    def sample(self, image: np.ndarray) -> np.ndarray:
        """(S, S, C) window image -> (C, side, side) float32; beyond the window its border is repeated.

        A window much finer than the crop is smoothed first, so that nothing aliases.
        """
        scale = float(np.sqrt(abs(np.linalg.det(self.matrix[:, :2]))))
        if scale < 0.75:
            image = ndimage.gaussian_filter(image, (0.35 / scale, 0.35 / scale, 0), mode="mirror")
        return warp(np.moveaxis(image, -1, 0), inverse(self.matrix), self.side, self.side)

    def sample_labels(self, labels: np.ndarray, outside: int) -> np.ndarray:
        """(S, S) window labels -> (side, side), the nearest pixel's; `outside` beyond the window."""
        return nearest(labels, inverse(self.matrix), self.side, self.side, outside)

    def reach(self, size: int) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the window pixels (of a window of this size) that the crop may show."""
        corners = np.array([[0, 0], [self.side, 0], [self.side, self.side], [0, self.side]], np.float64)
        points = np.linalg.solve(self.matrix[:, :2], (corners - self.matrix[:, 2]).T).T
        left, top = np.clip(np.floor(points.min(0)).astype(int) - 1, 0, size)
        right, bottom = np.clip(np.ceil(points.max(0)).astype(int) + 1, 0, size)
        return int(left), int(top), int(right), int(bottom)

    def back(self, scores: np.ndarray, reach: tuple[int, int, int, int]) -> np.ndarray:
        """(C, side, side) float32 in the crop -> (C, bottom - top, right - left) in the window, 0 beyond the crop."""
        left, top, right, bottom = reach
        matrix = self.matrix.copy()
        matrix[:, 2] += matrix[:, :2] @ (left, top)
        return warp(scores, matrix, right - left, bottom - top, outside=0)


def _crop(centre: np.ndarray, up: np.ndarray, extent: float, side: int, mirrored: bool = False) -> Crop:
    right = np.array([-up[1], up[0]])  # of the picture, when up is (0, -1)
    if mirrored:
        right = -right
    linear = side / extent * np.stack([right, -up])
    return Crop(np.column_stack([linear, side / 2 - linear @ centre]), side, mirrored)


def upright(landmarks: np.ndarray) -> np.ndarray:
    """(2,) unit vector in the picture from the chin to the forehead."""
    up = (landmarks[FOREHEAD] - landmarks[CHIN]).astype(np.float64)
    length = float(np.hypot(*up))
    return up / length if length > 1e-6 else np.array([0.0, -1.0])


def face_crops(landmarks: np.ndarray) -> tuple[Crop, Crop, Crop, Crop]:
    """(478, 2) window pixels -> the crops of face, right eye, left eye and mouth."""
    points = landmarks.astype(np.float64)
    up = upright(points)
    right = np.array([-up[1], up[0]])
    frame = np.stack([right, up])
    low, high = (points @ frame.T).min(0), (points @ frame.T).max(0)
    height = max(float((high - low).max()), 1e-3)
    centre = ((low + high) / 2 + (0, FACE_RISE * FACE_EXTENT * height)) @ frame
    eyes = []
    for eye, brow in ((RIGHT_EYE, RIGHT_BROW), (LEFT_EYE, LEFT_BROW)):
        eyes.append(0.6 * points[list(eye)].mean(0) + 0.4 * points[list(brow)].mean(0))
    lips = points[list(LIPS_OUTER)].mean(0)
    return (
        _crop(centre, up, FACE_EXTENT * height, FACE_SIDE),
        _crop(eyes[0], up, EYE_EXTENT * height, DETAIL_SIDE),
        _crop(eyes[1], up, EYE_EXTENT * height, DETAIL_SIDE, mirrored=True),
        _crop(lips, up, MOUTH_EXTENT * height, DETAIL_SIDE),
    )


def prior(points: np.ndarray, side: int) -> np.ndarray:
    """(478, 2) crop pixels -> (9, side, side) float32: the parts as the landmarks alone would have them."""
    shape = (side, side)
    eyes = eye_polygon(points, RIGHT_EYE), eye_polygon(points, LEFT_EYE)
    loops = RIGHT_BROW, LEFT_BROW, UPPER_LIP, LOWER_LIP, LIPS_INNER
    polygons = [points[list(NOSE)], *eyes, *(points[list(loop)] for loop in loops)]
    return np.stack([face_region(shape, points), *(polygon_pixels(shape, p) for p in polygons)]).astype(np.float32)


def exposure(image: np.ndarray, landmarks: np.ndarray) -> tuple[float, float]:
    """Mean and deviation of a window's colours within the face, which the parser's colours are relative to.

    Args:
        image: (S, S, 3) RGB in [0, 1]. landmarks: (478, 2) window pixels.
    """
    face = polygon_pixels(image.shape[:2], landmarks[list(FACE_OVAL)])
    seen = image[face] if face.any() else image.reshape(-1, 3)
    return float(seen.mean()), max(float(seen.std()), 0.02)


def crop_input(image: np.ndarray, landmarks: np.ndarray, crop: Crop, light: tuple[float, float]) -> np.ndarray:
    """One crop's input.

    Args:
        image: (S, S, 3) float32 RGB in [0, 1]. landmarks: (478, 2) window pixels.
        crop: the part of the window that is looked at, as wide and high as `crop.side` pixels.
        light: mean and deviation of the face's colours, see `exposure`.
    Returns:
        (12, side, side) float32.
    """
    colours = (crop.sample(image) - light[0]) / light[1]
    return np.concatenate([colours.clip(-4, 4), prior(crop.points(landmarks), crop.side)]).astype(np.float32)
