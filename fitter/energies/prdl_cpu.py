"""PRDL on the CPU: the gradient of the full anchor grid from a small part of the work, in numba.

The descriptors of a part with n points take S * S * n distances from their definition. Each statistic has a structure
that saves nearly all of them:

* min: an anchor's gradient goes to its nearest point alone. If d is the distance from the middle of a cell of anchors
  to its nearest point, and r the cell's half diagonal, no point farther than d + 2 r from the middle can be nearest to
  any anchor of that cell (triangle inequality). Lists of candidates shrink through cells of 27, 9 and 3 pixels; which
  point an anchor belongs to is exact. Near the part (within NEAR pixels of a point) every anchor is used; farther out
  the distance is smooth over 3 pixels and one anchor stands for nine.
* max: only corners of the convex hull can be farthest, and by the same inequality only those farther than d - 2 r.
  One anchor stands for nine.
* mean: smooth everywhere but at the points themselves. A cell of 9 x 9 anchors is replaced by its middle, and the
  distance to it by sqrt(d^2 + e^2), where e^2 is the cell's variance along one axis. To second order in 1 / d that is
  the mean over the cell, so the sum over anchors is kept to third order, and nothing is singular near a point.

The targets go through the same approximation: where the points agree, energy and gradient are exactly 0. Work is split
by rows of cells and parts, each with its own partial sum, added in a fixed order: the result does not depend on the
number of threads.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

FINE, CELL, BLOCK = 3, 9, 27  # pixels; each divides the next
# prange alone: turning each array expression into a parallel loop too would double the time to compile
PARALLEL = {"comprehension": False, "reduction": False, "inplace_binop": False, "setitem": False, "numpy": False,
            "stencil": False, "fusion": False, "prange": True}  # fmt: skip
# Pixels. Kinks of the distance field lie close together only around the points of a part.
NEAR = 3.0


class PrdlCpu(torch.autograd.Function):
    """(N, 2) points, (B * 8 + 1,) offset, PrdlTargets, 3 flags -> (B * 8,) energies in pixel^2."""

    @staticmethod
    def forward(ctx, points: Tensor, offset: Tensor, targets, wanted: tuple[bool, ...]) -> Tensor:
        place = points.detach().numpy()
        bounds = offset.numpy()
        size = targets.size
        descriptors = targets.descriptors.numpy().reshape(-1, 3, size, size)
        cells = targets.cell_mean.numpy()
        cells = cells.reshape(-1, *cells.shape[2:])
        active = (np.diff(bounds) > 0) & (targets.count.numpy().reshape(-1) > 0)
        finite = np.isfinite(place).all(1)
        broken = np.zeros(len(active), bool)
        if not finite.all():
            broken[np.searchsorted(bounds, np.flatnonzero(~finite), side="right") - 1] = True
        strips = -(-size // BLOCK)
        partial, partial_energy = np.zeros((strips, *place.shape), place.dtype), np.zeros((strips, len(active)))
        x, y = np.ascontiguousarray(place[:, 0]), np.ascontiguousarray(place[:, 1])
        energy, gradient = _energy(x, y, bounds, descriptors, cells, active & ~broken, *wanted, partial, partial_energy)
        energy[active & broken] = np.nan
        ctx.save_for_backward(torch.from_numpy(gradient))
        ctx.counts = offset.diff()
        return torch.from_numpy(energy).to(points.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        (gradient,) = ctx.saved_tensors
        return gradient * grad.repeat_interleave(ctx.counts)[:, None], None, None, None


@njit(parallel=PARALLEL, cache=True, fastmath=True, error_model="numpy")
def _energy(x, y, offset, descriptors, target_cells, active, use_min, use_max, use_mean, partial, partial_energy):
    """Energies (T,) and gradient (N, 2) of T parts. `partial` (strips, N, 2), `partial_energy` (strips, T) hold zeros."""
    parts, size, count, strips = len(active), descriptors.shape[2], len(x), len(partial)
    cells = (size + CELL - 1) // CELL
    residual = np.zeros((parts, cells * cells), x.dtype)
    hull = np.empty(count, np.int64)
    corners = np.zeros(parts, np.int64)
    if use_max:
        for part in prange(parts):
            if active[part]:
                low, high = offset[part], offset[part + 1]
                corners[part] = _convex_hull(x[low:high], y[low:high], hull[low:high])
    for task in prange(strips * parts):
        # a static schedule gives each thread a run of tasks: even strips first, then odd ones, balances two of them
        strip, part = _interleave(task // parts, strips), task % parts
        if active[part]:
            low, high = offset[part], offset[part + 1]
            px, py, slope = x[low:high], y[low:high], partial[strip, low:high]
            energy = 0.0
            if use_min:
                energy += _nearest(px, py, strip, size, descriptors[part, 0], slope)
            if use_max:
                energy += _farthest(px, py, hull[low : low + corners[part]], strip, size, descriptors[part, 1], slope)
            if use_mean:
                rows = range(strip * BLOCK // CELL, min((strip + 1) * BLOCK // CELL, cells))
                energy += _average(px, py, rows, size, target_cells[part], residual[part])
            partial_energy[strip, part] = energy
    scale = 1.0 / (size * size)
    energies = np.zeros(parts)
    owner = np.empty(count, np.int64)
    for part in range(parts):
        owner[offset[part] : offset[part + 1]] = part
        for strip in range(strips):
            energies[part] += partial_energy[strip, part] * scale
    middle_x, middle_y, softness = _middles(size, x)
    gradient = np.zeros((count, 2), x.dtype)
    for i in prange(count):
        part = owner[i]
        if active[part]:
            gx, gy = _soft_pull(x[i], y[i], middle_x, middle_y, softness, residual[part], use_mean)
            for strip in range(strips):
                gx += partial[strip, i, 0]
                gy += partial[strip, i, 1]
            gradient[i, 0], gradient[i, 1] = gx * scale, gy * scale
    return energies, gradient


@njit(cache=True, inline="always")
def _interleave(rank, count):
    half = (count + 1) // 2
    return 2 * rank if rank < half else 2 * (rank - half) + 1


@njit(cache=True, inline="always")
def _cell(row, column, size):
    """Middle x and y, variance of its anchors along one axis (mean of both), and number of anchors of a coarse cell."""
    width, height = min(CELL, size - column * CELL), min(CELL, size - row * CELL)
    variance = (width * width + height * height - 2) / 24.0
    return column * CELL + 0.5 * width, row * CELL + 0.5 * height, variance, width * height


@njit(cache=True, fastmath=True, error_model="numpy")
def _middles(size, like):
    """Middle x, middle y and softness of all coarse cells, row by row, in the type of `like`."""
    cells = (size + CELL - 1) // CELL
    x, y, softness = np.empty(cells**2, like.dtype), np.empty(cells**2, like.dtype), np.empty(cells**2, like.dtype)
    for cell in range(cells * cells):
        x[cell], y[cell], softness[cell], _ = _cell(cell // cells, cell % cells, size)
    return x, y, softness


@njit(cache=True, fastmath=True, error_model="numpy")
def _average(x, y, rows, size, target, residual):
    """Energy of the mean distance over rows of coarse cells; leaves each cell's share of the gradient in `residual`."""
    energy, cells = 0.0, len(target)
    for row in rows:
        for column in range(cells):
            middle_x, middle_y, softness, weight = _cell(row, column, size)
            error = _soft_mean(x, y, middle_x, middle_y, softness) - target[row, column]
            energy += weight * error * error
            residual[row * cells + column] = 2 * weight * error / len(x)
    return energy


