"""The views of a photo in which a detector looks for faces."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..anatomy.landmarks import LANDMARKS, MIRROR

# FaceMesh shrinks what it sees to 128 px to find faces; more than this only costs time to copy.
DETECTION_SIDE = 1280


@dataclass(frozen=True)
class _View:
    """A picture made from the photo by the affine map `matrix` (2, 3): photo pixels -> view pixels."""

    matrix: np.ndarray
    width: int
    height: int
    mirror: bool = False

    def render(self, pyramid: _Pyramid) -> np.ndarray:
        return pyramid.warp(self.matrix, self.width, self.height)

    def to_photo(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) view pixels and depth -> photo pixels and depth."""
        inverse = cv2.invertAffineTransform(self.matrix)
        if self.mirror and len(points) == LANDMARKS:
            points = points[MIRROR]
        scale = np.sqrt(abs(np.linalg.det(inverse[:, :2])))
        return np.concatenate([points[:, :2] @ inverse[:, :2].T + inverse[:, 2], points[:, 2:] * scale], 1)


class _Pyramid:
    """The photo at halved sizes, so that a shrunken view of a large photo is not aliased."""

    def __init__(self, image: np.ndarray) -> None:
        self.levels = [np.ascontiguousarray(image)]

    def warp(self, matrix: np.ndarray, width: int, height: int) -> np.ndarray:
        scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
        level = 0
        while scale < 0.6 and min(self.levels[level].shape[:2]) >= 32:
            level, scale = level + 1, scale * 2
            if level == len(self.levels):
                last = self.levels[-1]
                half = (max(1, last.shape[1] // 2), max(1, last.shape[0] // 2))
                self.levels.append(cv2.resize(last, half, interpolation=cv2.INTER_AREA))
        source = self.levels[level]
        shrink = np.array(self.levels[0].shape[1::-1]) / source.shape[1::-1]
        matrix = np.concatenate([matrix[:, :2] * shrink, matrix[:, 2:]], 1)
        # OpenCV puts the centre of the first pixel at 0, this house at 0.5.
        matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
        return cv2.warpAffine(source, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def _similarity(scale: float, degrees: float, centre: np.ndarray, to: tuple[float, float]) -> np.ndarray:
    """The (2, 3) map that turns by `degrees` clockwise as seen, scales, and brings `centre` to `to`."""
    c, s = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    linear = np.array([[c, -s], [s, c]])
    return np.concatenate([linear, (np.asarray(to) - linear @ centre)[:, None]], 1)


def _whole(width: int, height: int, degrees: float = 0.0, margin: float = 0.0, side: float = DETECTION_SIDE) -> _View:
    """The whole photo turned by `degrees`, with a border of `margin` of its size, at most `side` pixels."""
    c, s = abs(np.cos(np.radians(degrees))), abs(np.sin(np.radians(degrees)))
    across = np.array([width * c + height * s, width * s + height * c]) * (1 + 2 * margin)
    scale = min(side / across.max(), max(1.0, 448 / across.max()))
    view_width, view_height = (max(16, int(np.ceil(n * scale))) for n in across)
    matrix = _similarity(scale, degrees, np.array([width / 2, height / 2]), (view_width / 2, view_height / 2))
    return _View(matrix, view_width, view_height)


def _square(centre: np.ndarray, side: float, pixels: int, degrees: float = 0.0) -> _View:
    """A square crop of the photo, upright for a face that is rolled by -`degrees`."""
    return _View(_similarity(pixels / side, degrees, centre, (pixels / 2, pixels / 2)), pixels, pixels)


def _flip(view: _View) -> _View:
    flipped = view.matrix * np.array([[-1.0], [1.0]])
    flipped[0, 2] += view.width
    return _View(flipped, view.width, view.height, not view.mirror)


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over the smaller of two boxes (left, top, right, bottom)."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return max(width, 0) * max(height, 0) / max(smaller, 1e-9)


def _bounds(points: np.ndarray) -> np.ndarray:
    return np.concatenate([points[:, :2].min(0), points[:, :2].max(0)])
