"""The skin's own pattern, carried on from where it is seen to the texels beside it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..compute.smoothstep import smoothstep

_KNOWN = 0.6  # of a texel's detail: from there on it is a pattern that can go on
_COARSE = 4  # texels to one in which the nearest known one is looked for


def carry_on(
    texture: np.ndarray, base: np.ndarray, told: np.ndarray, skin: np.ndarray, reach: float, limit: float
) -> None:
    """Add to `texture` what its known parts would look like in a mirror that stands on their border.

    Args:
        texture, base: (T, T, 3); told: (T, T) in [0, 1], how much of a texel's detail there is; skin: (T, T) bool.
        reach: texels over which the pattern fades; limit: what it softly stays below.
    """
    size = len(told) // _COARSE
    known = (told > _KNOWN) & skin
    coarse = known[::_COARSE, ::_COARSE][:size, :size]
    if not coarse.any():
        return
    distance, (row, column) = ndimage.distance_transform_edt(~coarse, return_indices=True)
    wanted = skin & (told < 1)
    down, right = np.nonzero(wanted)
    at = down // _COARSE, right // _COARSE
    near = distance[at] * _COARSE < reach
    down, right = down[near], right[near]
    at = down // _COARSE, right // _COARSE
    # a little beyond the border, which is faint
    step = 2.0 * _COARSE
    toward_y, toward_x = row[at] * _COARSE - down, column[at] * _COARSE - right
    length = np.maximum(np.hypot(toward_y, toward_x), 1.0)
    stretch = 2 + 2 * step / length
    source = (
        np.clip(down + stretch * toward_y, 0, len(told) - 1).astype(np.intp),
        np.clip(right + stretch * toward_x, 0, len(told) - 1).astype(np.intp),
    )
    detail = texture[source] - base[source]
    share = known[source] * (1 - told[down, right]) * smoothstep(1 - distance[at] * _COARSE / reach)
    largest = np.abs(detail).max(1)
    texture[down, right] += detail * (share / np.sqrt(1 + (largest / limit) ** 2))[:, None]