@njit(cache=True, fastmath=True, error_model="numpy")
def _soft_mean(x, y, middle_x, middle_y, softness):
    ax, ay, soft = x.dtype.type(middle_x), x.dtype.type(middle_y), x.dtype.type(softness)
    total = x.dtype.type(0)
    for i in range(len(x)):
        dx, dy = x[i] - ax, y[i] - ay
        total += np.sqrt(dx * dx + dy * dy + soft)
    return total / len(x)


@njit(cache=True, fastmath=True, error_model="numpy")
def _soft_pull(x, y, ax, ay, softness, residual, wanted):
    gx, gy = ax.dtype.type(0), ax.dtype.type(0)
    if wanted:
        for cell in range(len(ax)):
            dx, dy = x - ax[cell], y - ay[cell]
            pull = residual[cell] / np.sqrt(dx * dx + dy * dy + softness[cell])
            gx += pull * dx
            gy += pull * dy
    return gx, gy


@njit(cache=True, fastmath=True, error_model="numpy")
def _candidates(x, y, listed, count, left, top, right, bottom, out):
    """Members of `listed` that can be nearest to an anchor of pixels [left, right) x [top, bottom).

    Returns their number (they go into `out`) and the distance of the nearest to the middle.
    """
    middle_x, middle_y = x.dtype.type(0.5 * (left + right)), x.dtype.type(0.5 * (top + bottom))
    width, height = x.dtype.type(right - left - 1), x.dtype.type(bottom - top - 1)
    least = x.dtype.type(np.inf)
    for k in range(count):
        dx, dy = x[listed[k]] - middle_x, y[listed[k]] - middle_y
        least = min(least, dx * dx + dy * dy)
    nearest = np.sqrt(least)
    # a little more than the bound, against rounding
    reach = nearest + np.sqrt(width * width + height * height) + x.dtype.type(1e-3)
    reach *= reach
    found = 0
    for k in range(count):
        i = listed[k]
        dx, dy = x[i] - middle_x, y[i] - middle_y
        out[found] = i
        found += dx * dx + dy * dy <= reach
    return found, nearest


