"""What is known of the point of a surface that a pixel, or a texel, shows: passes over square pictures in numba.

Passes that end in `chunk` do ROWS rows and are shared out by `over_rows`. A pixel is computed by itself, so threads do
not change a bit.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..compute.threads import run_chunks

ROWS = 32


def over_rows(kernel, size: int, *arguments) -> None:
    """Run a pass over `size` rows, on all cores."""
    run_chunks(kernel, -(-size // ROWS), *arguments)


@njit(cache=True, inline="always")
def rows_of(size, chunk):
    """First and past-the-last row of a chunk."""
    return chunk * ROWS, min(size, (chunk + 1) * ROWS)


def vertex_picture(face: np.ndarray, bary: np.ndarray, faces: np.ndarray, values: np.ndarray) -> np.ndarray:
    """What vertices have, on the pixels of a picture or the texels of a texture.

    Args:
        face: (S, S) integer, the triangle of each pixel, -1 for none; bary: (S, S, 3) float32 weights of its corners.
        faces: (F, 3) int64; values: (V, C) of any real type.
    Returns:
        (S, S, C) float32, 0 where there is no face.
    """
    out = np.zeros((*face.shape, values.shape[1]), np.float32)
    over_rows(spread, len(out), face, bary, faces, values.astype(np.float32), out)
    return out


@njit(cache=True, nogil=True)
def unpack(rast, faces, away, face, bary, depth, chunk):
    """`rast` (S, S, 4) of a mesh whose vertices are `away` (V,) from the camera -> `face` (S, S), -1 for none, `bary`
    (S, S, 3), 0 for none, and `depth` (S, S), infinite for none."""
    first, last = rows_of(rast.shape[0], chunk)
    for row in range(first, last):
        for column in range(rast.shape[1]):
            f = int(rast[row, column, 3]) - 1
            face[row, column] = f
            if f < 0:
                bary[row, column] = 0
                depth[row, column] = float("inf")
                continue
            u, v = rast[row, column, 0], rast[row, column, 1]
            t = 1 - u - v
            bary[row, column, 0], bary[row, column, 1], bary[row, column, 2] = u, v, t
            depth[row, column] = u * away[faces[f, 0]] + v * away[faces[f, 1]] + t * away[faces[f, 2]]


@njit(cache=True, nogil=True)
def spread(face, bary, faces, values, out, chunk):
    """Per-vertex `values` (V, C) -> added to `out` (S, S, C), where there is a face."""
    first, last = rows_of(face.shape[0], chunk)
    for row in range(first, last):
        for column in range(face.shape[1]):
            f = face[row, column]
            if f < 0:
                continue
            for k in range(3):
                for c in range(values.shape[1]):
                    out[row, column, c] += bary[row, column, k] * values[faces[f, k], c]


@njit(cache=True, nogil=True)
def heaviest(face, bary, faces, labels, out, chunk):
    """Of the corners' `labels` (V,) the one with the most weight -> `out` (S, S), left alone where there is no face."""
    first, last = rows_of(face.shape[0], chunk)
    for row in range(first, last):
        for column in range(face.shape[1]):
            f = face[row, column]
            if f < 0:
                continue
            most = -1.0
            for k in range(3):
                label, weight = labels[faces[f, k]], 0.0
                for other in range(3):
                    if labels[faces[f, other]] == label:
                        weight += bary[row, column, other]
                if weight > most:
                    most = weight
                    out[row, column] = label
