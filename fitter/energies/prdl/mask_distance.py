"""Least, greatest and mean distance from every pixel to the pixels of a mask, exactly: PRDL's targets."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ...geometry.convex_hull import hull_corners


def mask_extremes(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(T, H, W) bool -> two (T, H, W) float32: least and greatest distance from each pixel centre to the mask's.

    The least is an exact Euclidean distance transform; the greatest goes over the corners of the mask's convex hull. 0
    for an empty mask.
    """
    least, greatest = np.zeros(masks.shape, np.float32), np.zeros(masks.shape, np.float32)
    height, width = masks.shape[1:]
    for part, mask in enumerate(masks):
        rows = np.flatnonzero(mask.any(1))
        if len(rows) == 0:
            continue
        least[part] = ndimage.distance_transform_edt(~mask)
        # the first and the last pixel of each row contain all corners of the hull
        first, last = mask[rows].argmax(1), width - 1 - mask[rows, ::-1].argmax(1)
        x, y = np.concatenate([first, last]).astype(np.float32), np.concatenate([rows, rows]).astype(np.float32)
        hull = np.empty(len(x), np.int64)
        corners = hull[: hull_corners(x, y, hull)]
        across, down = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
        most = np.zeros((height, width), np.float32)
        for corner in corners:
            np.maximum(most, (across - x[corner]) ** 2 + ((down - y[corner]) ** 2)[:, None], out=most)
        greatest[part] = np.sqrt(most)
    return least, greatest


def mask_means(mask: Tensor) -> Tensor:
    """(T, S, S) bool -> (T, S, S) float32 mean distance from each pixel centre to the mask's; 0 for an empty mask.

    Anchors and mask pixels share one lattice, so the sum of distances is a convolution of the mask with |x|.
    """
    size = mask.shape[-1]
    line = torch.arange(2 * size)
    line = torch.minimum(line, 2 * size - line).double()  # 0, 1, ..., 2, 1: the lags of a circular convolution
    kernel = torch.fft.rfft2((line[:, None] ** 2 + line**2).sqrt())
    out = torch.zeros(mask.shape)
    for part, members in enumerate(mask):  # one by one: a batch of spectra would be the largest thing in memory
        count = int(members.sum())
        if count:
            spectrum = torch.fft.rfft2(members.double(), s=(2 * size, 2 * size))
            out[part] = torch.fft.irfft2(spectrum * kernel, s=(2 * size, 2 * size))[:size, :size] / count
    return out


def mask_points(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(T, S, S) bool -> (N,) float32 x and y of the pixel centres, mask by mask, and (T + 1,) offsets."""
    part, row, column = masks.nonzero()
    offset = np.concatenate([[0], np.cumsum(np.bincount(part, minlength=len(masks)))])
    return column.astype(np.float32) + np.float32(0.5), row.astype(np.float32) + np.float32(0.5), offset
