"""What a parser of any size is given, and how its answer comes back to the window."""

import numpy as np

from facefit.observe.segment.any_parser import _resized


def test_enlarging_goes_between_pixel_centres():
    plane = np.array([[[0.0, 4.0], [8.0, 12.0]]], np.float32)
    row = np.array([0, 1, 3, 4], np.float32)  # centres at 1/4, 3/4, 5/4, 7/4 of the old pixels; the border goes on
    np.testing.assert_allclose(_resized(plane, (4, 4))[0], row + 2 * row[:, None], atol=1e-5)


def test_shrinking_takes_the_mean_and_moves_nothing():
    y, x = np.mgrid[:64, :96].astype(np.float32) + 0.5
    seen = _resized(np.stack([x, y]), (16, 24))
    assert seen.shape == (2, 16, 24) and seen.dtype == np.float32
    np.testing.assert_allclose(
        seen[0, :, 2:-2], np.broadcast_to((np.arange(24) + 0.5) * 4, (16, 24))[:, 2:-2], atol=1e-3
    )
    stripes = np.tile(np.array([0.0, 1.0], np.float32), (1, 64, 48))
    assert np.abs(_resized(stripes, (16, 24))[:, 2:-2, 2:-2] - 0.5).max() < 0.02
