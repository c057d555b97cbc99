"""Pixels of a picture at other places, in whole numbers: halved, moved by an affine map, cropped for a network.

All rounding is OpenCV's, to the last bit: the landmark networks follow changes of a single grey level (landmarks move
by up to 2 % of the eye distance, on profiles by more), and this way they see what they see in MediaPipe, on any machine
and whatever OpenCV is installed. Positions are in 1/32 pixel, the centre of the first pixel is at 0.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

BITS, STEPS = 5, 32  # positions are in 1/32 pixel
HALF = STEPS * STEPS // 2
CHANNELS = 3
AFFINE_BITS = 10  # an affine map's columns and rows are rounded to 1/1024 pixel before they are added
STRIP = 64  # a crop's positions are computed from the start of each strip of so many columns


@njit(cache=True, nogil=True, inline="always")
def _blend(pixels, stride, column, row, out, to):
    """The mean of four neighbours that all lie in the picture, by where `column`, `row` are between them.

    Places are unsigned, or numba asks of each whether it counts from the end.
    """
    right, low = np.int32(column & (STEPS - 1)), np.int32(row & (STEPS - 1))
    a, b = (STEPS - right) * (STEPS - low), right * (STEPS - low)
    c, d = (STEPS - right) * low, right * low
    upper = np.uint64((row >> BITS) * stride + (column >> BITS) * CHANNELS)
    lower = upper + np.uint64(stride)
    for channel in range(CHANNELS):
        k = np.uint64(channel)
        next_k = np.uint64(channel + CHANNELS)
        value = np.int32(pixels[upper + k]) * a + np.int32(pixels[upper + next_k]) * b
        value += np.int32(pixels[lower + k]) * c + np.int32(pixels[lower + next_k]) * d
        out[to + k] = (value + HALF) >> (2 * BITS)


@njit(cache=True, nogil=True)
def _blend_border(image, column, row, out, y, x, replicate):
    """The same where a neighbour is outside: it is 0, or the border is repeated."""
    height, width = image.shape[0], image.shape[1]
    left, top = column >> BITS, row >> BITS
    for channel in range(CHANNELS):
        value = 0
        for down in range(2):
            for across in range(2):
                i, j = top + down, left + across
                if replicate or (0 <= i < height and 0 <= j < width):
                    share_x = column & (STEPS - 1) if across else STEPS - (column & (STEPS - 1))
                    share_y = row & (STEPS - 1) if down else STEPS - (row & (STEPS - 1))
                    pixel = image[min(max(i, 0), height - 1), min(max(j, 0), width - 1), channel]
                    value += share_x * share_y * pixel
        out[y, x, channel] = (value + HALF) >> (2 * BITS)


@njit(cache=True, nogil=True)
def _pick(image, columns, rows, replicate, out):
    """The picture at (columns, rows) (N, M) int64 of 1/32 pixel. One kernel for all maps: each costs half a second of
    compiling at the first run of all."""
    height, width = image.shape[0], image.shape[1]
    pixels, target, stride = image.reshape(-1), out.reshape(-1), np.int64(CHANNELS * width)
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            column, row = columns[y, x], rows[y, x]
            left, top = column >> BITS, row >> BITS
            if 0 <= left and left < width - 1 and 0 <= top and top < height - 1:
                _blend(pixels, stride, column, row, target, np.uint64((y * out.shape[1] + x) * CHANNELS))
            else:
                _blend_border(image, column, row, out, y, x, replicate)


def inverse_affine(matrix: np.ndarray) -> np.ndarray:
    """The (2, 3) affine map that undoes `matrix` (2, 3); zeros where nothing can."""
    (a, b, c), (d, e, f) = matrix.astype(np.float64).tolist()
    determinant = a * e - b * d
    scale = 1 / determinant if determinant != 0 else 0.0
    p, q, r, s = e * scale, b * -scale, d * -scale, a * scale
    return np.array([[p, q, -p * c - q * f], [r, s, -r * c - s * f]])


def moved(image: np.ndarray, matrix: np.ndarray, width: int, height: int) -> np.ndarray:
    """The picture under an affine map, 0 where the image does not reach.

    Args:
        image: (H, W, 3) uint8.
        matrix: (2, 3): image pixels -> pixels of the picture.
        width, height: of the picture in pixels.
    Returns:
        (height, width, 3) uint8.
    """
    inverse = inverse_affine(matrix)
    scale, shift = float(1 << AFFINE_BITS), AFFINE_BITS - BITS
    across, down = np.arange(width), np.arange(height)

    def places(a: float, b: float, c: float) -> np.ndarray:
        first = np.rint((b * down + c) * scale).astype(np.int64) + (1 << (shift - 1))
        return (first[:, None] + np.rint(a * across * scale).astype(np.int64)) >> shift

    out = np.empty((height, width, CHANNELS), np.uint8)
    _pick(np.ascontiguousarray(image), places(*inverse[0]), places(*inverse[1]), False, out)
    return out


@njit(cache=True, nogil=True)
def _shares(size, count):
    """For each of `count` equal cells along `size` pixels: the first pixel, and the pixels' shares (count, taps)."""
    scale = size / count
    taps = int(math.ceil(scale)) + 1
    starts, shares = np.zeros(count, np.int64), np.zeros((count, taps), np.float32)
    for cell in range(count):
        begin, end = cell * scale, cell * scale + scale
        width = min(scale, size - begin)
        last = min(int(math.floor(end)), size - 1)
        first = min(int(math.ceil(begin)), last)
        tap = 0
        starts[cell] = first
        if first - begin > 1e-3:
            starts[cell] = first - 1
            shares[cell, 0] = (first - begin) / width
            tap = 1
        for _ in range(first, last):
            shares[cell, tap] = 1 / width
            tap += 1
        if end - last > 1e-3:
            shares[cell, tap] = min(min(end - last, 1.0), width) / width
    return starts, shares


