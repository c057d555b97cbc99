"""Slopes on texels of a plane whose layout is sheared and stretched, against what they are by construction."""

import numpy as np
import pytest

from facefit.detail.texel_grid import texel_grid

SIZE = 40


def plane(shear: float = 0.3, flip: bool = False):
    """A grid over a square of 60 x 40 mm that is tilted in space; the layout covers [.1, .9]."""
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float)
    frame = np.linalg.qr(np.array([(1, 0.2, 0.1), (0.1, 1, 0.4), (0.3, 0.1, 1)]))[0][:2]
    verts = (corners * (60, 40)) @ frame
    uv = 0.15 + 0.5 * corners + shear * 0.4 * corners[:, ::-1] * (1, 0)
    if flip:
        uv[:, 0] = 1 - uv[:, 0]
    faces = np.array([(0, 1, 2), (0, 2, 3)])
    centre = (np.arange(SIZE) + 0.5) / SIZE
    u, v = np.meshgrid(centre, 1 - centre)
    face, bary = np.full((SIZE, SIZE), -1), np.zeros((SIZE, SIZE, 3))
    for k, triangle in enumerate(faces):
        a, b, c = uv[triangle]
        weights = np.linalg.solve(np.stack([b - a, c - a], 1), np.stack([u.ravel() - a[0], v.ravel() - a[1]]))
        found = np.concatenate([1 - weights.sum(0, keepdims=True), weights]).T.reshape(SIZE, SIZE, 3)
        inside = (found >= 0).all(-1) & (face < 0)
        face[inside], bary[inside] = k, found[inside]
    return verts, frame, texel_grid(face, bary, verts, faces, uv, faces, np.ones(face.shape, bool))


@pytest.mark.parametrize("flip", (False, True))
def test_the_slope_of_a_ramp_is_its_gradient(flip):
    verts, frame, grid = plane(flip=flip)
    wanted = 0.02 * frame[0] - 0.05 * frame[1]
    height = grid.of_vertices(verts) @ wanted
    inner = (grid.neighbours < grid.count).all(0)
    assert inner.sum() > 200
    np.testing.assert_allclose(grid.slope(height)[inner], np.tile(wanted, (inner.sum(), 1)), atol=1e-9)
    assert grid.area.sum() == pytest.approx(60 * 40, rel=0.05)


def test_the_laplacian_of_a_bowl():
    verts, frame, grid = plane(shear=0)
    x, y = (grid.of_vertices(verts) @ frame.T).T
    inner = (grid.neighbours < grid.count).all(0)
    np.testing.assert_allclose((grid.laplacian() @ (x**2 - 3 * y**2))[inner], 2 - 6, atol=1e-9)


@pytest.mark.parametrize("flip", (False, True))
def test_axes_follow_the_picture(flip):
    verts, frame, grid = plane(flip=flip)
    along, up = grid.axes()
    points = grid.picture(grid.of_vertices(verts))
    middle = SIZE // 2
    to_the_right = points[middle, middle + 1] - points[middle, middle]
    at = int(np.flatnonzero(grid.inside.ravel() & (np.arange(SIZE**2) == middle * SIZE + middle)).size)
    assert at == 1
    place = grid.inside.ravel()[: middle * SIZE + middle].sum()
    np.testing.assert_allclose(along[place], to_the_right / np.linalg.norm(to_the_right), atol=1e-9)
    assert (points[middle - 1, middle] - points[middle, middle]) @ up[place] > 0
    assert abs(along[place] @ up[place]) < 1e-9
