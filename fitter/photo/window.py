"""The square window around a face, cut from the photo."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..geometry.camera import WindowTransform
from .photo import Photo

# The window: landmarks span forehead to chin and cheek to cheek; 1.6 of that shows the head with its ears and the
# hairline. They stop short of the crown, so the window sits higher than their middle by this share of its side.
WINDOW_MARGIN = 1.6

WINDOW_RISE = 0.05


def crop_window(landmarks: Tensor | np.ndarray, size: int = 224, margin: float = WINDOW_MARGIN) -> WindowTransform:
    """The square window around a face's landmarks.

    Args:
        landmarks: (N, 2) or (B, N, 2) photo pixels.
        size: side of the window in window pixels.
        margin: side of the window over the longer side of the landmarks' box.
    Returns:
        WindowTransform of B windows (B = 1 for (N, 2)); it may reach over the photo's border.
    Raises:
        ValueError: landmarks of another shape, not finite, or all in one place; size or margin not positive.
    """
    points = torch.as_tensor(landmarks).detach().to("cpu", torch.float32)
    points = points[None] if points.ndim == 2 else points
    if points.ndim != 3 or points.shape[-1] != 2 or not torch.isfinite(points).all():
        raise ValueError(f"landmarks of shape {tuple(points.shape)}; expected finite (N, 2) or (B, N, 2) photo pixels")
    if size < 1 or not margin > 0:
        raise ValueError(f"size {size} px, margin {margin}; expected both positive")
    low, high = points.amin(1), points.amax(1)
    extent = (high - low).amax(1)
    if not (extent > 0).all():
        raise ValueError("the landmarks of a face all lie in one place")
    side = extent * margin
    centre = (low + high) / 2 - torch.tensor([0.0, WINDOW_RISE]) * side[:, None]
    return WindowTransform(centre - side[:, None] / 2, size / side, size)


def sample_window(pixels: np.ndarray, window: WindowTransform) -> tuple[np.ndarray, np.ndarray]:
    """An image through one window (B = 1): each pixel is the mean of the bilinear interpolant under it.

    One rule for both directions: it is the area average when the window shrinks the photo and goes over into bilinear
    interpolation when it enlarges it, and it keeps a linear ramp exactly, so nothing is displaced by half a pixel.

    Args:
        pixels: (H, W, C) of any real type.
        window: photo pixels -> window pixels.
    Returns:
        (S, S, C) float32 in the units of `pixels`, and (S, S) float32: the share of the footprint inside the photo.
        Outside the photo its border pixels go on.
    """
    (x, y), scale = _one_window(window)
    height, width = pixels.shape[:2]
    columns = _footprints(x, scale, window.size, width)
    rows = _footprints(y, scale, window.size, height)
    left = min(int(index.min()) for index, _ in columns)
    right = max(int(index.max()) for index, _ in columns) + 1
    narrow = np.empty((window.size, right - left, pixels.shape[2]), np.float32)
    for out, (index, weight) in zip(narrow, rows, strict=True):
        np.einsum("k,kwc->wc", weight, pixels[index, left:right].astype(np.float32), out=out)
    image = np.empty((window.size, window.size, pixels.shape[2]), np.float32)
    for number, (index, weight) in enumerate(columns):
        image[:, number] = np.einsum("k,hkc->hc", weight, narrow[:, index - left])
    return image, np.outer(_inside(y, scale, window.size, height), _inside(x, scale, window.size, width))


def window_image(photo: Photo, window: WindowTransform) -> tuple[np.ndarray, np.ndarray]:
    """A photo through one window (B = 1): (S, S, 3) float32 RGB in [0, 1] and (S, S) float32 in [0, 1], the share of
    each window pixel that lies inside the photo. Outside, the photo's border pixels go on.

    The pixels are floats, so nothing is rounded twice.
    """
    image, inside = sample_window(photo.pixels, window)
    return image / np.float32(255), inside


def sample_labels(labels: np.ndarray, window: WindowTransform, outside: int = 0) -> np.ndarray:
    """(H, W) labels of the photo through one window (B = 1): (S, S), nearest pixel, `outside` beyond the border."""
    (x, y), scale = _one_window(window)
    centres = (np.arange(window.size) + 0.5) / scale
    rows, columns = np.floor(y + centres).astype(int), np.floor(x + centres).astype(int)
    height, width = labels.shape
    seen = labels[np.clip(rows, 0, height - 1)[:, None], np.clip(columns, 0, width - 1)]
    valid = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
    return np.where(valid, seen, np.asarray(outside, labels.dtype))


def _one_window(window: WindowTransform) -> tuple[tuple[float, float], float]:
    if window.scale.numel() != 1:
        raise ValueError(f"a batch of {window.scale.numel()} windows; expected one")
    x, y = window.origin.reshape(2).tolist()
    return (x, y), float(window.scale)


def _footprints(origin: float, scale: float, size: int, limit: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each window pixel along one axis: the photo pixels under it (clamped to the photo) and their weights."""

    edges = origin + np.arange(size + 1) / scale
    first = np.floor(edges[:-1] - 0.5).astype(int)
    count = np.floor(edges[1:] - 0.5).astype(int) + 2 - first
    index = first[:, None] + np.arange(count.max())
    weight = _tent_integral(edges[1:, None] - index - 0.5) - _tent_integral(edges[:-1, None] - index - 0.5)
    inside = np.clip(index, 0, limit - 1)
    rows = [(own[:number], each[:number]) for own, each, number in zip(inside, weight, count, strict=True)]
    return [(own, (each / each.sum()).astype(np.float32)) for own, each in rows]


def _tent_integral(t: np.ndarray) -> np.ndarray:
    """The area under a tent of half-width 1 from its left foot to t."""
    t = np.clip(t, -1, 1)
    return np.where(t < 0, 0.5 * (1 + t) ** 2, 1 - 0.5 * (1 - t) ** 2)


def _inside(origin: float, scale: float, size: int, limit: int) -> np.ndarray:
    """(S,) share of each window pixel's extent along one axis that lies in [0, limit]."""
    edges = np.clip(origin + np.arange(size + 1) / scale, 0, limit)
    return (np.diff(edges) * scale).astype(np.float32)
