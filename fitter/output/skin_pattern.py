"""The skin's own pattern, carried on from where it is seen to the texels beside it."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from scipy import ndimage

from ..compute.smoothstep import smoothstep
from ..render.view_kernels import over_rows, rows_of

_KNOWN = 0.6  # of a texel's detail: from there on it is a pattern that can go on
_COARSE = 4  # texels to one in which the nearest known one is looked for
_BEYOND = 8.0  # texels behind the border, which is faint, that the mirror stands


def carry_on(
    texture: np.ndarray, base: np.ndarray, told: np.ndarray, skin: np.ndarray, reach: float, limit: float
) -> np.ndarray:
    """A texture with what its known parts would look like in a mirror that stands on their border.

    Args:
        texture, base: (T, T, 3) float32; told: (T, T) in [0, 1], how much of a texel's detail there is.
        skin: (T, T) bool, where there is a pattern. reach: texels over which it fades. limit: what it stays below.
    Returns:
        (T, T, 3) float32.
    """
    known = (told[::_COARSE, ::_COARSE] > _KNOWN) & skin[::_COARSE, ::_COARSE]
    if not known.any():
        return texture
    distance, (row, column) = ndimage.distance_transform_edt(~known, return_indices=True)
    out = texture.copy()
    over_rows(
        _carry_on, len(told), texture, base, told, skin, distance, row.astype(np.int32), column.astype(np.int32),
        reach, limit, out,
    )  # fmt: skip
    return out


@njit(cache=True, nogil=True)
def _carry_on(texture, base, told, skin, distance, nearest_row, nearest_column, reach, limit, out, chunk):
    """Add to `out` (T, T, 3). distance, nearest_row, nearest_column: of the coarse texels, in coarse texels."""
    size = told.shape[0]
    first, last = rows_of(size, chunk)
    for row in range(first, last):
        for column in range(size):
            if not skin[row, column] or told[row, column] >= 1.0:
                continue
            y, x = row // _COARSE, column // _COARSE
            away = distance[y, x] * _COARSE
            if away >= reach:
                continue
            down, right = nearest_row[y, x] * _COARSE - row, nearest_column[y, x] * _COARSE - column
            stretch = 2.0 + 2.0 * _BEYOND / max(math.hypot(down, right), 1.0)
            y, x = int(row + stretch * down), int(column + stretch * right)
            if y < 0 or x < 0 or y >= size or x >= size or told[y, x] <= _KNOWN or not skin[y, x]:
                continue
            largest = 0.0
            for c in range(3):
                largest = max(largest, abs(texture[y, x, c] - base[y, x, c]))
            share = (1.0 - told[row, column]) * smoothstep(1.0 - away / reach)
            share /= math.sqrt(1.0 + (largest / limit) ** 2)
            for c in range(3):
                out[row, column, c] += share * (texture[y, x, c] - base[y, x, c])
