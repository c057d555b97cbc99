"""Colours picked from a texture at points between its pixels."""

import numpy as np

from facefit.convert.texture_transfer import _bilinear


def test_colours_between_pixels_and_beyond_the_border():
    image = np.array([[[0, 0, 255], [100, 0, 255]], [[0, 200, 255], [100, 200, 255]]], np.uint8)
    # a pixel's own centre, the middle of four, on the border, far outside
    x, y = np.array([0.5, 1.0, 2.0, -40.0]), np.array([0.5, 1.0, 0.75, 90.0])
    expected = np.array([[0, 0, 255], [50, 100, 255], [100, 50, 255], [0, 200, 255]]) / 255
    np.testing.assert_allclose(_bilinear(image, x, y), expected, atol=1e-6)


def test_a_texture_of_one_pixel():
    image = np.full((1, 1, 3), 51, np.uint8)
    image.setflags(write=False)
    np.testing.assert_allclose(_bilinear(image, np.array([0.2, 7.0]), np.array([0.9, -3.0])), 0.2, atol=1e-6)
