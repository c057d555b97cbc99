"""Masks grown, shrunk and taken apart. Distances are exact and between pixel centres."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def distance_to(mask: np.ndarray) -> np.ndarray:
    """(H, W) bool -> (H, W) float64: how far each pixel is from the mask's nearest one; infinite for an empty mask."""
    return ndimage.distance_transform_edt(~mask) if mask.any() else np.full(mask.shape, np.inf)


def grow(mask: np.ndarray, radius: float) -> np.ndarray:
    """(H, W) bool: the mask with all that lies within `radius` pixels of it."""
    return distance_to(mask) <= radius


def shrink(mask: np.ndarray, radius: float) -> np.ndarray:
    """(H, W) bool: the mask without what lies within `radius` pixels of what is not in it; the picture's border is no
    end of the mask."""
    return distance_to(~mask) > radius


def pieces(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """(H, W) int: which connected piece each pixel of the mask belongs to, from 1, 0 outside; and how many there are.

    Pixels that touch at a corner are connected.
    """
    return ndimage.label(mask, np.ones((3, 3), bool))


def black_hat(picture: np.ndarray, radius: float) -> np.ndarray:
    """(H, W) float: how much darker a pixel is than its surroundings, where darkness is less than a disc of `radius`
    across (the picture's closing with that disc, minus the picture)."""
    return ndimage.black_tophat(picture, footprint=disc(radius), mode="nearest")


def disc(radius: float) -> np.ndarray:
    """(2 R + 1, 2 R + 1) bool: the pixels within `radius` of the middle one, R the whole part of the radius."""
    reach = np.arange(-int(radius), int(radius) + 1)
    return reach**2 + reach[:, None] ** 2 <= radius**2
