"""numba kernels of the CPU backend: silhouette antialiasing (Laine et al. 2020, sec. 3.6) and its gradient.

Between the centres of two neighbouring pixels that see different faces, the outline of the nearer surface crosses at
distance t (in pixels) from the nearer pixel's centre. Where t < 1/2 the outline leaves a part of the nearer pixel
uncovered, which takes 1/2 - t of the other's colour; where t > 1/2 the other pixel takes t - 1/2 of the nearer's. Edges
that run more across the pair than along it are left to the pairs of the other direction, so none counts twice.

An edge is part of the outline when it has one face, or when both faces lie on the same side of it on the screen.
nvdiffrast looks for it among the three edges of the face the nearer pixel sees. Where faces are as small as pixels that
misses most of the outline, since the faces at the rim are slivers that no centre hits; so this walks from face to face
along the line between the centres until it meets the outline. Where the first face has the outline, both agree.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..compute.chunks import span

CHUNKS = 4
WALK = 64  # faces between two neighbouring pixel centres; more means a mesh far finer than the picture


def edge_neighbours(faces: np.ndarray) -> np.ndarray:
    """(F, 3) int32 -> (F, 3) int32: the face across the edge opposite each corner, -1 at a boundary.

    Where more than two faces share an edge they are paired in the order of their index.
    """
    corners = faces[:, [1, 2, 2, 0, 0, 1]].reshape(-1, 2).astype(np.int64)
    low, high = corners.min(1), corners.max(1)
    key = low * (int(faces.max(initial=0)) + 1) + high
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    slots = np.arange(len(key))
    first = np.searchsorted(ordered, ordered)  # where each run of equal edges starts
    rank = slots - first
    partner = slots + np.where(rank % 2 == 0, 1, -1)
    partner[partner >= len(key)] = 0
    paired = (ordered[partner] == ordered) & (partner != slots) if len(key) else np.zeros(0, bool)
    across = np.full(len(key), -1, np.int32)
    across[order[paired]] = order[partner[paired]] // 3
    return across.reshape(-1, 3)


def edge_senses(faces: np.ndarray, across: np.ndarray) -> np.ndarray:
    """(F, 3) int8: 1 where a face and its neighbour of `edge_neighbours` run along their edge in the same direction,
    -1 where in opposite ones (as they do where both wind alike), 0 at a boundary.

    Args:
        faces: (F, 3) vertex indices; across: (F, 3) of `edge_neighbours`.
    """
    start, stop = np.roll(faces, -1, 1), np.roll(faces, -2, 1)  # of the edge opposite each corner
    other = faces[across]  # (F, 3, 3); face -1 is some face
    same = ((other == start[..., None]) & (np.roll(other, -1, 2) == stop[..., None])).any(2)
    return np.where(across < 0, 0, np.where(same, 1, -1)).astype(np.int8)


def unique_edges(faces: np.ndarray, across: np.ndarray) -> np.ndarray:
    """(E, 4) int32, each edge once: its vertices, its face and the corner of that face opposite to it.

    Args:
        faces: (F, 3) vertex indices; across: (F, 3) of `edge_neighbours`.
    """
    face, corner = np.nonzero(across <= np.arange(len(faces))[:, None])
    ends = faces[face, (corner + 1) % 3], faces[face, (corner + 2) % 3]
    return np.stack([*ends, face, corner], 1).astype(np.int32)


@njit(cache=True, nogil=True)
def _is_outline(area, across, sense, f, corner):
    """Whether the edge opposite `corner` of face f is part of an outline. Faces behind the camera (NaN) have none."""
    other = across[f, corner]
    if other < 0:
        return area[f] == area[f]
    return area[f] * area[other] * sense[f, corner] >= 0.0


@njit(cache=True, nogil=True)
def mark(screens, areas, edges, across, sense, all_marks, chunk):
    """Pairs that an outline crosses, seen or hidden: `all_marks` (B, S, S, 2) bool, False on entry. B * CHUNKS chunks.

    Chunks may mark the same pair; all write the same value.
    """
    b, first, last = span(edges.shape[0], CHUNKS, chunk)
    screen, area, marks = screens[b], areas[b], all_marks[b]
    size = marks.shape[0]
    for e in range(first, last):
        if not _is_outline(area, across, sense, edges[e, 2], edges[e, 3]):
            continue
        p, q = edges[e, 0], edges[e, 1]
        dx, dy = screen[q, 0] - screen[p, 0], screen[q, 1] - screen[p, 1]
        along = 1 if abs(dy) > abs(dx) else 0  # the axis the edge runs along; pairs lie on the other
        low, high = min(screen[p, along], screen[q, along]), max(screen[p, along], screen[q, along])
        if not (high > 0.0 and low < size):
            continue
        slope = dx / dy if along == 1 else (dy / dx if dx != 0.0 else 0.0)
        start, stop = int(max(np.ceil(low - 0.5), 0.0)), int(min(np.floor(high - 0.5), size - 1.0))
        for line in range(start, stop + 1):
            crossing = screen[p, 1 - along] + slope * (line + 0.5 - screen[p, along]) - 0.5
            if 0.0 <= crossing < size - 1:
                at = int(crossing)
                if along == 1:
                    marks[line, at, 0] = True  # this pixel and the one to its right
                else:
                    marks[at, line, 1] = True  # this pixel and the one below


@njit(cache=True, nogil=True)
def _walk(screen, area, faces, across, sense, f, axis, line, centre, direction, steps):
    """From a pixel centre in face f along `axis` to the outline: distance t and the edge's vertices, or t < 0."""
    along = 1 - axis
    entered = -1
    for _ in range(steps):
        corner, t = -1, -1.0
        if area[f] != area[f]:
            return -1.0, 0, 0
        for c in range(3):
            p, q = faces[f, (c + 1) % 3], faces[f, (c + 2) % 3]
            if (screen[p, along] <= line) == (screen[q, along] <= line) or (entered >= 0 and across[f, c] == entered):
                continue
            s = (line - screen[p, along]) / (screen[q, along] - screen[p, along])
            here = (screen[p, axis] + s * (screen[q, axis] - screen[p, axis]) - centre) * direction
            if corner < 0 or here > t:
                corner, t = c, here
        if corner < 0 or t > 1.0:
            return -1.0, 0, 0
        if _is_outline(area, across, sense, f, corner):
            p, q = faces[f, (corner + 1) % 3], faces[f, (corner + 2) % 3]
            if abs(screen[q, along] - screen[p, along]) <= abs(screen[q, axis] - screen[p, axis]):
                return -1.0, 0, 0
            return max(t, 0.0), p, q
        entered, f = f, across[f, corner]
        if f < 0:
            return -1.0, 0, 0
    return -1.0, 0, 0


