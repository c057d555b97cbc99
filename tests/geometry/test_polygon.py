"""Pixels of polygons, against the definition."""

import numpy as np
import pytest

from facefit.geometry.polygon import polygon_pixels


def within(points: np.ndarray, x: float, y: float) -> bool:
    """The even-odd rule for one point."""
    odd = False
    for (ax, ay), (bx, by) in zip(points, np.roll(points, -1, 0), strict=True):
        if (ay <= y) != (by <= y):
            odd ^= x < ax + (y - ay) * (bx - ax) / (by - ay)
    return odd


def to_outline(points: np.ndarray, x: float, y: float) -> float:
    """Distance to the outline."""
    distance = np.inf
    for a, b in zip(points, np.roll(points, -1, 0), strict=True):
        t = np.clip((np.array([x, y]) - a) @ (b - a) / max((b - a) @ (b - a), 1e-12), 0, 1)
        distance = min(distance, np.hypot(*(a + t * (b - a) - (x, y))))
    return distance


@pytest.mark.parametrize("seed", range(8))
def test_centres_within_count_and_what_is_far_from_the_outline_does_not(seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform(-6, 30, (rng.integers(3, 12), 2))  # folded over itself, and over the picture's border
    mask = polygon_pixels((24, 20), points)
    for row in range(24):
        for column in range(20):
            x, y = column + 0.5, row + 0.5
            if within(points, x, y):
                assert mask[row, column]
            elif mask[row, column]:
                assert to_outline(points, x, y) <= np.sqrt(0.5) + 1e-9


def test_a_square_is_its_pixels():
    square = np.array([[2.0, 3.0], [6.0, 3.0], [6.0, 8.0], [2.0, 8.0]])
    inside = np.zeros((10, 10), bool)
    inside[3:8, 2:6] = True
    mask = polygon_pixels((10, 10), square)
    assert (mask & inside).sum() == inside.sum()
    # its lower and right sides run along the next pixels' borders
    assert mask[2].sum() == mask[:, 1].sum() == 0 and mask[9].sum() == mask[:, 7].sum() == 0
    np.testing.assert_array_equal(polygon_pixels((10, 10), square[::-1]), mask)
    np.testing.assert_array_equal(polygon_pixels((10, 10), square + (0.25, 0.25))[3:8, 2:6], inside[3:8, 2:6])


def test_a_polygon_without_area_is_its_line():
    line = np.array([[1.5, 1.5], [6.5, 3.5]])
    mask = polygon_pixels((6, 9), line)
    assert mask.any(0).tolist() == [False, True, True, True, True, True, True, False, False] and mask.sum() == 6
    np.testing.assert_array_equal(polygon_pixels((6, 9), line[:, ::-1]), polygon_pixels((9, 6), line).T)
    assert polygon_pixels((4, 4), np.array([[1.2, 2.7]])).nonzero() == (2, 1)
    assert polygon_pixels((4, 4), np.array([[1.2, 2.7]] * 3)).sum() == 1


def test_beyond_the_border_nothing_breaks():
    everywhere = np.array([[-1e9, -1e9], [1e9, -1e9], [1e9, 1e9], [-1e9, 1e9]])
    assert polygon_pixels((5, 7), everywhere).all()
    assert not polygon_pixels((5, 7), everywhere + 3e9).any()
    assert not polygon_pixels((5, 7), np.zeros((0, 2))).any()
    half = polygon_pixels((5, 7), np.array([[-9.0, -9.0], [3.0, -9.0], [3.0, 20.0], [-9.0, 20.0]]))
    assert half[:, :3].all() and not half[:, 4:].any()


@pytest.mark.parametrize("flat", [True, False])
def test_an_outline_takes_the_pixel_that_it_crosses_in_the_middle(flat):
    """A line of slope .4 as a polygon of two corners: y = .7, 1.1, 1.5, ... at the middles of columns 0, 1, 2, ..."""
    line = np.array([[0.5, 0.7], [10.5, 4.7]])
    pixels = polygon_pixels((12, 12), line if flat else line[:, ::-1])
    expected = np.zeros((12, 12), bool)
    expected[[0, 1, 1, 1, 2, 2, 3, 3, 3, 4, 4], np.arange(11)] = True
    np.testing.assert_array_equal(pixels, expected if flat else expected.T)