@njit(cache=True, fastmath=True, error_model="numpy")
def _nearest(x, y, strip, size, target, slope):
    """Energy of the least distance over a strip of anchors; adds its gradient to `slope`."""
    count = len(x)
    everything = np.arange(count)
    in_block, in_cell, in_fine = (
        np.empty(count + 1, np.int64),
        np.empty(count + 1, np.int64),
        np.empty(count + 1, np.int64),
    )
    energy = 0.0
    top, bottom = strip * BLOCK, min((strip + 1) * BLOCK, size)
    for left in range(0, size, BLOCK):
        right = min(left + BLOCK, size)
        blocks, _ = _candidates(x, y, everything, count, left, top, right, bottom, in_block)
        for row in range(top, bottom, CELL):
            row_end = min(row + CELL, bottom)
            for column in range(left, right, CELL):
                column_end = min(column + CELL, right)
                cells, away = _candidates(x, y, in_block, blocks, column, row, column_end, row_end, in_cell)
                dense = away <= NEAR + 0.71 * CELL
                for v in range(row, row_end, FINE):
                    v_end = min(v + FINE, row_end)
                    for u in range(column, column_end, FINE):
                        u_end = min(u + FINE, column_end)
                        if not dense:
                            # the middle of the cell; of a cut one, an anchor beside its middle
                            area = (u_end - u) * (v_end - v)
                            energy += _pull_nearest(
                                x, y, in_cell, cells, (u + u_end) // 2, (v + v_end) // 2, area, target, slope
                            )
                            continue
                        fine, _ = _candidates(x, y, in_cell, cells, u, v, u_end, v_end, in_fine)
                        for b in range(v, v_end):
                            for a in range(u, u_end):
                                energy += _pull_nearest(x, y, in_fine, fine, a, b, 1, target, slope)
    return energy