@njit(cache=True, nogil=True)
def find(screens, areas, faces, across, sense, rasts, marked, bounds, steps, all_pairs, all_share, found, b):
    """Pairs to blend, of one batch item.

    Args:
        marked: (M,) where the marks of all items are set, as flat indices; item b's are bounds[b] to bounds[b + 1].
        all_pairs: (M, 6) receiver, donor, edge p, edge q, sign, axis; all_share: (M,); item b's from bounds[b] on.
        found: (B,) number of pairs.
    """
    screen, area, rast = screens[b], areas[b], rasts[b]
    pairs, share = all_pairs[bounds[b] : bounds[b + 1]], all_share[bounds[b] : bounds[b + 1]]
    size = rast.shape[0]
    number = 0
    for m in range(bounds[b], bounds[b + 1]):
        axis, pixel = marked[m] % 2, marked[m] // 2 - b * size * size
        row, column = pixel // size, pixel % size
        row2, column2 = row + axis, column + 1 - axis
        f, g = np.int64(rast[row, column, 3]) - 1, np.int64(rast[row2, column2, 3]) - 1
        if f == g:
            continue
        here, there = row * size + column, row2 * size + column2
        first_is_near = g < 0 or (f >= 0 and rast[row, column, 2] < rast[row2, column2, 2])
        # axis 0: a horizontal pair, crossed by upright edges
        line = (column if axis == 1 else row) + 0.5
        centre = (row if axis == 1 else column) + 0.5
        near, direction = f, 1.0
        if not first_is_near:
            near, centre, direction = g, centre + 1.0, -1.0
            here, there = there, here
        t, p, q = _walk(screen, area, faces, across, sense, near, axis, line, centre, direction, steps)
        if t < 0.0:
            continue
        # receiver, donor, edge, and how the share grows as the crossing moves right or down
        outward = 1 if first_is_near else -1
        if t < 0.5:
            pairs[number, 0], pairs[number, 1], pairs[number, 4] = here, there, -outward
            share[number] = 0.5 - t
        else:
            pairs[number, 0], pairs[number, 1], pairs[number, 4] = there, here, outward
            share[number] = t - 0.5
        pairs[number, 2], pairs[number, 3], pairs[number, 5] = p, q, axis
        number += 1
    found[b] = number


@njit(cache=True, nogil=True)
def blend(color, pairs, share, bounds, found, out):
    """`out` (B, S * S, C), a copy of `color` on entry, takes its shares of its neighbours' colours."""
    for b in range(color.shape[0]):
        for n in range(bounds[b], bounds[b] + found[b]):
            to, source = pairs[n, 0], pairs[n, 1]
            for c in range(color.shape[2]):
                out[b, to, c] += share[n] * (color[b, source, c] - color[b, to, c])


@njit(cache=True, nogil=True)
def blend_backward(color, clip, screen, pairs, share, bounds, found, size, grad, to_color, to_clip):
    """`to_color` is a copy of `grad` (B, S * S, C) on entry, `to_clip` (B, V, 4) zero; both are added to."""
    half = 0.5 * size
    edge = np.empty(2, np.int64)
    for b in range(color.shape[0]):
        for n in range(bounds[b], bounds[b] + found[b]):
            to, source = pairs[n, 0], pairs[n, 1]
            push = 0.0
            for c in range(color.shape[2]):
                g = grad[b, to, c]
                to_color[b, source, c] += share[n] * g
                to_color[b, to, c] -= share[n] * g
                push += g * (color[b, source, c] - color[b, to, c])
            push *= pairs[n, 4]
            if push == 0.0:
                continue
            axis = pairs[n, 5]
            along = 1 - axis
            edge[0], edge[1] = pairs[n, 2], pairs[n, 3]
            line = (to % size if axis == 1 else to // size) + 0.5
            p, q = edge[0], edge[1]
            run = screen[b, q, along] - screen[b, p, along]
            s = (line - screen[b, p, along]) / run
            slope = (screen[b, q, axis] - screen[b, p, axis]) / run
            for end in range(2):
                v = edge[end]
                weight = push * (s if end == 1 else 1.0 - s)
                gx, gy = (weight, -weight * slope) if axis == 0 else (-weight * slope, weight)
                # pixel x = (x / w + 1) size / 2, pixel y = (1 - y / w) size / 2
                x, y, w = np.float64(clip[b, v, 0]), np.float64(clip[b, v, 1]), np.float64(clip[b, v, 3])
                to_clip[b, v, 0] += gx * half / w
                to_clip[b, v, 1] -= gy * half / w
                to_clip[b, v, 3] += (gy * y - gx * x) * half / (w * w)