@njit(cache=True, nogil=True)
def _halve_even(image, out):
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            for channel in range(CHANNELS):
                value = np.int64(image[2 * y, 2 * x, channel]) + image[2 * y, 2 * x + 1, channel]
                value += np.int64(image[2 * y + 1, 2 * x, channel]) + image[2 * y + 1, 2 * x + 1, channel]
                out[y, x, channel] = (value + 2) >> 2


@njit(cache=True, nogil=True)
def _halve_odd(image, out):
    """Cells of a little more than two pixels, with sums in 32-bit floats, columns first."""
    rows, row_shares = _shares(image.shape[0], out.shape[0])
    columns, column_shares = _shares(image.shape[1], out.shape[1])
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            for channel in range(CHANNELS):
                total = np.float32(0)
                for i in range(row_shares.shape[1]):
                    if row_shares[y, i] > 0:
                        line = np.float32(0)
                        for j in range(column_shares.shape[1]):
                            if column_shares[x, j] > 0:
                                pixel = np.float32(image[rows[y] + i, columns[x] + j, channel])
                                line += pixel * column_shares[x, j]
                        total += line * row_shares[y, i]
                out[y, x, channel] = np.uint8(min(max(np.rint(total), 0), 255))


def halved(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> (max(1, H // 2), max(1, W // 2), 3) uint8, each pixel the mean of what it covers."""
    height, width = image.shape[:2]
    out = np.empty((max(1, height // 2), max(1, width // 2), 3), np.uint8)
    if height % 2 == 0 and width % 2 == 0:
        _halve_even(image, out)
    else:
        _halve_odd(image, out)
    return out


def _from_square(corners: np.ndarray, side: int) -> list[list[float]]:
    """(3, 3): pixels of a square picture -> the image whose `corners` it shows.

    The map is found as OpenCV does it, as image -> picture by elimination in an 8 x 8 system, and then inverted, number
    by number: another way to the same numbers (LAPACK's) differs in their last bits, which decide where positions are
    rounded up or down.

    Args:
        corners: (4, 2) float32: of the image, for the picture's bottom left, top left, top right, bottom right.
    """
    targets = ((0.0, side), (0.0, 0.0), (side, 0.0), (side, side))
    system: list[list[float]] = []
    for axis in range(2):
        for (x, y), target in zip(corners, targets, strict=True):
            here, aim = [float(x), float(y), 1.0], np.float32(target[axis])
            straight = [*here, 0.0, 0.0, 0.0] if axis == 0 else [0.0, 0.0, 0.0, *here]
            system.append([*straight, float(-x * aim), float(-y * aim), float(aim)])
    for k in range(8):
        pivot = k + int(np.argmax([abs(row[k]) for row in system[k:]]))
        system[k], system[pivot] = system[pivot], system[k]
        negative = -1 / system[k][k]
        for below in system[k + 1 :]:
            factor = below[k] * negative
            for j in range(k + 1, 9):
                below[j] += factor * system[k][j]
    solution = [0.0] * 8
    for k in range(7, -1, -1):
        value = system[k][8]
        for j in range(k + 1, 8):
            value -= system[k][j] * solution[j]
        solution[k] = value / system[k][k]
    a, b, c, d, e, f, g, h = solution
    i = 1.0
    scale = 1 / (a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g))
    adjugate = [
        [e * i - f * h, c * h - b * i, b * f - c * e],
        [f * g - d * i, a * i - c * g, c * d - a * f],
        [d * h - e * g, b * g - a * h, a * e - b * d],
    ]
    return [[value * scale for value in row] for row in adjugate]


def cropped(image: np.ndarray, corners: np.ndarray, side: int, replicate: bool) -> np.ndarray:
    """A part of the image as a square picture.

    Args:
        image: (H, W, 3) uint8.
        corners: (4, 2) float32 image pixels: the picture's bottom left, top left, top right and bottom right corner.
        side: pixels of the picture.
        replicate: beyond the image its border is repeated; else it is 0.
    Returns:
        (side, side, 3) uint8.
    """
    to_column, to_row, to_depth = _from_square(corners, side)
    down = np.arange(side)[:, None]
    start = np.arange(side) // STRIP * STRIP
    step = np.arange(side) - start

    def along(a: float, b: float, c: float) -> np.ndarray:
        return a * start + b * down + c + a * step

    scale = STEPS / along(*to_depth)
    columns, rows = (np.rint(along(*line) * scale).astype(np.int64) for line in (to_column, to_row))
    out = np.empty((side, side, CHANNELS), np.uint8)
    _pick(np.ascontiguousarray(image), columns, rows, replicate, out)
    return out
