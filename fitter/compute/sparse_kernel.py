"""The numba kernel of facefit.compute.sparse_map, apart from it so that a model can be read without loading numba."""

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True)
def multiply(start, index, weight, values, out, chunks, chunk):
    """One of `chunks` shares of the rows of one batch item: `values` (B, N, C) -> `out` (B, M, C)."""
    b, share = chunk // chunks, chunk % chunks
    rows, channels = out.shape[1], out.shape[2]
    if channels == 3:  # points and colours: three sums in registers
        for m in range(share * rows // chunks, (share + 1) * rows // chunks):
            x, y, z = 0.0, 0.0, 0.0
            for k in range(start[m], start[m + 1]):
                n, w = index[k], weight[k]
                x += w * values[b, n, 0]
                y += w * values[b, n, 1]
                z += w * values[b, n, 2]
            out[b, m, 0], out[b, m, 1], out[b, m, 2] = x, y, z
    else:
        for m in range(share * rows // chunks, (share + 1) * rows // chunks):
            for c in range(channels):
                total = 0.0
                for k in range(start[m], start[m + 1]):
                    total += weight[k] * values[b, index[k], c]
                out[b, m, c] = total
