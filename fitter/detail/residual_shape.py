"""The free shape that is paired with a strongly regularised albedo: folds finer than the mesh, on a grid of texels.

What proxies of shape and albedo leave of a photo's luminance is explained twice (Tran et al. 2019, eq. 15): by a free
albedo on the proxy of the shape, and by a free shape under the proxy of the albedo. In one photo either explains all of
it, so each is given what speaks for it. What comes with a change of colour is paint, for shading has none. What is no
line, or no stronger than the skin's usual pattern, is not taken for a fold: moles, pores, stubble and the noise of a
camera stay in the texture (eq. 14 holds the free shape near its proxy by a sparse norm).
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.linalg import LinearOperator, cg

from ..compute.smoothstep import smoothstep
from .texel_grid import TexelGrid

_HEIGHT, _LENGTH = 0.2, 1.5  # mm: deviation of a height, and over what it varies, at least two pixels of the photo
_NOISE, _MOST = 0.05, 3.0  # of a log luminance, mean of _PER_AREA; beyond so many times of it a texel does not count
_PER_AREA = 4.0  # mm^2: the area of skin of which the noise is
_ITERATIONS, _TOLERANCE, _ROUNDS = 80, 1e-2, 2

_SMOOTH = 6.0  # mm: what is broader is the proxies' part
_FINEST, _PIXELS = 0.6, 0.8  # mm, and pixels of the photo: what is finer is noise
_AROUND = 3.0  # mm over which it is asked whether there is a line: more than a mole, less than a fold is long
_NO_LINE, _LINE = 0.25, 0.6  # anisotropy of the structure tensor, from 0 (a spot) to 1 (a line)
_USUAL, _MORE = 30, 1.5  # percentile of the pattern's strength that is skin's usual one; a fold has so many times more
_DARK, _DARKEST = 0.25, 0.6  # of log reflectance below the face's median: stubble, beards, paint
_BORDER = 2.0  # mm from what is not seen, where an edge may be that of the mask


def residual_shape(
    grid: TexelGrid, rest: np.ndarray, colour: np.ndarray, reflectance: np.ndarray, by_slope: np.ndarray,
    weight: np.ndarray, pixel: float,
) -> np.ndarray:  # fmt: skip
    """(N,) mm: the height whose folds shade as the photo does.

    Args:
        rest: (N,) what the proxies leave of the log luminance. colour: (N, 2) log chromaticities.
        reflectance: (N,) log luminance without the proxy's shading.
        by_slope: (N, 3) what a slope of the surface does to the log luminance.
        weight: (N,) in [0, 1], how far a texel shows skin. pixel: mm of the photo.
    """
    if not (weight > 0.5).any():
        return np.zeros(grid.count)
    rest, colour = (each - blurred(grid, each, _SMOOTH, weight) for each in (rest, colour))
    rest = rest - colour @ pigment(rest, colour, weight)
    finest = max(_FINEST, _PIXELS * pixel)
    rest = blurred(grid, rest, finest, weight)
    bare = bare_skin(blurred(grid, reflectance, 4.0, weight), weight)
    believed = weight * _folds(grid, rest, weight, finest) * bare
    return _height(grid, rest, by_slope, believed, max(_LENGTH, 2 * pixel))


def blurred(grid: TexelGrid, values: np.ndarray, deviation: float, weight: np.ndarray) -> np.ndarray:
    """A field (N,) or fields (N, C) after a Gaussian of `deviation` mm, by what has weight."""
    width = deviation / float(np.sqrt(np.median(grid.area)))
    share = ndimage.gaussian_filter(grid.picture(weight), width)[grid.inside]
    fields = values.reshape(grid.count, -1).T
    total = [ndimage.gaussian_filter(grid.picture(field * weight), width)[grid.inside] for field in fields]
    return (np.stack(total, 1) / np.maximum(share, 1e-3)[:, None]).reshape(values.shape)


def pigment(brightness: np.ndarray, colour: np.ndarray, weight: np.ndarray, rounds: int = 8) -> np.ndarray:
    """(2,) how much brighter skin is for each unit of two colour differences, robustly: the free albedo.

    Args:
        brightness: (N,), colour: (N, 2) log luminance and log chromaticities, without what is smooth. weight: (N,).
    """
    found, robust = np.zeros(2), np.ones_like(brightness)
    for _ in range(rounds):
        counted = (weight * robust)[:, None] * colour
        system = colour.T @ counted
        found = np.linalg.solve(system + (1e-3 * np.trace(system) + 1e-12) * np.eye(2), counted.T @ brightness)
        robust = 1 / np.maximum(np.abs(brightness - colour @ found), 0.02)
    return found


def _folds(grid: TexelGrid, rest: np.ndarray, weight: np.ndarray, finest: float) -> np.ndarray:
    """(N,) in [0, 1]: where the rest is a line, by the structure tensor (Foerstner 1987), and stronger than usual."""
    slope = grid.slope(rest * weight)
    first, second = grid.axes()
    a, b = (slope * first).sum(1), (slope * second).sum(1)
    everywhere = np.ones(grid.count)
    around = max(_AROUND, 2 * finest)
    tensor = blurred(grid, np.stack([a * a, a * b, b * b], 1), around, everywhere)
    aa, ab, bb = tensor.T
    line = np.sqrt((aa - bb) ** 2 + 4 * ab**2) / np.maximum(aa + bb, 1e-12)
    strength = np.sqrt(np.maximum(blurred(grid, rest**2, around, weight), 0))
    usual = _MORE * np.percentile(strength[weight > 0.3], _USUAL)
    more = np.clip(1 - (usual / np.maximum(strength, 1e-6)) ** 2, 0, 1)
    seen = ndimage.gaussian_filter(grid.picture(weight), _BORDER / np.sqrt(np.median(grid.area)))[grid.inside]
    return smoothstep((line - _NO_LINE) / (_LINE - _NO_LINE)) * more * smoothstep((seen - 0.5) / 0.4)


def bare_skin(reflectance: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(N,) in [0, 1]: where smooth log reflectance (N,) is as bright as on most of what has weight, and no beard's."""
    below = np.median(reflectance[weight > 0.5]) - reflectance
    return 1 - smoothstep((below - _DARK) / (_DARKEST - _DARK))


