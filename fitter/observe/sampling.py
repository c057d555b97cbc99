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
def _move(image, inverse, out):
    height, width = image.shape[0], image.shape[1]
    pixels, target, stride = image.reshape(-1), out.reshape(-1), np.int64(CHANNELS * width)
    scale, shift = float(1 << AFFINE_BITS), AFFINE_BITS - BITS
    half = 1 << (shift - 1)
    columns, rows = np.empty(out.shape[1], np.int64), np.empty(out.shape[1], np.int64)
    for x in range(out.shape[1]):
        columns[x] = np.int64(np.rint(inverse[0, 0] * x * scale))
        rows[x] = np.int64(np.rint(inverse[1, 0] * x * scale))
    for y in range(out.shape[0]):
        first_column = np.int64(np.rint((inverse[0, 1] * y + inverse[0, 2]) * scale)) + half
        first_row = np.int64(np.rint((inverse[1, 1] * y + inverse[1, 2]) * scale)) + half
        for x in range(out.shape[1]):
            column, row = (first_column + columns[x]) >> shift, (first_row + rows[x]) >> shift
            left, top = column >> BITS, row >> BITS
            if 0 <= left and left < width - 1 and 0 <= top and top < height - 1:
                _blend(pixels, stride, column, row, target, np.uint64((y * out.shape[1] + x) * CHANNELS))
            elif left < -1 or left >= width or top < -1 or top >= height:
                for channel in range(CHANNELS):
                    out[y, x, channel] = 0
            else:
                _blend_border(image, column, row, out, y, x, False)


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
    out = np.empty((height, width, CHANNELS), np.uint8)
    _move(np.ascontiguousarray(image), inverse_affine(matrix), out)
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


@njit(cache=True, nogil=True)
def _from_square(corners, side):
    """(3, 3): pixels of a square picture -> the image whose `corners` it shows.

    The map is found as OpenCV does it, as image -> picture by elimination in an 8 x 8 system, and then inverted:
    another way to the same numbers differs in their last bits, which decide where positions are rounded up or down.

    Args:
        corners: (4, 2) float32: of the image, for the picture's bottom left, top left, top right, bottom right.
    """
    targets = np.zeros((4, 2), np.float32)
    targets[0, 1] = targets[2, 0] = targets[3, 0] = targets[3, 1] = side
    system, right = np.zeros((8, 8)), np.zeros(8)
    for corner in range(4):
        x, y = corners[corner, 0], corners[corner, 1]
        for axis in range(2):
            row, target = corner + 4 * axis, targets[corner, axis]
            system[row, 3 * axis], system[row, 3 * axis + 1], system[row, 3 * axis + 2] = x, y, 1
            system[row, 6], system[row, 7] = np.float32(-x * target), np.float32(-y * target)
            right[row] = target
    for row in range(8):
        pivot = row
        for below in range(row + 1, 8):
            if abs(system[below, row]) > abs(system[pivot, row]):
                pivot = below
        for k in range(row, 8):
            system[row, k], system[pivot, k] = system[pivot, k], system[row, k]
        right[row], right[pivot] = right[pivot], right[row]
        negative = -1 / system[row, row]
        for below in range(row + 1, 8):
            factor = system[below, row] * negative
            for k in range(row + 1, 8):
                system[below, k] += factor * system[row, k]
            right[below] += factor * right[row]
    for row in range(7, -1, -1):
        value = right[row]
        for k in range(row + 1, 8):
            value -= system[row, k] * right[k]
        right[row] = value / system[row, row]
    a, b, c, d, e, f, g, h = right
    i = 1.0
    scale = 1 / (a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g))
    adjugate = np.array(
        [
            [e * i - f * h, c * h - b * i, b * f - c * e],
            [f * g - d * i, a * i - c * g, c * d - a * f],
            [d * h - e * g, b * g - a * h, a * e - b * d],
        ]
    )
    return adjugate * scale


@njit(cache=True, nogil=True)
def _crop(image, corners, replicate, out):
    height, width, side = image.shape[0], image.shape[1], out.shape[0]
    pixels, target, stride = image.reshape(-1), out.reshape(-1), np.int64(CHANNELS * width)
    m = _from_square(corners, np.float32(side))
    for y in range(side):
        for start in range(0, side, STRIP):
            column = m[0, 0] * start + m[0, 1] * y + m[0, 2]
            row = m[1, 0] * start + m[1, 1] * y + m[1, 2]
            depth = m[2, 0] * start + m[2, 1] * y + m[2, 2]
            for step in range(min(STRIP, side - start)):
                scale = STEPS / (depth + m[2, 0] * step)
                at_column = np.int64(np.rint((column + m[0, 0] * step) * scale))
                at_row = np.int64(np.rint((row + m[1, 0] * step) * scale))
                left, top, x = at_column >> BITS, at_row >> BITS, start + step
                if 0 <= left and left < width - 1 and 0 <= top and top < height - 1:
                    _blend(pixels, stride, at_column, at_row, target, np.uint64((y * side + x) * CHANNELS))
                else:
                    _blend_border(image, at_column, at_row, out, y, x, replicate)


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
    out = np.empty((side, side, CHANNELS), np.uint8)
    _crop(np.ascontiguousarray(image), corners, replicate, out)
    return out
