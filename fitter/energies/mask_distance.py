"""Least, greatest and mean distance from every pixel to the pixels of a mask, exactly: PRDL's targets."""

from __future__ import annotations

import numpy as np
import torch
from numba import njit
from torch import Tensor

from fitter.energies.convex_hull import hull_corners
from fitter.parallel import run_chunks

CHUNKS = 16  # shares of the rows, claimed by the threads


def mask_extremes(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(T, H, W) bool -> two (T, H, W) float32: least and greatest distance from each pixel centre to the mask's.

    The least is an exact Euclidean distance transform (Felzenszwalb and Huttenlocher 2012: lower envelope of parabolas,
    columns, then rows); the greatest goes over the corners of the mask's convex hull. 0 for an empty mask.
    """
    least, greatest = np.zeros(masks.shape, np.float32), np.zeros(masks.shape, np.float32)
    columns = np.zeros(masks.shape, np.float32)
    corners = np.zeros((len(masks), 2 * masks.shape[1], 2), np.float32)
    count = np.zeros(len(masks), np.int64)
    run_chunks(_columns, len(masks), masks, columns, corners, count)
    run_chunks(_rows, CHUNKS, columns, corners, count, least, greatest)
    return least, greatest


@njit(cache=True, nogil=True)
def _columns(masks, columns, corners, count, part):
    """Squared distance of each pixel to its column's nearest mask pixel, and the corners (x, y) of the mask's hull."""
    height, width = masks.shape[1:]
    # the first and the last pixel of each row contain all corners of the hull
    x, y = np.empty(2 * height, np.float32), np.empty(2 * height, np.float32)
    hull = np.empty(2 * height, np.int64)
    mask, ends = masks[part], 0
    for row in range(height):
        low, high = -1, -1
        for column in range(width):
            if mask[row, column]:
                low = column if low < 0 else low
                high = column
        if low >= 0:
            x[ends], x[ends + 1], y[ends], y[ends + 1] = low, high, row, row
            ends += 2
    if ends == 0:
        return
    found = hull_corners(x[:ends], y[:ends], hull)
    for k in range(found):
        corners[part, k, 0], corners[part, k, 1] = x[hull[k]], y[hull[k]]
    count[part] = found
    for column in range(width):
        seen = -10 * height  # far beyond any distance in the picture, and its square exact in float32
        for row in range(height):
            seen = row if mask[row, column] else seen
            columns[part, row, column] = row - seen
        seen = 11 * height
        for row in range(height - 1, -1, -1):
            seen = row if mask[row, column] else seen
            columns[part, row, column] = min(columns[part, row, column], seen - row) ** 2


@njit(cache=True, nogil=True)
def _rows(columns, corners, count, least, greatest, chunk):
    height, width = columns.shape[1:]
    vertex, start = np.zeros(width, np.int64), np.empty(width + 1)
    tasks = len(count) * height
    for task in range(tasks * chunk // CHUNKS, tasks * (chunk + 1) // CHUNKS):
        row, part = task // len(count), task % len(count)
        if count[part] == 0:
            continue
        # lower envelope of the parabolas (i - j)^2 + rise[j]
        rise, found = columns[part, row], 0
        vertex[0], start[0], start[1] = 0, -np.inf, np.inf
        for j in range(1, width):
            while True:
                k = vertex[found]
                cross = (np.float64(rise[j]) - rise[k] + j * j - k * k) / (2.0 * (j - k))
                if cross > start[found]:
                    break
                found -= 1
            found += 1
            vertex[found], start[found], start[found + 1] = j, cross, np.inf
        k = 0
        for i in range(width):
            while start[k + 1] < i:
                k += 1
            least[part, row, i] = np.sqrt((i - vertex[k]) ** 2 + rise[vertex[k]])
        for i in range(width):
            most = np.float32(0)
            for k in range(count[part]):
                dx, dy = corners[part, k, 0] - np.float32(i), corners[part, k, 1] - np.float32(row)
                most = max(most, dx * dx + dy * dy)
            greatest[part, row, i] = np.sqrt(most)


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
