"""numba kernels of the CPU backend: rasterize and interpolate, forward and backward.

Homogeneous rasterization (Olano and Greer 1997): with P = (X, Y, W) the homogeneous pixel position of a vertex and
p = (px, py, 1) a pixel centre, the edge functions e0 = p . (P1 x P2), e1 = p . (P2 x P0), e2 = p . (P0 x P1) are
proportional to the perspective-correct barycentric weights. No division by w comes before the inside test, so faces
that cross the camera plane and faces of any size need no clipping. The two faces of an edge compute exactly opposite
coefficients for it (floating point is symmetric in sign), so a pixel centre belongs to exactly one of them: no cracks,
no double coverage.

Every kernel does one chunk of its work, a fixed band of rows, vertices or faces (compute.threads.run_chunks), and every
sum over chunks runs in a fixed order, so results do not depend on the number of threads.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ..compute.chunks import span

BANDS = 8  # of rows; enough for an even load on a few cores
CHUNKS = 4  # private gradient buffers; each costs a pass over the vertices


@njit(cache=True, nogil=True)
def place(clip, size, pos, screen, depth, chunk):
    """(B, V, 4) clip -> `pos` (B, V, 3) homogeneous pixels, `screen` (B, V, 2) pixels, `depth` (B, V) z / w (minus
    infinity behind the camera), float64. B * CHUNKS chunks."""
    b, first, last = span(clip.shape[1], CHUNKS, chunk)
    half = 0.5 * size
    for v in range(first, last):
        w = np.float64(clip[b, v, 3])
        x = (np.float64(clip[b, v, 0]) + w) * half
        y = (w - np.float64(clip[b, v, 1])) * half
        pos[b, v, 0] = x
        pos[b, v, 1] = y
        pos[b, v, 2] = w
        if w > 0.0:
            screen[b, v, 0] = x / w
            screen[b, v, 1] = y / w
            depth[b, v] = np.float64(clip[b, v, 2]) / w
        else:
            screen[b, v, 0] = 0.0
            screen[b, v, 1] = 0.0
            depth[b, v] = -np.inf


@njit(cache=True, nogil=True)
def bound(pos, screen, faces, size, area, box, order, counts, chunk):
    """What is to be drawn, and where. B * CHUNKS chunks, each with its share of the faces.

    Args:
        area: (B, F) twice the signed area on the screen, NaN where a vertex is behind the camera.
        box: (B, F, 4) int32 first row, last row, first column, last column; unset for what is not to be drawn.
        order: (B, F) int32: in each share, from its start the faces that turn their outside to the camera, from its end
            the others: what the former hide need not be looked at closely.
        counts: (B, CHUNKS, 2) their numbers.
    """
    b, first, last = span(faces.shape[0], CHUNKS, chunk)
    slack = 0.5 + 1e-6
    top = size - 1.0
    front, back = first, last
    for f in range(first, last):
        i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
        wi, wj, wk = pos[b, i, 2], pos[b, j, 2], pos[b, k, 2]
        if wi > 0.0 and wj > 0.0 and wk > 0.0:
            xi, xj, xk = screen[b, i, 0], screen[b, j, 0], screen[b, k, 0]
            yi, yj, yk = screen[b, i, 1], screen[b, j, 1], screen[b, k, 1]
            turn = (xj - xi) * (yk - yi) - (yj - yi) * (xk - xi)
            area[b, f] = turn
            y0 = max(math.ceil(min(yi, yj, yk) - slack), 0.0)
            y1 = min(math.floor(max(yi, yj, yk) - 1.0 + slack), top)
            x0 = max(math.ceil(min(xi, xj, xk) - slack), 0.0)
            x1 = min(math.floor(max(xi, xj, xk) - 1.0 + slack), top)
            if not (y0 <= y1 and x0 <= x1 and math.isfinite(xi + xj + xk + yi + yj + yk)):
                continue
            box[b, f, 0] = np.int32(y0)
            box[b, f, 1] = np.int32(y1)
            box[b, f, 2] = np.int32(x0)
            box[b, f, 3] = np.int32(x1)
            if turn < 0.0:  # rows go down, so counter-clockwise is negative
                order[b, front] = f
                front += 1
                continue
        else:
            area[b, f] = np.nan
            if not (wi > 0.0 or wj > 0.0 or wk > 0.0):
                continue
            box[b, f, 0] = 0  # crosses the camera plane: its bounds are unknown
            box[b, f, 1] = size - 1
            box[b, f, 2] = 0
            box[b, f, 3] = size - 1
        back -= 1
        order[b, back] = f
    counts[b, chunk % CHUNKS, 0] = front - first
    counts[b, chunk % CHUNKS, 1] = last - back


@njit(cache=True, nogil=True)
def fill(pos, depth, clip, faces, box, order, counts, rast, chunk):
    """Draw all faces into `rast` (B, S, S, 4), zero on entry. B * BANDS chunks."""
    b, first, last = span(rast.shape[1], BANDS, chunk)
    size = rast.shape[2]
    nearest = np.empty((last - first, size))
    nearest[:] = np.inf
    for group in range(2 * CHUNKS):
        share = group % CHUNKS
        begin, end = share * faces.shape[0] // CHUNKS, (share + 1) * faces.shape[0] // CHUNKS
        if group < CHUNKS:
            end = begin + counts[b, share, 0]
        else:
            begin = end - counts[b, share, 1]
        for at in range(begin, end):
            f = order[b, at]
            y0, y1 = max(box[b, f, 0], first), min(box[b, f, 1], last - 1)
            if y0 <= y1:
                _draw(pos[b], depth[b], clip[b], faces, f, y0, y1, box[b, f, 2], box[b, f, 3], first, nearest, rast[b])


@njit(cache=True, nogil=True)
def _draw(pos, depth, clip, faces, f, y0, y1, x0, x1, first, nearest, rast):
    """One face in rows y0 to y1; `nearest` starts at row `first`."""
    i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
    # hidden in all its pixels? No point of a face is nearer than its nearest vertex; the margin is for rounding
    close = min(depth[i], depth[j], depth[k]) - 1e-12
    hidden = True
    for row in range(y0 - first, y1 - first + 1):
        for column in range(x0, x1 + 1):
            if close <= nearest[row, column]:
                hidden = False
                break
        if not hidden:
            break
    if hidden:
        return
    xi, yi, wi = pos[i, 0], pos[i, 1], pos[i, 2]
    xj, yj, wj = pos[j, 0], pos[j, 1], pos[j, 2]
    xk, yk, wk = pos[k, 0], pos[k, 1], pos[k, 2]
    a0, b0, c0 = yj * wk - yk * wj, wj * xk - wk * xj, xj * yk - xk * yj
    a1, b1, c1 = yk * wi - yi * wk, wk * xi - wi * xk, xk * yi - xi * yk
    a2, b2, c2 = yi * wj - yj * wi, wi * xj - wj * xi, xi * yj - xj * yi
    det = xi * a0 + yi * b0 + wi * c0
    if det < 0.0:
        a0, b0, c0, a1, b1, c1, a2, b2, c2 = -a0, -b0, -c0, -a1, -b1, -c1, -a2, -b2, -c2
        det = -det
    elif not det > 0.0:  # edge-on, without area, or NaN
        return
    # A centre on an edge belongs to the face to the right of it, or below it where it is level.
    own0 = a0 > 0.0 or (a0 == 0.0 and b0 > 0.0)
    own1 = a1 > 0.0 or (a1 == 0.0 and b1 > 0.0)
    own2 = a2 > 0.0 or (a2 == 0.0 and b2 > 0.0)
    zi, zj, zk = np.float64(clip[i, 2]), np.float64(clip[j, 2]), np.float64(clip[k, 2])
    # e0 Pi + e1 Pj + e2 Pk = det p, so interpolated w = det / (e0 + e1 + e2), and z / w is linear on the screen
    inverse = 1.0 / det
    for row in range(y0, y1 + 1):
        py = row + 0.5
        r0, r1, r2 = b0 * py + c0, b1 * py + c1, b2 * py + c2
        for column in range(x0, x1 + 1):
            px = column + 0.5
            e0, e1, e2 = a0 * px + r0, a1 * px + r1, a2 * px + r2
            if e0 < 0.0 or e1 < 0.0 or e2 < 0.0:
                continue
            if (e0 == 0.0 and not own0) or (e1 == 0.0 and not own1) or (e2 == 0.0 and not own2):
                continue
            here = (e0 * zi + e1 * zj + e2 * zk) * inverse
            best = nearest[row - first, column]
            # the face with the lower index wins a tie
            if (here < best or (here == best and f + 1 < rast[row, column, 3])) and -1.0 <= here <= 1.0:
                nearest[row - first, column] = here
                weight = 1.0 / (e0 + e1 + e2)
                rast[row, column, 0] = e0 * weight
                rast[row, column, 1] = e1 * weight
                rast[row, column, 2] = here
                rast[row, column, 3] = f + 1


@njit(cache=True, nogil=True)
def fill_backward(pos, faces, rast, grad, buffers, chunk):
    """d rast (u, v) -> private sums `buffers` (B, CHUNKS, V, 3) of d clip (x, y, w), zero on entry. B * CHUNKS."""
    b, first, last = span(rast.shape[1], CHUNKS, chunk)
    out = buffers[b, chunk % CHUNKS]
    size = rast.shape[2]
    half = 0.5 * size
    for row in range(first, last):
        py = row + 0.5
        for column in range(size):
            f = np.int64(rast[b, row, column, 3]) - 1
            if f < 0:
                continue
            gu, gv = np.float64(grad[b, row, column, 0]), np.float64(grad[b, row, column, 1])
            if gu == 0.0 and gv == 0.0:
                continue
            px = column + 0.5
            i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
            xi, yi, wi = pos[b, i, 0], pos[b, i, 1], pos[b, i, 2]
            xj, yj, wj = pos[b, j, 0], pos[b, j, 1], pos[b, j, 2]
            xk, yk, wk = pos[b, k, 0], pos[b, k, 1], pos[b, k, 2]
            # q = P x p for each vertex; e0 = Pk . (p x Pj) and so on, cyclically
            qix, qiy, qiz = yi - wi * py, wi * px - xi, xi * py - yi * px
            qjx, qjy, qjz = yj - wj * py, wj * px - xj, xj * py - yj * px
            qkx, qky, qkz = yk - wk * py, wk * px - xk, xk * py - yk * px
            e0 = -(xk * qjx + yk * qjy + wk * qjz)
            e1 = -(xi * qkx + yi * qky + wi * qkz)
            e2 = -(xj * qix + yj * qiy + wj * qiz)
            total = e0 + e1 + e2
            if total == 0.0:
                continue
            inverse = 1.0 / total
            common = (gu * e0 + gv * e1) * inverse
            g0, g1, g2 = (gu - common) * inverse, (gv - common) * inverse, -common * inverse
            # d e0 = dPj . (Pk x p) - dPk . (Pj x p), cyclically
            for corner in range(3):
                if corner == 0:
                    at = i
                    dx, dy, dw = g2 * qjx - g1 * qkx, g2 * qjy - g1 * qky, g2 * qjz - g1 * qkz
                elif corner == 1:
                    at = j
                    dx, dy, dw = g0 * qkx - g2 * qix, g0 * qky - g2 * qiy, g0 * qkz - g2 * qiz
                else:
                    at = k
                    dx, dy, dw = g1 * qix - g0 * qjx, g1 * qiy - g0 * qjy, g1 * qiz - g0 * qjz
                out[at, 0] += dx * half
                out[at, 1] -= dy * half
                out[at, 2] += dw + (dx + dy) * half


@njit(cache=True, nogil=True)
def interpolate(values, rast, faces, out, chunk):
    """`values` (B or 1, N, C) at the points of `rast` -> `out` (B, S, S, C). B * BANDS chunks."""
    b, first, last = span(rast.shape[1], BANDS, chunk)
    source = b if values.shape[0] > 1 else 0
    for row in range(first, last):
        for column in range(rast.shape[2]):
            f = np.int64(rast[b, row, column, 3]) - 1
            if f < 0:
                for c in range(values.shape[2]):
                    out[b, row, column, c] = 0.0
                continue
            i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
            u, v = rast[b, row, column, 0], rast[b, row, column, 1]
            t = 1 - u - v
            for c in range(values.shape[2]):
                out[b, row, column, c] = u * values[source, i, c] + v * values[source, j, c] + t * values[source, k, c]


@njit(cache=True, nogil=True)
def interpolate_backward(values, rast, faces, grad, to_values, to_rast, buffers, grad_rast, chunk):
    """d out -> private sums `buffers` (B, CHUNKS, N, C) of d values, and `grad_rast` (B, S, S, 4); zero on entry."""
    b, first, last = span(rast.shape[1], CHUNKS, chunk)
    out = buffers[b, chunk % CHUNKS] if to_values else buffers[0, 0]
    source = b if values.shape[0] > 1 else 0
    channels = values.shape[2]
    zero = rast[0, 0, 0, 0] * 0
    for row in range(first, last):
        for column in range(rast.shape[2]):
            f = np.int64(rast[b, row, column, 3]) - 1
            if f < 0:
                continue
            i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
            if to_values:
                u, v = rast[b, row, column, 0], rast[b, row, column, 1]
                t = 1 - u - v
                for c in range(channels):
                    g = grad[b, row, column, c]
                    out[i, c] += u * g
                    out[j, c] += v * g
                    out[k, c] += t * g
            if to_rast:
                gu = zero
                gv = zero
                for c in range(channels):
                    g = grad[b, row, column, c]
                    gu += g * (values[source, i, c] - values[source, k, c])
                    gv += g * (values[source, j, c] - values[source, k, c])
                grad_rast[b, row, column, 0] = gu
                grad_rast[b, row, column, 1] = gv
