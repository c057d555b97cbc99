"""Distance to an outline: a disc, whose outline is known."""

import numpy as np
import pytest

from facefit.metrics.outline import outline_distance

Y, X = np.mgrid[:120, :100] + 0.5
DISC = np.hypot(X - 50, Y - 60) < 30


def around(radius, angles=16):
    angle = np.linspace(0, 2 * np.pi, angles, endpoint=False)
    return np.stack([50 + radius * np.cos(angle), 60 + radius * np.sin(angle)], 1)


def test_the_distance_is_signed_and_in_pixels():
    nothing = np.zeros_like(DISC)
    for radius in (20, 26, 36, 45):
        found = outline_distance(around(radius), DISC, nothing)
        assert found.mean() == pytest.approx(radius - 29.5, abs=0.4) and found.std() < 0.5


def test_what_hides_the_outline_hides_its_points():
    hair = X > 72
    found = outline_distance(around(36), DISC & ~hair, hair)
    right = around(36)[:, 0] > 72
    assert np.isnan(found[right]).all() and np.isfinite(found[around(36)[:, 0] < 60]).all()


def test_the_rim_of_the_picture_is_no_outline():
    cut = DISC[:, :60]  # the picture ends in the middle of the disc
    found = outline_distance(np.array([[58.0, 60.0], [20.5, 60.0], [70.0, 60.0]]), cut, np.zeros_like(cut))
    assert np.isnan(found[2]) and found[1] == pytest.approx(0, abs=1.1)
    assert np.isnan(outline_distance(around(20), np.zeros_like(DISC), DISC)).all()