def _height(grid: TexelGrid, rest: np.ndarray, by_slope: np.ndarray, believed: np.ndarray, length: float) -> np.ndarray:
    """(N,) mm: shape from shading as a linear system, robust by Tukey's weights."""
    columns, rows = grid.differences()
    shade = sparse.diags((by_slope * grid.right).sum(1)) @ columns + sparse.diags((by_slope * grid.down).sum(1)) @ rows
    shade = shade.tocsr()
    # a Matern-like field, whose precision is made of the Laplacian of eq. 10
    root = sparse.identity(grid.count) - length**2 * grid.laplacian()
    root = sparse.diags(np.sqrt(grid.area / (_HEIGHT**2 * 4 * np.pi * length**2))) @ root
    prior = (root.T @ root).tocsr()
    height, full = np.zeros(grid.count), believed * grid.area / (_PER_AREA * _NOISE**2)
    for _ in range(_ROUNDS):
        left = (rest - shade @ height) / (_MOST * _NOISE)
        counted = full * np.clip(1 - left**2, 0, 1) ** 2
        system = (prior + shade.T @ sparse.diags(counted) @ shade).tocsr()
        inverse = 1 / system.diagonal()
        jacobi = LinearOperator(system.shape, matvec=lambda x, inverse=inverse: inverse * x, dtype=np.float64)
        height, _ = cg(system, shade.T @ (counted * rest), height, rtol=_TOLERANCE, maxiter=_ITERATIONS, M=jacobi)
    return height
