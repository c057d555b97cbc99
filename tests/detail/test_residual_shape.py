"""A plane of skin with folds, moles and paint that were put there: which of them become relief."""

import numpy as np
import pytest

from facefit.detail.residual_shape import pigment, residual_shape
from facefit.detail.texel_grid import texel_grid

SIZE, STEP = 96, 0.5  # texels, mm
BY_SLOPE = np.array((0.1, -0.9, 0.0))  # light from above: what falls towards +y is darker


@pytest.fixture(scope="module")
def grid():
    reach = SIZE * STEP
    verts = np.array([(0, 0, 0), (reach, 0, 0), (reach, reach, 0), (0, reach, 0)], float)
    uv, faces = verts[:, :2] / reach, np.array([(0, 1, 2), (0, 2, 3)])
    centre = (np.arange(SIZE) + 0.5) / SIZE
    u, v = np.meshgrid(centre, 1 - centre)
    lower = v <= u
    bary = np.where(lower[..., None], np.stack([1 - u, u - v, v], -1), np.stack([1 - v, u, v - u], -1))
    return texel_grid(np.where(lower, 0, 1), bary, verts, faces, uv, faces, np.ones(u.shape, bool))


@pytest.fixture(scope="module")
def at(grid):
    row, column = np.nonzero(grid.inside)
    return (column + 0.5) * STEP, (SIZE - row - 0.5) * STEP  # x, y


@pytest.fixture(scope="module")
def fold(at):
    """mm: a furrow from left to right."""
    x, y = at
    return -0.1 * np.exp(-((y - 24) ** 2) / 2 / 1.2**2) * (np.abs(x - 24) < 18)


def found(grid, rest, colour=None, reflectance=None, weight=None, pixel=0.3):
    rng = np.random.default_rng(0)
    rest = rest + rng.normal(scale=0.004, size=grid.count)
    colour = rng.normal(scale=0.002, size=(grid.count, 2)) if colour is None else colour
    nothing = np.zeros(grid.count)
    weight = np.ones(grid.count) if weight is None else weight
    return residual_shape(
        grid, rest, colour, nothing if reflectance is None else reflectance, np.tile(BY_SLOPE, (grid.count, 1)),
        weight, pixel,
    )  # fmt: skip


def test_a_fold_becomes_a_furrow(grid, fold):
    height = found(grid, grid.slope(fold) @ BY_SLOPE)
    assert np.corrcoef(height, fold)[0, 1] > 0.8
    assert 0.3 < height[np.argmin(fold)] / fold.min() < 1.2  # and not deeper than it is


def test_a_mole_stays_paint(grid, at, fold):
    x, y = at
    mole = -0.3 * np.exp(-((x - 24) ** 2 + (y - 24) ** 2) / 2 / 1.5**2)
    height, real = found(grid, mole), found(grid, grid.slope(fold) @ BY_SLOPE)
    assert np.abs(height).max() < 0.25 * np.abs(real).max()


def test_a_line_of_another_colour_stays_paint(grid, fold):
    line = grid.slope(fold) @ BY_SLOPE
    height = found(grid, line, colour=np.stack([line, -0.5 * line], 1))
    assert np.abs(height).max() < 0.2 * np.abs(found(grid, line)).max()


def test_a_beard_and_what_is_not_seen_stay_flat(grid, at, fold):
    x, _ = at
    line = grid.slope(fold) @ BY_SLOPE
    dark = found(grid, line, reflectance=np.where(x < 18, -1.0, 0.0))
    assert np.abs(dark[x < 14]).max() < 0.1 * np.abs(dark).max()
    hidden = found(grid, line, weight=(x > 18).astype(float))
    assert np.abs(hidden[x < 14]).max() < 0.1 * np.abs(hidden).max()
    assert not found(grid, line, weight=np.zeros(grid.count)).any()


def test_pigment_is_found_among_shading():
    rng = np.random.default_rng(2)
    colour = rng.normal(size=(2000, 2)) * (0.05, 0.03)
    brightness = colour @ (0.7, -0.4) + rng.normal(scale=0.01, size=2000)
    brightness[:200] -= 0.3  # folds
    np.testing.assert_allclose(pigment(brightness, colour, np.ones(2000)), (0.7, -0.4), atol=0.06)