@njit(cache=True, fastmath=True, error_model="numpy")
def _pull_nearest(x, y, listed, count, column, row, weight, target, slope):
    ax, ay = x.dtype.type(column + 0.5), x.dtype.type(row + 0.5)
    best, at = x.dtype.type(np.inf), listed[0]
    for k in range(count):
        i = listed[k]
        dx, dy = x[i] - ax, y[i] - ay
        d = dx * dx + dy * dy
        if d < best:
            best, at = d, i
    return _pull(x[at] - ax, y[at] - ay, best, weight, target[row, column], slope, at)


@njit(cache=True, fastmath=True, error_model="numpy")
def _pull(dx, dy, squared, weight, wanted, slope, at):
    """Energy of one anchor that belongs to point `at`, and its gradient."""
    distance = np.sqrt(squared)
    error = distance - wanted
    if distance > 0:
        factor = 2 * weight * error / distance
        slope[at, 0] += factor * dx
        slope[at, 1] += factor * dy
    return weight * error * error


@njit(cache=True, fastmath=True, error_model="numpy")
def _farthest(x, y, hull, strip, size, target, slope):
    """Energy of the greatest distance over a strip of anchors; adds its gradient to `slope`."""
    energy = 0.0
    kept = np.empty(len(hull) + 1, np.int64)
    for row in range(strip * BLOCK, min((strip + 1) * BLOCK, size), CELL):
        row_end = min(row + CELL, size)
        for column in range(0, size, CELL):
            column_end = min(column + CELL, size)
            middle_x, middle_y = x.dtype.type(0.5 * (column + column_end)), x.dtype.type(0.5 * (row + row_end))
            most = x.dtype.type(0)
            for i in hull:
                dx, dy = x[i] - middle_x, y[i] - middle_y
                most = max(most, dx * dx + dy * dy)
            width, height = x.dtype.type(column_end - column - 1), x.dtype.type(row_end - row - 1)
            reach = max(np.sqrt(most) - np.sqrt(width * width + height * height) - x.dtype.type(1e-3), x.dtype.type(0))
            count = 0
            for i in hull:
                dx, dy = x[i] - middle_x, y[i] - middle_y
                kept[count] = i
                count += dx * dx + dy * dy >= reach * reach
            for v in range(row, row_end, FINE):
                v_end = min(v + FINE, row_end)
                for u in range(column, column_end, FINE):
                    u_end = min(u + FINE, column_end)
                    a, b = (u + u_end) // 2, (v + v_end) // 2
                    ax, ay = x.dtype.type(a + 0.5), x.dtype.type(b + 0.5)
                    best, at = x.dtype.type(-1), kept[0]
                    for k in range(count):
                        i = kept[k]
                        dx, dy = x[i] - ax, y[i] - ay
                        d = dx * dx + dy * dy
                        if d > best:
                            best, at = d, i
                    weight = (u_end - u) * (v_end - v)
                    energy += _pull(x[at] - ax, y[at] - ay, best, weight, target[b, a], slope, at)
    return energy


@njit(cache=True)
def _convex_hull(x, y, out):
    """Indices of the corners of the convex hull into `out`; returns their number (gift wrapping: corners are few)."""
    first = 0
    for i in range(1, len(x)):
        if x[i] < x[first] or (x[i] == x[first] and y[i] < y[first]):
            first = i
    corner, size = first, 0
    while size < len(x):
        out[size] = corner
        size += 1
        cx, cy = np.float64(x[corner]), np.float64(y[corner])
        chosen, ux, uy = -1, 0.0, 0.0
        for i in range(len(x)):
            vx, vy = x[i] - cx, y[i] - cy
            turn = ux * vy - uy * vx
            # the outermost direction; of points in line the farther one; a copy of the corner has no direction
            if turn < 0 or (turn == 0 and vx * vx + vy * vy > ux * ux + uy * uy):
                chosen, ux, uy = i, vx, vy
        if chosen < 0 or (x[chosen] == x[first] and y[chosen] == y[first]):
            break
        corner = chosen
    return size


# --- targets ----------------------------------------------------------------------------------------------------------


