"""The per-texel passes of output.texture in numba. A texel is computed by itself, so threads do not change a bit.

Passes that end in `chunk` are shared out by `over_rows` (render.view_kernels).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ..compute.smoothstep import smoothstep
from ..render.view_kernels import over_rows, rows_of


@njit(cache=True, inline="always")
def _cell(x, limit):
    """Left neighbour and weight of the right one for bilinear sampling; centres at +0.5, clamped to the border."""
    x = min(max(x - 0.5, 0.0), limit - 1.0)
    left = min(int(x), limit - 2) if limit > 1 else 0
    return left, min(left + 1, limit - 1), x - left


@njit(cache=True)
def _bilinear(image, x, y):
    """(H, W) at pixel (x, y)."""
    x0, x1, fx = _cell(x, image.shape[1])
    y0, y1, fy = _cell(y, image.shape[0])
    top = image[y0, x0] * (1 - fx) + image[y0, x1] * fx
    return top * (1 - fy) + (image[y1, x0] * (1 - fx) + image[y1, x1] * fx) * fy


@njit(cache=True)
def _add_colour(image, x, y, weight, out):
    x0, x1, fx = _cell(x, image.shape[1])
    y0, y1, fy = _cell(y, image.shape[0])
    for c in range(3):
        top = image[y0, x0, c] * (1 - fx) + image[y0, x1, c] * fx
        bottom = image[y1, x0, c] * (1 - fx) + image[y1, x1, c] * fx
        out[c] += weight / 255.0 * (top * (1 - fy) + bottom * fy)


@njit(cache=True, nogil=True)
def pick(image, x, y, out):
    """Add to `out` (N, 3) the colours in [0, 1] of `image` (H, W, 3) uint8 at pixels (x, y), each (N,)."""
    for k in range(len(x)):
        _add_colour(image, x[k], y[k], 1.0, out[k])


@njit(cache=True, nogil=True)
def sample_photo(
    texel_face, texel_bary, faces, verts, normals, focal, centre, levels, face_level, origin, near_surface, depth,
    component, piece, view_origin, view_scale, valid, window_origin, window_scale, bias, colour, confidence, chunk,
):  # fmt: skip
    """Fill `colour` (T, T, 3) and `confidence` (T, T): what the photo shows at each texel, and how far to trust it.

    Args:
        texel_face: (T, T) face index or -1; texel_bary: (T, T, 3).
        verts, normals: (V, 3) camera space; focal, centre: (2,) of the photo.
        levels: 4 pictures (h, w, 3) uint8, each half of the one before; the first begins at photo pixel `origin`.
        face_level: (F,) which level has about one pixel a texel; fractions blend two.
        near_surface: (R, R) confidence by distance from depth edges, in the view; depth: (R, R) mm in the same.
        component: (R, R) connected piece of the mesh seen in the view; piece: (V,) that of each vertex. Depth alone
            cannot tell an eyeball from the lid that lies on it.
        valid: (S, S) confidence by the photo's masks, in the window.
        bias: mm that a texel may lie behind the depth buffer.
    """
    size = texel_face.shape[0]
    first, last = rows_of(size, chunk)
    for row in range(first, last):
        for column in range(size):
            f = texel_face[row, column]
            if f < 0:
                continue
            x = y = z = nx = ny = nz = 0.0
            for k in range(3):
                v, b = faces[f, k], texel_bary[row, column, k]
                x += b * verts[v, 0]
                y += b * verts[v, 1]
                z += b * verts[v, 2]
                nx += b * normals[v, 0]
                ny += b * normals[v, 1]
                nz += b * normals[v, 2]
            if z > -1.0:
                continue
            facing = -(nx * x + ny * y + nz * z) / math.sqrt(
                max(1e-20, (nx * nx + ny * ny + nz * nz) * (x * x + y * y + z * z))
            )
            if facing <= 0.1:
                continue
            px, py = centre[0] + focal[0] * x / -z, centre[1] - focal[1] * y / -z
            vx, vy = (px - view_origin[0]) * view_scale, (py - view_origin[1]) * view_scale
            wx, wy = (px - window_origin[0]) * window_scale, (py - window_origin[1]) * window_scale
            if wx < 0 or wy < 0 or wx > valid.shape[1] or wy > valid.shape[0]:
                continue
            trust = smoothstep((facing - 0.1) / (0.55 - 0.1))
            trust *= _bilinear(valid, wx, wy) * _bilinear(near_surface, vx, vy)
            if trust <= 0:
                continue
            x0, x1, _ = _cell(vx, depth.shape[1])
            y0, y1, _ = _cell(vy, depth.shape[0])
            own = piece[faces[f, 0]]
            if component[y0, x0] != own and component[y1, x1] != own:
                continue
            if -z > max(max(depth[y0, x0], depth[y0, x1]), max(depth[y1, x0], depth[y1, x1])) + bias:
                continue
            confidence[row, column] = trust
            level = min(face_level[f], 3.0)
            whole = min(int(level), 2)
            part = level - whole
            fine = 2.0**-whole
            sx, sy = (px - origin[0]) * fine, (py - origin[1]) * fine
            if part < 1:
                _add_colour(levels[whole], sx, sy, 1 - part, colour[row, column])
            if part > 0:
                _add_colour(levels[whole + 1], sx / 2, sy / 2, part, colour[row, column])


@njit(cache=True)
def gather_vertices(texel_face, texel_bary, faces, colour, confidence, total, weight, area):
    """Sum texels onto their vertices: colour times confidence into `total` (V, 3), confidence into `weight` (V,), and
    the share of texels itself into `area` (V,). One thread, so that the order of the sums is fixed."""
    for row in range(texel_face.shape[0]):
        for column in range(texel_face.shape[1]):
            f = texel_face[row, column]
            if f < 0:
                continue
            for k in range(3):
                v, b = faces[f, k], texel_bary[row, column, k]
                area[v] += b
                b *= confidence[row, column]
                weight[v] += b
                for c in range(3):
                    total[v, c] += b * colour[row, column, c]


@njit(cache=True, nogil=True)
def compose(texel_face, texel_bary, mirror_uv, mirrored, limit, base, detail, confidence, out, told, chunk):
    """base + own detail where the photo shows the texel, + the mirrored texel's detail where it shows that one.

    Args:
        mirror_uv: (F, 3, 2) texture coordinates of the mirrored corners; mirrored: (F,) bool, whether there are any.
        limit: (F,) what a mirrored detail stays below: gloss, furrows and light belong to one side.
        base: (T, T, 3) smooth colour; detail: (T, T, 3) photo - base, times confidence; confidence: (T, T).
        told: (T, T), filled: how much of a texel's detail there is, of its own and of the other side.
    """
    size = texel_face.shape[0]
    far = np.zeros(3)
    first, last = rows_of(size, chunk)
    for row in range(first, last):
        for column in range(size):
            f = texel_face[row, column]
            if f < 0:
                continue
            own = confidence[row, column]
            x = y = other = shown = 0.0
            if own < 1.0 and mirrored[f]:
                u = v = 0.0
                for k in range(3):
                    u += texel_bary[row, column, k] * mirror_uv[f, k, 0]
                    v += texel_bary[row, column, k] * mirror_uv[f, k, 1]
                x, y = u * size, (1.0 - v) * size
                shown = _bilinear(confidence, x, y)
                # a faint mirror image is better than none: the two meet at full strength on the ridge of the nose
                other = (1.0 - own) * min(1.0, 2.0 * shown) / shown if shown > 0.0 else 0.0
            told[row, column] = own + other * shown
            if other > 0.0:
                largest = 0.0
                for c in range(3):
                    far[c] = _bilinear(detail[:, :, c], x, y)
                    largest = max(largest, abs(far[c]))
                other /= math.sqrt(1.0 + (largest / (shown * limit[f])) ** 2)
            for c in range(3):
                out[row, column, c] = base[row, column, c] + detail[row, column, c]
                if other > 0.0:
                    out[row, column, c] += other * far[c]


def half(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> (H / 2, W / 2, 3), the mean of 2 x 2 pixels; an odd border is repeated."""
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
    image = np.ascontiguousarray(image)
    out = np.empty((image.shape[0] // 2, image.shape[1] // 2, 3), np.uint8)
    over_rows(_half, len(out), image, out)
    return out


@njit(cache=True, nogil=True)
def _half(image, out, chunk):
    first, last = rows_of(out.shape[0], chunk)
    for row in range(first, last):
        for column in range(out.shape[1]):
            for c in range(3):
                total = 2
                for dy in range(2):
                    for dx in range(2):
                        total += image[2 * row + dy, 2 * column + dx, c]
                out[row, column, c] = total // 4
