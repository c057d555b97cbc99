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

The targets go through the same approximation: where the points agree, energy and gradient are exactly 0. Each strip of
anchors of each part has its own partial sum, added in a fixed order: the result does not depend on the threads.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import njit
from torch import Tensor

from fitter.energies.convex_hull import hull_corners
from fitter.energies.threads import in_parallel

FINE, CELL, BLOCK = 3, 9, 27  # pixels; each divides the next
# Pixels. Kinks of the distance field lie close together only around the points of a part.
NEAR = 3.0


class PrdlCpu(torch.autograd.Function):
    """(N, 2) points, (B * 8 + 1,) offset, PrdlTargets, 3 flags -> (B * 8,) energies in pixel^2."""

    @staticmethod
    def forward(ctx, points: Tensor, offset: Tensor, targets, wanted: tuple[bool, ...]) -> Tensor:
        size = targets.size
        energy, gradient = energy_and_gradient(
            points.detach().numpy(),
            offset.numpy(),
            targets.descriptors.numpy().reshape(-1, 3, size, size),
            targets.cell_mean.numpy().reshape(-1, *targets.cell_mean.shape[2:]),
            targets.count.numpy().reshape(-1) > 0,
            np.array(wanted),
        )
        ctx.save_for_backward(torch.from_numpy(gradient))
        ctx.counts = offset.diff()
        return torch.from_numpy(energy).to(points.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        (gradient,) = ctx.saved_tensors
        return gradient * grad.repeat_interleave(ctx.counts)[:, None], None, None, None


def energy_and_gradient(
    points: np.ndarray,
    offset: np.ndarray,
    descriptors: np.ndarray,
    cell_mean: np.ndarray,
    present: np.ndarray,
    wanted: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Energies (T,) in pixel^2 and their gradients (N, 2) in pixels, of T parts.

    Args:
        points: (N, 2) float32 or float64; part t owns offset[t] to offset[t + 1].
        offset: (T + 1,) int64.
        descriptors: (T, 3, S, S) float32; cell_mean: (T, G, G) float32, of `cell_means`.
        present: (T,) bool: the target is not empty.
        wanted: (3,) bool: least, greatest, mean.
    """
    size, parts, strips = descriptors.shape[2], len(present), -(-descriptors.shape[2] // BLOCK)
    x, y = np.ascontiguousarray(points[:, 0]), np.ascontiguousarray(points[:, 1])
    counts = np.diff(offset)
    owner = np.repeat(np.arange(parts), counts)
    active = present & (counts > 0)
    broken = np.zeros(parts, bool)
    finite = np.isfinite(x) & np.isfinite(y)
    if not finite.all():
        broken[owner[~finite]] = True
        broken &= active
        active &= ~broken
    hull, corners = np.empty(len(x), np.int64), np.zeros(parts, np.int64)
    if wanted[1]:
        in_parallel(_hulls, parts, x, y, offset, active, hull, corners)
    partial = np.zeros((strips, *points.shape), x.dtype)
    residual = np.zeros((parts, cell_mean.shape[1] ** 2), x.dtype)
    energy = np.zeros((strips, parts))
    in_parallel(
        _strips, strips * parts, x, y, offset, descriptors, cell_mean, active, wanted, hull, corners, partial, residual,
        energy,
    )  # fmt: skip
    gradient = np.zeros(points.shape, x.dtype)
    in_parallel(_collect, len(x), x, y, owner, size, residual, partial, gradient)
    total = energy.sum(0) / size**2
    total[broken] = np.nan
    return total, gradient


@njit(cache=True, nogil=True)
def _hulls(first, last, x, y, offset, active, hull, corners):
    for part in range(first, last):
        if active[part]:
            low, high = offset[part], offset[part + 1]
            corners[part] = hull_corners(x[low:high], y[low:high], hull[low:high])


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _strips(
    first, last, x, y, offset, descriptors, cell_mean, active, wanted, hull, corners, partial, residual, energy
):  # fmt: skip
    strips, parts = energy.shape
    half = (strips + 1) // 2
    for task in range(first, last):
        # each thread gets a run of tasks: even strips first, then odd ones, gives two threads the same work
        rank, part = task // parts, task % parts
        strip = 2 * rank if rank < half else 2 * (rank - half) + 1
        if active[part]:
            low, high, size = offset[part], offset[part + 1], descriptors.shape[2]
            px, py, slope = x[low:high], y[low:high], partial[strip, low:high]
            if wanted[0]:
                energy[strip, part] += _nearest(px, py, strip, size, descriptors[part, 0], slope)
            if wanted[1]:
                corner = hull[low : low + corners[part]]
                energy[strip, part] += _farthest(px, py, corner, strip, size, descriptors[part, 1], slope)
            if wanted[2]:
                energy[strip, part] += _average(px, py, strip, size, cell_mean[part], residual[part])


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _collect(first, last, x, y, owner, size, residual, partial, gradient):
    """The mean's gradient, and the sum over strips of the others'."""
    cells, kind = (size + CELL - 1) // CELL, x.dtype.type
    ax, ay, softness = np.empty(cells**2, x.dtype), np.empty(cells**2, x.dtype), np.empty(cells**2, x.dtype)
    for cell in range(cells * cells):
        ax[cell], ay[cell], softness[cell], _ = _cell(cell // cells, cell % cells, size)
    scale = kind(1.0 / (size * size))
    for i in range(first, last):
        gx, gy, pull = kind(0), kind(0), residual[owner[i]]
        for cell in range(cells * cells):
            dx, dy = x[i] - ax[cell], y[i] - ay[cell]
            factor = pull[cell] / np.sqrt(dx * dx + dy * dy + softness[cell])
            gx += factor * dx
            gy += factor * dy
        for strip in range(len(partial)):
            gx += partial[strip, i, 0]
            gy += partial[strip, i, 1]
        gradient[i, 0], gradient[i, 1] = gx * scale, gy * scale


@njit(cache=True, nogil=True)
def _cell(row, column, size):
    """Middle x and y, variance of its anchors along one axis (mean of both), and number of anchors of a coarse cell."""
    width, height = min(CELL, size - column * CELL), min(CELL, size - row * CELL)
    variance = (width * width + height * height - 2) / 24.0
    return column * CELL + 0.5 * width, row * CELL + 0.5 * height, variance, width * height


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _soft_mean(x, y, middle_x, middle_y, softness):
    ax, ay, soft = x.dtype.type(middle_x), x.dtype.type(middle_y), x.dtype.type(softness)
    total = x.dtype.type(0)
    for i in range(len(x)):
        dx, dy = x[i] - ax, y[i] - ay
        total += np.sqrt(dx * dx + dy * dy + soft)
    return total / len(x)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _average(x, y, strip, size, target, residual):
    """Energy of the mean distance over a strip; leaves each cell's share of the gradient in `residual`."""
    energy, cells = 0.0, len(target)
    for row in range(strip * BLOCK // CELL, min((strip + 1) * BLOCK // CELL, cells)):
        for column in range(cells):
            middle_x, middle_y, softness, weight = _cell(row, column, size)
            error = _soft_mean(x, y, middle_x, middle_y, softness) - target[row, column]
            energy += weight * error * error
            residual[row * cells + column] = 2 * weight * error / len(x)
    return energy


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _candidates(x, y, listed, count, left, top, right, bottom, out):
    """Which of the first `count` listed points can be nearest to an anchor of pixels [left, right) x [top, bottom).

    Returns their number (they go into `out`) and the distance of the nearest to the middle.
    """
    kind = x.dtype.type
    middle_x, middle_y = kind(0.5 * (left + right)), kind(0.5 * (top + bottom))
    width, height = kind(right - left - 1), kind(bottom - top - 1)
    least = kind(np.inf)
    for k in range(count):
        dx, dy = x[listed[k]] - middle_x, y[listed[k]] - middle_y
        least = min(least, dx * dx + dy * dy)
    nearest = np.sqrt(least)
    # a little more than the bound, against rounding
    reach = nearest + np.sqrt(width * width + height * height) + kind(1e-3)
    reach *= reach
    found = 0
    for k in range(count):
        i = listed[k]
        dx, dy = x[i] - middle_x, y[i] - middle_y
        out[found] = i
        found += dx * dx + dy * dy <= reach
    return found, nearest


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _nearest(x, y, strip, size, target, slope):
    """Energy of the least distance over a strip of anchors; adds its gradient to `slope`."""
    count, energy = len(x), 0.0
    everything, in_block = np.arange(count), np.empty(count + 1, np.int64)
    in_cell, in_fine = np.empty(count + 1, np.int64), np.empty(count + 1, np.int64)
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
                        fine, _ = _candidates(x, y, in_cell, cells, u, v, u_end, v_end, in_fine)
                        if dense:
                            energy += _pull_nearest(x, y, in_fine, fine, u, u_end, v, v_end, 1, target, slope)
                        else:
                            # the middle anchor of three; of two, the one behind the middle
                            a, b, weight = (u + u_end) // 2, (v + v_end) // 2, (u_end - u) * (v_end - v)
                            energy += _pull_nearest(x, y, in_fine, fine, a, a + 1, b, b + 1, weight, target, slope)
    return energy


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _pull_nearest(x, y, listed, count, left, right, top, bottom, weight, target, slope):
    energy, kind = 0.0, x.dtype.type
    for row in range(top, bottom):
        for column in range(left, right):
            ax, ay = kind(column + 0.5), kind(row + 0.5)
            best, at = kind(np.inf), listed[0]
            for k in range(count):
                i = listed[k]
                dx, dy = x[i] - ax, y[i] - ay
                d = dx * dx + dy * dy
                if d < best:
                    best, at = d, i
            energy += _pull(x[at] - ax, y[at] - ay, weight, target[row, column], slope, at)
    return energy


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _pull(dx, dy, weight, wanted, slope, at):
    """Energy of an anchor, standing for `weight` of them, whose point is `at`; adds its gradient to `slope`."""
    distance = np.sqrt(dx * dx + dy * dy)
    error = distance - wanted
    if distance > 0:  # distance 0 has no direction; its subgradient is taken as 0, as torch.cdist does
        factor = 2 * weight * error / distance
        slope[at, 0] += factor * dx
        slope[at, 1] += factor * dy
    return weight * error * error


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _farthest(x, y, hull, strip, size, target, slope):
    """Energy of the greatest distance over a strip of anchors; adds its gradient to `slope`."""
    energy, kind = 0.0, x.dtype.type
    kept = np.empty(len(hull) + 1, np.int64)
    for row in range(strip * BLOCK, min((strip + 1) * BLOCK, size), CELL):
        row_end = min(row + CELL, size)
        for column in range(0, size, CELL):
            column_end = min(column + CELL, size)
            middle_x, middle_y = kind(0.5 * (column + column_end)), kind(0.5 * (row + row_end))
            width, height = kind(column_end - column - 1), kind(row_end - row - 1)
            most = kind(0)
            for i in hull:
                dx, dy = x[i] - middle_x, y[i] - middle_y
                most = max(most, dx * dx + dy * dy)
            reach = max(np.sqrt(most) - np.sqrt(width * width + height * height) - kind(1e-3), kind(0))
            reach *= reach
            count = 0
            for i in hull:
                dx, dy = x[i] - middle_x, y[i] - middle_y
                kept[count] = i
                count += dx * dx + dy * dy >= reach
            for v in range(row, row_end, FINE):
                v_end = min(v + FINE, row_end)
                for u in range(column, column_end, FINE):
                    u_end = min(u + FINE, column_end)
                    a, b, weight = (u + u_end) // 2, (v + v_end) // 2, (u_end - u) * (v_end - v)
                    ax, ay = kind(a + 0.5), kind(b + 0.5)
                    best, at = kind(-1), kept[0]
                    for k in range(count):
                        i = kept[k]
                        dx, dy = x[i] - ax, y[i] - ay
                        d = dx * dx + dy * dy
                        if d > best:
                            best, at = d, i
                    energy += _pull(x[at] - ax, y[at] - ay, weight, target[b, a], slope, at)
    return energy


def cell_means(x: np.ndarray, y: np.ndarray, offset: np.ndarray, size: int) -> np.ndarray:
    """(T, G, G) float32 mean soft distance from the middle of each coarse cell to T point sets; 0 for an empty one."""
    parts, cells = len(offset) - 1, -(-size // CELL)
    out = np.zeros((parts, cells, cells), np.float32)
    in_parallel(_cell_means, cells * parts, x, y, offset, size, out)
    return out


@njit(cache=True, nogil=True)
def _cell_means(first, last, x, y, offset, size, out):
    parts, cells = out.shape[:2]
    for task in range(first, last):
        row, part = task // parts, task % parts
        low, high = offset[part], offset[part + 1]
        if high > low:
            for column in range(cells):
                middle_x, middle_y, softness, _ = _cell(row, column, size)
                out[part, row, column] = _soft_mean(x[low:high], y[low:high], middle_x, middle_y, softness)
