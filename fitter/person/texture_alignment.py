"""Laying the texture of one photo on that of others: fits differ by a millimetre or two along the surface."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.registration import optical_flow_ilk

from .texture_layer import MILLIMETRE, reduced

_SIDE = 256  # texels of the pictures that are compared: about 1.6 mm each
_REACH = 12  # texels to either side that move together
_MOST = 4.0  # mm; beyond, one of the photos shows something else
_FINE, _COARSE = 0.7, 6.0  # texels: standard deviations of the filters between which features lie
_CONTRAST = 0.02  # of log luminance: features below are noise


def motion(fixed: np.ndarray, known: np.ndarray, moving: np.ndarray, weight: np.ndarray) -> np.ndarray | None:
    """Where each texel of a texture is to be taken from in another one, so that features lie on each other.

    Args:
        fixed, moving: (T, T, 3) RGB in [0, 1]. known, weight: (T, T) in [0, 1], how far each shows a texel.
    Returns:
        (2, T, T) float32 texels, down and right; None where they have nothing in common.
    """
    size = len(fixed)
    step = max(size // _SIDE, 1)
    first, second = (_features(picture, step) for picture in (fixed, moving))
    shared = ndimage.gaussian_filter(np.minimum(reduced(known, step), reduced(weight, step)), 1.5)
    if (shared > 0.5).mean() < 0.01:
        return None
    first, second = first * shared, second * shared
    found = np.stack(optical_flow_ilk(first, second, radius=_REACH, num_warp=6, gaussian=True))
    most = _MOST * MILLIMETRE * len(first)
    length = np.linalg.norm(found, axis=0)
    found = found * (np.minimum(length, most) / np.maximum(length, 1e-6))
    found = np.stack([ndimage.gaussian_filter(each * shared, _REACH / 3) for each in found])
    found /= np.maximum(ndimage.gaussian_filter(shared, _REACH / 3), 0.05)
    scale = size / len(first)
    return np.stack([ndimage.zoom(each, scale, order=1)[:size, :size] * scale for each in found]).astype(np.float32)


def moved(picture: np.ndarray, by: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """A picture (T, T) or (T, T, C) whose texels are taken from where `motion` says; from their own place where that
    would lie beside the mesh, `inside` (T, T)."""
    size = len(picture)
    row, column = np.mgrid[:size, :size]
    at = np.clip(np.stack([row + by[0], column + by[1]]), 0, size - 1)
    leaves = ndimage.map_coordinates(inside.astype(np.float32), at, order=1) < 0.999
    at = np.where(leaves, np.stack([row, column]), at)
    if picture.ndim == 2:
        return ndimage.map_coordinates(picture, at, order=1)
    return np.stack([ndimage.map_coordinates(picture[..., k], at, order=1) for k in range(picture.shape[2])], -1)


def _features(picture: np.ndarray, step: int) -> np.ndarray:
    """(S, S) brows, lids, lips: log luminance without what is broad, of common contrast."""
    light = np.log(reduced(picture.mean(2), step) + 0.05)
    band = ndimage.gaussian_filter(light, _FINE) - ndimage.gaussian_filter(light, _COARSE)
    return band / (_CONTRAST + ndimage.gaussian_filter(np.abs(band), 2 * _COARSE))
