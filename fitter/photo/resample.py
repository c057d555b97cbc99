"""Pictures seen through an affine map: bilinear between pixel centres, or the pixel that lies nearest.

`photo.window` looks at a photo through an upright window and averages what it shrinks; the maps here may turn and
mirror, and take the picture as it is.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit


def warp(
    planes: np.ndarray, to_source: np.ndarray, width: int, height: int, outside: float | None = None
) -> np.ndarray:
    """Each plane through one affine map, bilinear.

    Args:
        planes: (C, H, W) of any real type.
        to_source: (2, 3) output pixels -> pixels of `planes`, both with pixel centres at + 0.5.
        width, height: of the output.
        outside: the value of what lies beyond the planes; None repeats their border.
    Returns:
        (C, height, width) float32.
    """
    out = np.empty((len(planes), height, width), np.float32)
    source, matrix = np.ascontiguousarray(planes, np.float32), np.ascontiguousarray(to_source, np.float64)
    _warp(source, matrix, outside is None, np.float32(outside or 0.0), out)
    return out


def nearest(values: np.ndarray, to_source: np.ndarray, width: int, height: int, outside: float = 0) -> np.ndarray:
    """(H, W) values such as labels through an affine map; see `warp`. Returns (height, width) of their type."""
    column, row = np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5
    x = np.floor(to_source[0, 0] * column + to_source[0, 1] * row + to_source[0, 2]).astype(np.int64)
    y = np.floor(to_source[1, 0] * column + to_source[1, 1] * row + to_source[1, 2]).astype(np.int64)
    there = (x >= 0) & (x < values.shape[1]) & (y >= 0) & (y < values.shape[0])
    return np.where(there, values[np.where(there, y, 0), np.where(there, x, 0)], np.asarray(outside, values.dtype))


def inverse(matrix: np.ndarray) -> np.ndarray:
    """The (2, 3) affine map back. Raises numpy.linalg.LinAlgError for one that flattens the plane."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


# SciPy's affine_transform needs ten times as long: it finds the way anew for every plane.
@njit(cache=True, nogil=True)
def _warp(planes, to_source, repeat, outside, out):
    channels, height, width = planes.shape
    for row in range(out.shape[1]):
        for column in range(out.shape[2]):
            x = to_source[0, 0] * (column + 0.5) + to_source[0, 1] * (row + 0.5) + to_source[0, 2] - 0.5
            y = to_source[1, 0] * (column + 0.5) + to_source[1, 1] * (row + 0.5) + to_source[1, 2] - 0.5
            if repeat:
                x, y = min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0)
            elif not (-1.0 < x < width and -1.0 < y < height):
                for channel in range(channels):
                    out[channel, row, column] = outside
                continue
            x0, y0 = math.floor(x), math.floor(y)
            right, lower = x - x0, y - y0
            left, upper = 1.0 - right, 1.0 - lower
            x1, y1 = x0 + 1, y0 + 1
            # a neighbour beyond the planes has no weight; what is missing is `outside`
            if x0 < 0:
                x0, left = 0, 0.0
            if y0 < 0:
                y0, upper = 0, 0.0
            if x1 >= width:
                x1, right = width - 1, 0.0
            if y1 >= height:
                y1, lower = height - 1, 0.0
            a, b = np.float32(upper * left), np.float32(upper * right)
            c, d = np.float32(lower * left), np.float32(lower * right)
            rest = (np.float32(1.0) - a - b - c - d) * outside
            for channel in range(channels):
                plane = planes[channel]
                value = a * plane[y0, x0] + b * plane[y0, x1] + c * plane[y1, x0] + d * plane[y1, x1]
                out[channel, row, column] = value + rest
