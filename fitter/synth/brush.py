"""Shapes with soft edges, blur, and what a file format does to a picture: what the drawn pictures are made of."""

from __future__ import annotations

import io

import numpy as np
import torch
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw
from scipy import ndimage

from ..files.read_picture import open_picture
from ..geometry.polygon import polygon_pixels

_FINE = 3  # a pixel's cover is counted on so many points along either side
# Strokes are wider than they are called, in the pictures that the bundled parser learned from: pixels.
_CALLED, _DRAWN = (1.0, 2.0, 3.0), (1.3, 3.4, 5.3)


def blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    """(H, W) or (H, W, C) under a Gaussian of `sigma` pixels."""
    return ndimage.gaussian_filter(picture, sigma, mode="mirror", axes=(0, 1))


def slopes(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(H, W) -> how much it grows per pixel to the right and downwards."""
    return ndimage.sobel(picture, 1, mode="mirror") / 8, ndimage.sobel(picture, 0, mode="mirror") / 8


def cover(shape: tuple[int, int], outline: np.ndarray) -> np.ndarray:
    """(N, 2) corners in pixels (centres at + 0.5) -> (H, W) float32: the share of each pixel within the polygon."""
    return _mean(polygon_pixels((_FINE * shape[0], _FINE * shape[1]), np.asarray(outline, np.float64) * _FINE))


def stroke_cover(shape: tuple[int, int], curves: list[np.ndarray], thickness: float) -> np.ndarray:
    """Curves of (N, 2) pixels drawn as lines -> (H, W) float32: the share of each pixel that they cover."""
    picture = Image.new("1", (_FINE * shape[1], _FINE * shape[0]))
    pen = ImageDraw.Draw(picture)
    width = float(np.interp(thickness, _CALLED, _DRAWN)) + max(0.0, thickness - _CALLED[-1])
    for curve in curves:
        pen.line((np.asarray(curve) * _FINE - 0.5).ravel().tolist(), fill=1, width=round(_FINE * width), joint="curve")
    return _mean(np.asarray(picture))


def _mean(fine: np.ndarray) -> np.ndarray:
    height, width = fine.shape
    return fine.reshape(height // _FINE, _FINE, width // _FINE, _FINE).mean((1, 3), dtype=np.float32)


def lay(picture: np.ndarray, share: np.ndarray, colour: ArrayLike) -> None:
    """Paint `colour` (C,) over `picture` (H, W, C), in place, as far as `share` (H, W) says."""
    picture += share[..., None] * (np.asarray(colour, np.float32) - picture)


def paint(picture: np.ndarray, outline: np.ndarray, colour: ArrayLike) -> None:
    """Paint the polygon `outline` (N, 2) over `picture` (H, W, C), in place."""
    part, corner = _around(picture, outline, 1.0)
    lay(part, cover(part.shape[:2], outline - corner), colour)


def paint_stroke(picture: np.ndarray, curve: np.ndarray, thickness: float, colour: np.ndarray) -> None:
    """Paint the line `curve` (N, 2) over `picture` (H, W, C), in place."""
    part, corner = _around(picture, curve, thickness + 2.0)
    if part.size:
        lay(part, stroke_cover(part.shape[:2], [curve - corner], thickness), colour)


def _around(picture: np.ndarray, points: np.ndarray, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """The part of the picture around the points, and the corner where it begins (x, y): most shapes are small."""
    limit = picture.shape[1::-1]
    left, top = np.clip(np.floor(points.min(0) - margin), 0, limit).astype(int)
    right, bottom = np.clip(np.ceil(points.max(0) + margin), 0, limit).astype(int)
    return picture[top:bottom, left:right], np.array([left, top])


def ellipse(centre: ArrayLike, half: tuple[float, float], degrees: float = 0.0) -> np.ndarray:
    """(48, 2) outline of an ellipse with half axes `half`, the first one turned by `degrees` from x towards y."""
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return _turned(np.stack([half[0] * np.cos(angle), half[1] * np.sin(angle)], 1), centre, degrees)


def box(centre: ArrayLike, size: tuple[float, float], degrees: float = 0.0) -> np.ndarray:
    """(4, 2) corners of a box of width and height `size`, turned by `degrees` from x towards y."""
    return _turned(np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * 0.5 * np.asarray(size), centre, degrees)


def _turned(points: np.ndarray, centre: ArrayLike, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.asarray(centre) + points @ np.array([[c, s], [-s, c]])


def resized(image: np.ndarray, side: int, kind: str = "bilinear") -> np.ndarray:
    """(H, W, C) float32 -> (side, side, C): "bilinear" or "bicubic"; what shrinks is averaged."""
    planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), np.float32))[None]
    seen = torch.nn.functional.interpolate(planes, (side, side), mode=kind, align_corners=False, antialias=True)
    return seen[0].permute(1, 2, 0).numpy()


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """(H, W, 3) float32 in [0, 1] as a JPEG file of this quality shows it."""
    stream = io.BytesIO()
    Image.fromarray((image * 255).astype(np.uint8)).save(stream, "JPEG", quality=quality)
    with open_picture(stream.getvalue(), name="a JPEG in memory") as picture:
        return np.asarray(picture, np.float32) / 255
