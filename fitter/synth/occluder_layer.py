"""What every drawn occluder shares: where the face is, a layer of paint, and laying it over the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..anatomy.landmarks import CHIN, FOREHEAD, IRISES, LEFT_MOUTH_CORNER, OUTER_EYE_CORNERS, RIGHT_MOUTH_CORNER
from ..anatomy.parts import LABEL
from ..photo.resample import warp
from .backgrounds import random_color
from .brush import blurred, cover, stroke_cover

_SKIN = tuple(LABEL[name] for name in ("skin", "nose", "ear", "neck"))


@dataclass(frozen=True)
class FaceFrame:
    """The face in the picture: points are given in shares of its size along its own axes.

    Attributes:
        landmarks: (478, 2) window pixels.
        centre: (2,) window pixels, between the eyes and the mouth.
        right: (2,) unit vector to the viewer's right along the eyes; down: (2,) from forehead to chin.
        size: pixels from forehead to chin, or across where that is longer.
        side: of the picture in pixels.
    """

    landmarks: np.ndarray
    centre: np.ndarray
    right: np.ndarray
    down: np.ndarray
    size: float
    side: int

    @classmethod
    def of(cls, landmarks: np.ndarray, side: int) -> FaceFrame:
        """Of landmarks (478, 2) in a picture of `side` pixels."""
        down = landmarks[CHIN] - landmarks[FOREHEAD]
        height = float(np.hypot(*down))
        down = down / max(height, 1e-6)
        right = np.array([down[1], -down[0]])
        width = float(np.ptp(landmarks[: IRISES.start] @ right))
        centre = landmarks[[*OUTER_EYE_CORNERS, RIGHT_MOUTH_CORNER, LEFT_MOUTH_CORNER]].mean(0)
        return cls(landmarks, centre, right, down, max(height, width, 8.0), side)

    def reach(self) -> tuple[float, float]:
        """How far the face goes to the viewer's left (negative) and right of its centre, in shares of its size."""
        across = (self.landmarks[: IRISES.start] - self.centre) @ self.right / self.size
        return float(across.min()), float(across.max())

    def at(self, x: float, y: float) -> np.ndarray:
        """Shares of the face's size to the right of and below its centre -> (2,) pixels."""
        return self.centre + self.size * (x * self.right + y * self.down)


@dataclass(frozen=True)
class Layer:
    """Paint to lay over a picture: color (S, S, 3) float32 RGB, alpha (S, S) float32, label of what it covers by more
    than half. covers: alpha that counts for the label, where it differs from what is seen (a clear lens)."""

    color: np.ndarray
    alpha: np.ndarray
    label: int
    covers: np.ndarray | None = None


def lay_over(
    image: np.ndarray, labels: np.ndarray, layer: Layer, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Image (S, S, 3) in [0, 1] and labels (S, S) under the layer, with the shadow that it casts on the person (labels
    do not change by it)."""
    if rng.random() < 0.6:
        size = image.shape[0]
        shift = rng.normal(0, 0.02, 2) * size
        cast = warp(layer.alpha[None], np.column_stack([np.eye(2), -shift]), size, size, outside=0)[0]
        cast = blurred(cast, rng.uniform(0.006, 0.03) * size)
        cast = cast * rng.uniform(0.1, 0.6) * (labels != LABEL["background"])
        image = image * (1 - cast[..., None])
    alpha, color = layer.alpha[..., None], _like_the_picture(image, layer, rng)
    image = image * (1 - alpha) + color * alpha
    covers = layer.alpha if layer.covers is None else layer.covers
    return image.astype(np.float32), np.where(covers > 0.5, np.uint8(layer.label), labels)


def _like_the_picture(image: np.ndarray, layer: Layer, rng: np.random.Generator) -> np.ndarray:
    """The layer's colour, about as blurred and noisy as the picture: sharpness must not tell what was added."""
    if rng.random() < 0.3:
        return layer.color
    grey = image[::2, ::2].mean(2)
    fine = float(np.median(np.abs(grey - blurred(grey, 1.0)))) * 1.5
    color = layer.color
    if fine < 0.004:
        color = blurred(color, rng.uniform(0.3, 1.6) * image.shape[0] / 256)
    noise = rng.standard_normal(color.shape[:2], np.float32)[..., None]
    return color + noise * min(fine, 0.08) * np.float32(rng.uniform(0.3, 1.2))


def fill(side: int, outline: np.ndarray, softness: float = 0.5) -> np.ndarray:
    """(N, 2) window pixels (pixel centres at +0.5) -> (S, S) float32 share of the polygon, edges `softness` px soft."""
    return soften(cover((side, side), outline), softness)


def strokes(side: int, curves: list[np.ndarray], thickness: float, softness: float = 0.4) -> np.ndarray:
    """Curves of (N, 2) window pixels drawn as lines -> (S, S) float32."""
    return soften(stroke_cover((side, side), curves, thickness), softness)


def soften(share: np.ndarray, sigma: float) -> np.ndarray:
    """(S, S) float32, blurred."""
    return blurred(share, sigma) if sigma > 0.2 else share


def smooth_outline(points: np.ndarray, rounds: int = 3) -> np.ndarray:
    """A closed outline (N, 2) with its corners cut, `rounds` times over: (N * 2^rounds, 2) (Chaikin 1974)."""
    points = np.asarray(points, float)
    for _ in range(rounds):
        following = np.roll(points, -1, 0)
        points = np.stack([0.75 * points + 0.25 * following, 0.25 * points + 0.75 * following], 1).reshape(-1, 2)
    return points


def bezier(points: np.ndarray, count: int = 16) -> np.ndarray:
    """(4, 2) control points -> (count, 2)."""
    t = np.linspace(0, 1, count)[:, None]
    a, b, c, d = np.asarray(points, float)
    return (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t * t * c + t**3 * d


def own_skin(image: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(3,) colour of the person's skin in this picture, or of somebody's when little of it is seen."""
    seen = image[np.isin(labels, _SKIN)]
    if len(seen) < 50 or rng.random() < 0.2:
        return np.array([0.8, 0.6, 0.5], np.float32) * np.float32(rng.uniform(0.25, 1.15))
    some = seen[rng.integers(0, len(seen), 200)]
    return np.percentile(some, rng.uniform(40, 80), axis=0).astype(np.float32)


def own_hair(image: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """(3,) colour of the person's hair in this picture, or None."""
    seen = image[labels == LABEL["hair"]]
    if len(seen) < 50:
        return None
    return np.median(seen[rng.integers(0, len(seen), 200)], axis=0).astype(np.float32)


def bright_colors(rng: np.random.Generator) -> np.ndarray:
    """(3,) colour of a thing: often black, white or grey."""
    if rng.random() < 0.4:
        return np.full(3, rng.choice([0.04, 0.08, 0.15, 0.5, 0.85, 0.95]), np.float32)
    return random_color(rng, 0.03, 0.97, 1.0)
