"""Convex hulls: the corners, and nothing else."""

import numpy as np

from facefit.geometry.convex_hull import convex_hull, hull_corners


def test_hull_corners():
    square = np.array([[0, 0], [4, 0], [4, 4], [0, 4], [2, 0], [2, 2], [0, 0], [4, 4], [1, 3]], np.float32)
    out = np.empty(len(square), np.int64)
    found = hull_corners(square[:, 0].copy(), square[:, 1].copy(), out)
    assert {tuple(p) for p in square[out[:found]]} == {(0, 0), (4, 0), (4, 4), (0, 4)} and found == 4
    line = np.array([[1, 1], [3, 3], [2, 2]], np.float32)
    assert hull_corners(line[:, 0].copy(), line[:, 1].copy(), out) == 2
    same = np.ones((3, 2), np.float32)
    assert hull_corners(same[:, 0].copy(), same[:, 1].copy(), out) == 1


def test_a_hull_has_the_corners_alone():
    points = np.array([[0, 0], [4, 0], [2, 1], [4, 4], [2, 0], [0, 4], [0, 0]], float)
    hull = convex_hull(points)
    assert hull.dtype == np.float32 and sorted(map(tuple, hull)) == [(0, 0), (0, 4), (4, 0), (4, 4)]
    assert len(convex_hull(np.array([[1.0, 2.0]]))) == 1
    assert sorted(map(tuple, convex_hull(np.array([[0.0, 0], [1, 1], [2, 2]])))) == [(0, 0), (2, 2)]
