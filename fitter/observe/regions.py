"""Squares of a picture that a network looks at, and how they follow from boxes and landmarks, as in MediaPipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..anatomy.landmarks import LEFT_OUTER_CORNER, RIGHT_OUTER_CORNER
from .sampling import cropped

MARGIN = 1.5  # a region's side over the face's longer extent
SAME = 0.5  # regions that overlap by more are one face


@dataclass(frozen=True)
class Region:
    """A square, turned.

    Attributes:
        x, y: its centre, pixels with the centre of the first one at 0.
        side: in pixels.
        angle: radians, clockwise as seen.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0

    def matrix(self, pixels: int) -> np.ndarray:
        """(2, 3): pixels of a crop of `pixels` -> pixels of the picture, corner on corner."""
        c, s = np.cos(self.angle) * self.side / pixels, np.sin(self.angle) * self.side / pixels
        linear = np.array([[c, -s], [s, c]])
        offset = np.array([self.x, self.y]) - linear @ (pixels / 2, pixels / 2)
        return np.concatenate([linear, offset[:, None]], 1)

    def crop(self, picture: np.ndarray, pixels: int, replicate: bool) -> np.ndarray:
        """(H, W, 3) uint8 -> what the region shows of it, (pixels, pixels, 3) uint8; see sampling.cropped."""
        corners = self.to_picture(np.array([[0, pixels], [0, 0], [pixels, 0], [pixels, pixels]], float), pixels)
        return cropped(picture, corners.astype(np.float32), pixels, replicate)

    def to_picture(self, points: np.ndarray, pixels: int) -> np.ndarray:
        """(..., 2) or (..., 3) in a crop of `pixels` -> in the picture; a third number is a depth."""
        matrix = self.matrix(pixels)
        flat = points[..., :2] @ matrix[:, :2].T + matrix[:, 2]
        return np.concatenate([flat, points[..., 2:] * (self.side / pixels)], -1)


def whole_picture(width: int, height: int) -> Region:
    """The square around the whole picture."""
    return Region(width / 2, height / 2, max(width, height))


def region_of_box(box: np.ndarray, right_eye: np.ndarray, left_eye: np.ndarray) -> Region:
    """The square to look for landmarks in: around a box, upright by the eyes.

    Args:
        box: (4,) left, top, right, bottom; right_eye, left_eye: (2 or more,) x, y, of the person; all in pixels.
    """
    left, top, right, bottom = box
    angle = -np.arctan2(right_eye[1] - left_eye[1], left_eye[0] - right_eye[0])
    angle -= 2 * np.pi * np.floor((angle + np.pi) / (2 * np.pi))
    side = max(right - left, bottom - top) * MARGIN
    return Region((left + right) / 2, (top + bottom) / 2, side, angle)


def region_of_landmarks(points: np.ndarray) -> Region:
    """The square to look for the same face in again: around all 478 points (478, 2 or 3)."""
    box = np.concatenate([points[:, :2].min(0), points[:, :2].max(0)])
    return region_of_box(box, points[RIGHT_OUTER_CORNER], points[LEFT_OUTER_CORNER])


def overlap(a: Region, b: Region) -> float:
    """Intersection over union of the squares as if neither were turned."""
    width = min(a.x + a.side / 2, b.x + b.side / 2) - max(a.x - a.side / 2, b.x - b.side / 2)
    height = min(a.y + a.side / 2, b.y + b.side / 2) - max(a.y - a.side / 2, b.y - b.side / 2)
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (a.side**2 + b.side**2 - width * height)


def distinct(regions: Sequence[Region]) -> list[Region]:
    """Of regions that show the same face the last one."""
    kept: list[Region] = []
    for region in regions:
        kept = [other for other in kept if overlap(region, other) <= SAME] + [region]
    return kept
