"""Views of a photo: pictures made from it by affine maps, and the way back into the photo."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..anatomy.landmarks import LANDMARKS, MIRROR
from .sampling import halved, inverse_affine, moved

# The box networks shrink what they see to 128 or 192 px; more than this only costs time to make.
DETECTION_SIDE = 1280


class Pyramid:
    """The photo at halved sizes, so that a shrunken view of a large photo is not aliased."""

    def __init__(self, image: np.ndarray) -> None:
        """`image`: (H, W, 3) uint8 RGB."""
        self.levels = [np.ascontiguousarray(image)]

    @property
    def width(self) -> int:
        """Of the photo, in pixels."""
        return self.levels[0].shape[1]

    @property
    def height(self) -> int:
        """Of the photo, in pixels."""
        return self.levels[0].shape[0]

    def warp(self, matrix: np.ndarray, width: int, height: int) -> np.ndarray:
        """(height, width, 3) uint8: the photo under the (2, 3) map `matrix`, black where it does not reach."""
        scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
        level = 0
        while scale < 0.6 and min(self.levels[level].shape[:2]) >= 32:
            level, scale = level + 1, scale * 2
            if level == len(self.levels):
                self.levels.append(halved(self.levels[-1]))
        source = self.levels[level]
        shrink = np.array(self.levels[0].shape[1::-1]) / source.shape[1::-1]
        matrix = np.concatenate([matrix[:, :2] * shrink, matrix[:, 2:]], 1)
        # Sampling puts the centre of the first pixel at 0, this house at 0.5.
        matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
        return moved(source, matrix, width, height)


@dataclass(frozen=True)
class View:
    """A picture made from the photo by the affine map `matrix` (2, 3): photo pixels -> view pixels."""

    matrix: np.ndarray
    width: int
    height: int
    mirror: bool = False

    @property
    def angle(self) -> float:
        """Degrees that the view turns the photo by, clockwise as seen."""
        return float(np.degrees(np.arctan2(self.matrix[1, 0], self.matrix[0, 0])))

    def render(self, pyramid: Pyramid) -> np.ndarray:
        """The picture, (height, width, 3) uint8."""
        return pyramid.warp(self.matrix, self.width, self.height)

    def to_photo(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) view pixels and depth -> photo pixels and depth; all 478 landmarks of a mirrored view swap sides."""
        inverse = inverse_affine(self.matrix)
        if self.mirror and len(points) == LANDMARKS:
            points = points[MIRROR]
        scale = np.sqrt(abs(np.linalg.det(inverse[:, :2])))
        return np.concatenate([points[:, :2] @ inverse[:, :2].T + inverse[:, 2], points[:, 2:] * scale], 1)


def similarity(scale: float, degrees: float, centre: np.ndarray, to: tuple[float, float]) -> np.ndarray:
    """The (2, 3) map that turns by `degrees` clockwise as seen, scales, and brings `centre` to `to`."""
    c, s = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    linear = np.array([[c, -s], [s, c]])
    return np.concatenate([linear, (np.asarray(to) - linear @ centre)[:, None]], 1)


def whole(width: int, height: int, degrees: float = 0.0, margin: float = 0.0, side: float = DETECTION_SIDE) -> View:
    """The whole photo turned by `degrees`, with a border of `margin` of its size, at most `side` pixels."""
    c, s = abs(np.cos(np.radians(degrees))), abs(np.sin(np.radians(degrees)))
    across = np.array([width * c + height * s, width * s + height * c]) * (1 + 2 * margin)
    scale = min(side / across.max(), max(1.0, 448 / across.max()))
    view_width, view_height = (max(16, int(np.ceil(n * scale))) for n in across)
    matrix = similarity(scale, degrees, np.array([width / 2, height / 2]), (view_width / 2, view_height / 2))
    return View(matrix, view_width, view_height)


def square(centre: np.ndarray, side: float, pixels: int, degrees: float = 0.0) -> View:
    """A square crop of the photo, upright for a face that is rolled by -`degrees`.

    Args:
        centre: (2,) and side: in photo pixels. pixels: side of the crop.
    """
    return View(similarity(pixels / side, degrees, centre, (pixels / 2, pixels / 2)), pixels, pixels)


def flip(view: View) -> View:
    """The same view in a mirror."""
    flipped = view.matrix * np.array([[-1.0], [1.0]])
    flipped[0, 2] += view.width
    return View(flipped, view.width, view.height, not view.mirror)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over the smaller of two boxes, (4,) left, top, right, bottom of the same unit."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return max(width, 0) * max(height, 0) / max(smaller, 1e-9)


def bounds(points: np.ndarray) -> np.ndarray:
    """(N, 2 or more) -> left, top, right, bottom."""
    return np.concatenate([points[:, :2].min(0), points[:, :2].max(0)])


def attempts(width: int, height: int) -> Iterator[list[View]]:
    """Views to look for faces in, easiest first; the next group is tried when all before it show no face."""
    yield [whole(width, height)]
    yield [whole(width, height, margin=0.3)]
    yield [whole(width, height, degrees, margin=0.1) for degrees in (-30, 30)]
    for degrees in (90, -90, 180, 45, -45):
        yield [whole(width, height, degrees, margin=0.2)]
    longest = max(width, height)
    if min(width, height) >= 128:
        for parts in (2, 4):  # half-overlapping tiles, for faces too small for either box network
            side = longest / parts * 1.25
            ys = np.arange(side / 2, max(height, side / 2 + 1), side / 2)
            xs = np.arange(side / 2, max(width, side / 2 + 1), side / 2)
            yield [square(np.array([x, y]), side, 640) for y in ys for x in xs]