def mask_points(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(T, S, S) bool -> (N,) float32 x and y of the pixel centres, mask by mask, and (T + 1,) offsets."""
    part, row, column = masks.nonzero()
    offset = np.concatenate([[0], np.cumsum(np.bincount(part, minlength=len(masks)))])
    return column.astype(np.float32) + np.float32(0.5), row.astype(np.float32) + np.float32(0.5), offset


@njit(parallel=PARALLEL, cache=True, fastmath=True, error_model="numpy")
def cell_means(x, y, offset, size):
    """(T, G, G) mean soft distance from the middle of each coarse cell to each of T point sets; 0 for an empty one."""
    parts, cells = len(offset) - 1, (size + CELL - 1) // CELL
    out = np.zeros((parts, cells, cells), np.float32)
    for task in prange(cells * parts):
        row, part = task // parts, task % parts
        low, high = offset[part], offset[part + 1]
        if high > low:
            for column in range(cells):
                middle_x, middle_y, softness, _ = _cell(row, column, size)
                out[part, row, column] = _soft_mean(x[low:high], y[low:high], middle_x, middle_y, softness)
    return out


@njit(parallel=PARALLEL, cache=True)
def mask_extremes(masks):
    """(T, S, S) bool -> two (T, S, S) float32: least and greatest distance from each pixel centre to the mask's.

    The least is an exact Euclidean distance transform (Felzenszwalb and Huttenlocher 2012: lower envelope of parabolas,
    columns, then rows); the greatest goes over the corners of the mask's convex hull.
    """
    parts, height, width = masks.shape
    least, greatest = np.zeros(masks.shape, np.float32), np.zeros(masks.shape, np.float32)
    for part in prange(parts):
        _extremes(masks[part], least[part], greatest[part])
    return least, greatest


@njit(cache=True)
def _extremes(mask, least, greatest):
    height, width = mask.shape
    squared = np.empty((height, width))
    # the first and the last pixel of each row contain all corners of the hull
    x, y, ends = np.empty(2 * height), np.empty(2 * height), 0
    for row in range(height):
        first, last = -1, -1
        for column in range(width):
            if mask[row, column]:
                first = column if first < 0 else first
                last = column
        if first >= 0:
            x[ends], x[ends + 1], y[ends], y[ends + 1] = first, last, row, row
            ends += 2
    if ends == 0:
        return
    for column in range(width):
        last = -10.0 * height
        for row in range(height):
            last = row if mask[row, column] else last
            squared[row, column] = row - last
        last = 11.0 * height
        for row in range(height - 1, -1, -1):
            last = row if mask[row, column] else last
            squared[row, column] = min(squared[row, column], last - row) ** 2
    hull = np.empty(ends, np.int64)
    corners = _convex_hull(x[:ends], y[:ends], hull)
    for row in range(height):
        _envelope(squared[row], least[row])
        for column in range(width):
            most = 0.0
            for k in range(corners):
                dx, dy = x[hull[k]] - column, y[hull[k]] - row
                most = max(most, dx * dx + dy * dy)
            greatest[row, column] = np.sqrt(most)


@njit(cache=True)
def _envelope(height, out):
    """Square root of the least (i - j)^2 + height[j] over all j into out[i]."""
    count = len(height)
    vertex, start, found = np.zeros(count, np.int64), np.empty(count + 1), 0
    start[0], start[1] = -np.inf, np.inf
    for j in range(1, count):
        while True:
            k = vertex[found]
            cross = ((height[j] + j * j) - (height[k] + k * k)) / (2.0 * (j - k))
            if cross > start[found]:
                break
            found -= 1
        found += 1
        vertex[found], start[found], start[found + 1] = j, cross, np.inf
    k = 0
    for i in range(count):
        while start[k + 1] < i:
            k += 1
        out[i] = np.sqrt((i - vertex[k]) ** 2 + height[vertex[k]])
