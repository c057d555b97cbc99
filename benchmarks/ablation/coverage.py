"""Soft coverage of pixels by triangles, with its gradient: the kernels of SoftRas' and DIB-R's silhouettes.

Both give each pixel i and triangle j a probability D_ij that falls with the distance between them, and the silhouette
1 - prod_j (1 - D_ij). They differ in D:

* SoftRas (Liu et al. 2019, eq. 1 and 4): D = sigmoid(+-d^2 / sigma), d the distance to the triangle's border, + inside.
* DIB-R (Chen et al. 2019, eq. 5 and 6): 1 inside, without a gradient; outside D = exp(-d^2 / sigma).

Distances here are in pixels; the papers' sigma is for a picture that is 2 wide.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import njit
from torch import Tensor

SIGMA = {"softras": 1e-4, "dibr": 1.0 / 7000}  # the papers' (their codes') values, of a picture that is 2 wide
REACH = 9.2  # sigmas of d^2 beyond which D < 1e-4 is left out, as the authors' renderers do
_FULL = 1e-6  # 1 - D is at least this


def sigma_pixels(kind: str, size: int, scale: float = 1.0) -> float:
    """The paper's sigma in pixels^2 of a window `size` wide, times `scale`."""
    return SIGMA[kind] * scale * (size / 2) ** 2


class SoftSilhouettes(torch.autograd.Function):
    """(K, 2) corners of one face -> (P, S, S) silhouettes of its parts, in [0, 1].

    Arguments after the corners: (T, 3) triangles, (T,) their parts, (T,) bool which count, number of parts, side S,
    sigma in pixels^2, whether SoftRas (else DIB-R).
    """

    @staticmethod
    def forward(ctx, corners: Tensor, triangles, part, seen, parts: int, size: int, sigma: float, soft: bool) -> Tensor:
        places = corners.detach().double().numpy()
        chosen = np.flatnonzero(seen)
        missing = np.zeros((parts, size, size))  # log of prod (1 - D)
        covered = np.zeros((parts, size, size), np.bool_)
        _draw(places, triangles, part, chosen, sigma, soft, missing, covered)
        left = np.where(covered, 0.0, np.exp(missing))
        ctx.given = (places, triangles, part, chosen, sigma, soft, left)
        return torch.from_numpy(1 - left).to(corners.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        places, triangles, part, chosen, sigma, soft, left = ctx.given
        gradient = np.zeros_like(places)
        _pull(places, triangles, part, chosen, sigma, soft, -left * grad.double().numpy(), gradient)
        return torch.from_numpy(gradient).to(grad.dtype), None, None, None, None, None, None, None


@njit(cache=True, nogil=True)
def _nearest(px, py, x, y):
    """Squared distance of a pixel to a triangle's border, the edge it is on, where on it, and whether it is inside."""
    best, edge, at = np.inf, 0, 0.0
    positive = negative = 0
    for k in range(3):
        ax, ay = x[k], y[k]
        dx, dy = x[(k + 1) % 3] - ax, y[(k + 1) % 3] - ay
        turn = dx * (py - ay) - dy * (px - ax)
        positive += turn > 0
        negative += turn < 0
        t = ((px - ax) * dx + (py - ay) * dy) / max(dx * dx + dy * dy, 1e-18)
        t = min(max(t, 0.0), 1.0)
        ex, ey = px - ax - t * dx, py - ay - t * dy
        distance = ex * ex + ey * ey
        if distance < best:
            best, edge, at = distance, k, t
    return best, edge, at, positive == 0 or negative == 0


@njit(cache=True, nogil=True)
def _box(x, y, reach, size):
    """Rows and columns of the pixels within `reach` of a triangle."""
    left, right = int(np.floor(min(x) - reach - 0.5)), int(np.ceil(max(x) + reach + 0.5))
    top, bottom = int(np.floor(min(y) - reach - 0.5)), int(np.ceil(max(y) + reach + 0.5))
    return max(top, 0), min(bottom, size), max(left, 0), min(right, size)


@njit(cache=True, nogil=True)
def _draw(places, triangles, part, chosen, sigma, soft, missing, covered):
    size, reach = missing.shape[1], np.sqrt(REACH * sigma)
    x, y = np.empty(3), np.empty(3)
    for j in chosen:
        for k in range(3):
            x[k], y[k] = places[triangles[j, k]]
        area = (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])
        if area == 0.0:  # seen from its edge
            continue
        top, bottom, left, right = _box(x, y, reach, size)
        for row in range(top, bottom):
            for column in range(left, right):
                distance, _, _, inside = _nearest(column + 0.5, row + 0.5, x, y)
                if not inside and distance > REACH * sigma:
                    continue
                z = distance / sigma
                if not soft:
                    if inside:
                        covered[part[j], row, column] = True
                    else:
                        missing[part[j], row, column] += np.log(max(1 - np.exp(-z), _FULL))
                elif inside:
                    missing[part[j], row, column] -= z + np.log1p(np.exp(-z))
                else:
                    missing[part[j], row, column] -= np.log1p(np.exp(-z))


@njit(cache=True, nogil=True)
def _pull(places, triangles, part, chosen, sigma, soft, slope, gradient):
    """Adds to `gradient` (K, 2) what `slope` (P, S, S), of log prod (1 - D), makes of it."""
    size, reach = slope.shape[1], np.sqrt(REACH * sigma)
    x, y = np.empty(3), np.empty(3)
    for j in chosen:
        for k in range(3):
            x[k], y[k] = places[triangles[j, k]]
        area = (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])
        if area == 0.0:
            continue
        top, bottom, left, right = _box(x, y, reach, size)
        for row in range(top, bottom):
            for column in range(left, right):
                given = slope[part[j], row, column]
                if given == 0.0:
                    continue
                px, py = column + 0.5, row + 0.5
                distance, edge, at, inside = _nearest(px, py, x, y)
                if not inside and distance > REACH * sigma:
                    continue
                z = distance / sigma
                if soft:
                    # d log(1 - D) / d z is -D inside (z counts positive there) and +D outside
                    factor = -1 / (1 + np.exp(-z)) if inside else 1 / (1 + np.exp(z))
                elif inside or np.exp(-z) > 1 - _FULL:
                    continue
                else:
                    factor = np.exp(-z) / (1 - np.exp(-z))
                factor *= 2 * given / sigma
                a, b = triangles[j, edge], triangles[j, (edge + 1) % 3]
                ex = px - (x[edge] + at * (x[(edge + 1) % 3] - x[edge]))
                ey = py - (y[edge] + at * (y[(edge + 1) % 3] - y[edge]))
                gradient[a, 0] -= factor * (1 - at) * ex
                gradient[a, 1] -= factor * (1 - at) * ey
                gradient[b, 0] -= factor * at * ex
                gradient[b, 1] -= factor * at * ey
