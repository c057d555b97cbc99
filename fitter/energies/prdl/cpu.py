"""PRDL on the CPU: the gradient of the full anchor grid from a small part of the work, in numba.

The descriptors of a part with n points take S * S * n distances from their definition. Each statistic has a structure
that saves nearly all of them:

* min and max: an anchor's gradient goes to its nearest or farthest point alone. Most points cannot be that for any
  anchor of a cell: all their bisectors with the point extreme for its middle miss the cell. Lists of candidates shrink
  through cells of 27, 9 and 3 pixels, starting for max with the corners of the convex hull. Which point an anchor
  belongs to is exact. For min, near the part (within NEAR pixels of a point) every anchor is used; elsewhere the
  distance is smooth over 3 pixels and one anchor stands for nine, or for a cell of 81 that has one candidate only.
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

from ...compute.threads import run_chunks
from ...geometry.convex_hull import hull_corners
from .contract import PrdlTargets

FINE, CELL, BLOCK = 3, 9, 27  # pixels; each divides the next
# Pixels. Kinks of the distance field lie close together only around the points of a part.
NEAR = 3.0
# Pixels. From here on the distance to a single point is smooth over a whole cell.
FAR = 2.0 * CELL
NEVER = 1e9  # pixels; the kernels' arithmetic knows no infinity
CHUNKS = 16  # shares of the points, claimed by the threads


class PrdlCpu(torch.autograd.Function):
    """(N, 2) points, (B * 8 + 1,) offset, PrdlTargets, 3 flags, pixels -> (B * 8,) energies in pixel^2."""

    @staticmethod
    def forward(
        ctx, points: Tensor, offset: Tensor, targets: PrdlTargets, wanted: tuple[bool, ...], huber: float = np.inf
    ) -> Tensor:
        """Energies, and their gradient for `backward` in the same pass.

        Args:
            points: (N, 2) window pixels; offset: (B * 8 + 1,) as in PrdlSelection.
            targets: PrdlTargets of the B faces.
            wanted: least, greatest, mean (STATISTICS). huber: pixels, as in facefit.energies.prdl.prdl.prdl_energy.
        Returns:
            (B * 8,) pixel^2; 0 for a part without points or target.
        """
        size = targets.size
        energy, gradient = energy_and_gradient(
            points.detach().numpy(),
            offset.numpy(),
            targets.descriptors.numpy().reshape(-1, 3, size, size),
            targets.cell_mean.numpy().reshape(-1, *targets.cell_mean.shape[2:]),
            targets.count.numpy().reshape(-1) > 0,
            np.array(wanted),
            huber,
        )
        ctx.save_for_backward(torch.from_numpy(gradient))
        ctx.counts = offset.diff()
        return torch.from_numpy(energy).to(points.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        """(B * 8,) gradient of the energies -> (N, 2) that of the points, per pixel."""
        (gradient,) = ctx.saved_tensors
        return gradient * grad.repeat_interleave(ctx.counts)[:, None], None, None, None, None


def energy_and_gradient(
    points: np.ndarray,
    offset: np.ndarray,
    descriptors: np.ndarray,
    cell_mean: np.ndarray,
    present: np.ndarray,
    wanted: np.ndarray,
    huber: float = np.inf,
) -> tuple[np.ndarray, np.ndarray]:
    """Energies (T,) in pixel^2 and their gradients (N, 2) in pixels, of T parts.

    Args:
        points: (N, 2) float32 or float64 window pixels; part t owns offset[t] to offset[t + 1].
        offset: (T + 1,) int64.
        descriptors: (T, 3, S, S) float32 pixels; cell_mean: (T, G, G) float32 pixels, of `cell_means`.
        present: (T,) bool: the target is not empty.
        wanted: (3,) bool: least, greatest, mean.
        huber: pixels, as in facefit.energies.prdl.prdl.prdl_energy.
    """
    limit = points.dtype.type(min(huber, NEVER))
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
        run_chunks(_hulls, parts, x, y, offset, active, hull, corners)
    partial = np.zeros((strips, *points.shape), x.dtype)
    residual = np.zeros((parts, cell_mean.shape[1] ** 2), x.dtype)
    energy = np.zeros((strips, parts))
    run_chunks(
        _strips, strips, x, y, offset, descriptors, cell_mean, active, wanted, hull, corners, partial, residual,
        energy, limit,
    )  # fmt: skip
    gradient = np.zeros(points.shape, x.dtype)
    run_chunks(_collect, CHUNKS, x, y, owner, size, residual, partial, gradient)
    total = energy.sum(0) / size**2
    total[broken] = np.nan
    return total, gradient


@njit(cache=True, nogil=True)
def _hulls(x, y, offset, active, hull, corners, part):
    if active[part]:
        low, high = offset[part], offset[part + 1]
        corners[part] = hull_corners(x[low:high], y[low:high], hull[low:high])


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _strips(
    x, y, offset, descriptors, cell_mean, active, wanted, hull, corners, partial, residual, energy, limit, strip
):  # fmt: skip
    """All parts' energies over one strip of anchors, and what they give to the gradient."""
    size, kind = descriptors.shape[2], x.dtype.type
    every = np.empty(len(x), np.int64)
    for i in range(len(x)):
        every[i] = i
    for part in range(len(active)):
        if active[part]:
            low, high = offset[part], offset[part + 1]
            px, py, slope = x[low:high], y[low:high], partial[strip, low:high]
            for which in range(2):  # a sign from the loop, not a literal one: that would compile everything twice
                if wanted[which]:
                    at = every[: high - low] if which == 0 else hull[low : low + corners[part]]
                    sign = kind(1 - 2 * which)
                    target = descriptors[part, which]
                    energy[strip, part] += _extreme(sign, px[at], py[at], at, strip, size, target, slope, limit)
            if wanted[2]:
                energy[strip, part] += _average(px, py, strip, size, cell_mean[part], residual[part], limit)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _collect(x, y, owner, size, residual, partial, gradient, chunk):
    """The mean's gradient, and the sum over strips of the others', of one share of the points."""
    cells, kind = (size + CELL - 1) // CELL, x.dtype.type
    ax, ay, softness = np.empty(cells**2, x.dtype), np.empty(cells**2, x.dtype), np.empty(cells**2, x.dtype)
    for cell in range(cells * cells):
        ax[cell], ay[cell], softness[cell], _ = _cell(cell // cells, cell % cells, size)
    scale = kind(1.0 / (size * size))
    for i in range(len(x) * chunk // CHUNKS, len(x) * (chunk + 1) // CHUNKS):
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
def _average(x, y, strip, size, target, residual, limit):
    """Energy of the mean distance over a strip; leaves each cell's share of the gradient in `residual`."""
    energy, cells = 0.0, len(target)
    for row in range(strip * BLOCK // CELL, min((strip + 1) * BLOCK // CELL, cells)):
        for column in range(cells):
            middle_x, middle_y, softness, weight = _cell(row, column, size)
            error = _soft_mean(x, y, middle_x, middle_y, softness) - target[row, column]
            inner = min(max(error, -limit), limit)
            energy += weight * inner * (2 * error - inner)
            residual[row * cells + column] = 2 * weight * inner / len(x)
    return energy


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _extreme(sign, x, y, index, strip, size, target, slope, limit):
    """Energy of the least (sign 1.0) or greatest (sign -1.0) distance of a strip; adds its gradient to slope[index]."""
    count, energy = len(x), 0.0
    block, block_at = np.empty((2, count + 1), x.dtype), np.empty(count + 1, np.int64)
    cell, cell_at = np.empty((2, count + 1), x.dtype), np.empty(count + 1, np.int64)
    fine, fine_at = np.empty((2, count + 1), x.dtype), np.empty(count + 1, np.int64)
    top, bottom = strip * BLOCK, min((strip + 1) * BLOCK, size)
    dense = np.int64(1)  # no literal, or `_pull` would be compiled once more for it
    for left in range(0, size, BLOCK):
        right = min(left + BLOCK, size)
        in_block, _ = _candidates(sign, x, y, index, count, left, right, top, bottom, block, block_at)
        for row in range(top, bottom, CELL):
            row_end = min(row + CELL, bottom)
            for column in range(left, right, CELL):
                column_end = min(column + CELL, right)
                in_cell, away = _candidates(
                    sign, block[0], block[1], block_at, in_block, column, column_end, row, row_end, cell, cell_at
                )
                if sign > 0 and away <= NEAR + 0.71 * CELL:
                    for v in range(row, row_end, FINE):
                        v_end = min(v + FINE, row_end)
                        for u in range(column, column_end, FINE):
                            u_end = min(u + FINE, column_end)
                            in_fine, _ = _candidates(
                                sign, cell[0], cell[1], cell_at, in_cell, u, u_end, v, v_end, fine, fine_at
                            )
                            energy += _pull(
                                sign, fine, fine_at, in_fine, u, u_end, v, v_end, dense, target, slope, limit
                            )
                else:
                    step = FINE if in_cell > 1 or away < FAR else CELL
                    energy += _pull(
                        sign, cell, cell_at, in_cell, column, column_end, row, row_end, step, target, slope, limit
                    )
    return energy


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _candidates(sign, x, y, index, count, left, right, top, bottom, out, out_at):
    """Which of the first `count` points can be extreme for an anchor of pixels [left, right) x [top, bottom).

    Against q, extreme for the middle c of the pixels, the point p wins at the anchor a where
    sign (|a - p|^2 - |a - q|^2) = sign (|c - p|^2 - |c - q|^2) - 2 sign (a - c) (p - q) <= 0; the last term is at most
    the half width times |p_x - q_x| plus the half height times |p_y - q_y|, twice. Who cannot win anywhere is dropped.

    Returns their number (places go into `out`, indices into `out_at`) and the distance from the middle to q.
    """
    kind = x.dtype.type
    middle_x, middle_y = kind(0.5 * (left + right)), kind(0.5 * (top + bottom))
    width, height = kind(right - left - 1), kind(bottom - top - 1)
    least = kind(np.inf)
    for k in range(count):
        dx, dy = x[k] - middle_x, y[k] - middle_y
        least = min(least, sign * (dx * dx + dy * dy))
    at = 0
    for k in range(count):
        dx, dy = x[k] - middle_x, y[k] - middle_y
        if sign * (dx * dx + dy * dy) <= least:
            at = k
            break
    qx, qy = x[at], y[at]
    limit = least + kind(1e-2)  # pixel^2, against rounding
    found = 0
    for k in range(count):
        dx, dy = x[k] - middle_x, y[k] - middle_y
        out[0, found], out[1, found], out_at[found] = x[k], y[k], index[k]
        found += sign * (dx * dx + dy * dy) <= limit + width * abs(x[k] - qx) + height * abs(y[k] - qy)
    return found, np.sqrt(abs(least))


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _pull(sign, place, index, count, left, right, top, bottom, step, target, slope, limit):
    """Energy of the anchors of some pixels, one for each `step` x `step` of them; adds its gradient to `slope`."""
    energy, kind = 0.0, place.dtype.type
    for v in range(top, bottom, step):
        v_end = min(v + step, bottom)
        row = (v + v_end) // 2
        ay = kind(row + 0.5)
        for u in range(left, right, step):
            u_end = min(u + step, right)
            column = (u + u_end) // 2
            ax = kind(column + 0.5)
            best, at = kind(np.inf), 0
            for k in range(count):
                dx, dy = place[0, k] - ax, place[1, k] - ay
                d = sign * (dx * dx + dy * dy)
                if d < best:
                    best, at = d, k
            weight = kind((u_end - u) * (v_end - v))
            distance = np.sqrt(abs(best))
            error = distance - kind(target[row, column])
            inner = min(max(error, -limit), limit)
            energy += weight * inner * (2 * error - inner)
            if distance > 0:  # distance 0 has no direction; its subgradient is taken as 0, as torch.cdist does
                factor = 2 * weight * inner / distance
                slope[index[at], 0] += factor * (place[0, at] - ax)
                slope[index[at], 1] += factor * (place[1, at] - ay)
    return energy


def cell_means(x: np.ndarray, y: np.ndarray, offset: np.ndarray, size: int) -> np.ndarray:
    """(T, G, G) float32 mean soft distance from the middle of each coarse cell to T point sets; 0 for an empty one.

    Args:
        x, y: (N,) window pixels; offset: (T + 1,) int64: set t owns offset[t] to offset[t + 1].
        size: side of the window in pixels.
    """
    parts, cells = len(offset) - 1, -(-size // CELL)
    out = np.zeros((parts, cells, cells), np.float32)
    run_chunks(_cell_means, cells, x, y, offset, size, out)
    return out


@njit(cache=True, nogil=True)
def _cell_means(x, y, offset, size, out, row):
    for part in range(len(out)):
        low, high = offset[part], offset[part + 1]
        if high > low:
            for column in range(out.shape[2]):
                middle_x, middle_y, softness, _ = _cell(row, column, size)
                out[part, row, column] = _soft_mean(x[low:high], y[low:high], middle_x, middle_y, softness)
