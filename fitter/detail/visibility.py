"""Which vertices a picture shows."""

from __future__ import annotations

import numpy as np


def visible(depth: np.ndarray, pixels: np.ndarray, seen: np.ndarray, pixel: float) -> np.ndarray:
    """(V,) bool: vertices that nothing hides.

    Args:
        depth: (V,) mm in front of the camera; pixels: (V, 2) of the picture, x and y.
        seen: (S, S) mm, the depth of what the picture shows; infinite where there is nothing.
        pixel: mm a pixel of the picture.
    """
    size = len(seen)
    column, row = np.floor(pixels).astype(int).T
    inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    nearest = seen[np.clip(row, 0, size - 1), np.clip(column, 0, size - 1)]
    # a surface that is seen at a slant lies deeper at the vertex than at the pixel's middle
    return inside & (depth < nearest + 1.0 + 2.0 * pixel)
