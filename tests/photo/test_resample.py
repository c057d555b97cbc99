"""Pictures through an affine map: against the definition, pixel by pixel, and where the picture ends."""

import numpy as np
import pytest

from facefit.photo.resample import inverse, nearest, warp

IDENTITY = np.eye(2, 3)


def turned(degrees: float, scale: float, x: float, y: float) -> np.ndarray:
    c, s = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    return np.array([[c, -s, x], [s, c, y]])


def warp_naive(planes, to_source, width, height, outside):
    """One pixel after the other, each neighbour looked up by itself."""
    count, rows, columns = planes.shape

    def at(plane, row, column):
        if 0 <= row < rows and 0 <= column < columns:
            return plane[row, column]
        return plane[np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)] if outside is None else outside

    out = np.empty((count, height, width))
    for row in range(height):
        for column in range(width):
            x, y = to_source @ (column + 0.5, row + 0.5, 1) - 0.5
            left, top = int(np.floor(x)), int(np.floor(y))
            for k, plane in enumerate(planes):
                out[k, row, column] = sum(
                    (1 - abs(x - c)) * (1 - abs(y - r)) * at(plane, r, c)
                    for r in (top, top + 1)
                    for c in (left, left + 1)
                )
    return out


@pytest.mark.parametrize("outside", [None, 0.0, 7.0])
@pytest.mark.parametrize("matrix", [IDENTITY, turned(25, 0.7, 4, -3), turned(-100, 1.9, 5, 20), IDENTITY * -1])
def test_warp_is_bilinear(matrix, outside):
    planes = np.random.default_rng(0).random((3, 13, 17)).astype(np.float32)
    seen = warp(planes, matrix, 15, 11, outside)
    assert seen.shape == (3, 11, 15) and seen.dtype == np.float32
    np.testing.assert_allclose(seen, warp_naive(planes, matrix, 15, 11, outside), atol=1e-5)


def test_a_whole_shift_keeps_every_pixel():
    planes = np.random.default_rng(1).random((2, 8, 9)).astype(np.float32)
    np.testing.assert_array_equal(warp(planes, turned(0, 1, 3, 2), 6, 6), planes[:, 2:, 3:])


def test_a_mirrored_view_is_the_mirror_image():
    plane = np.arange(12.0).reshape(1, 3, 4)
    np.testing.assert_array_equal(warp(plane, np.array([[-1.0, 0, 4], [0, 1, 0]]), 4, 3), plane[:, :, ::-1])


def test_beyond_the_picture_its_border_goes_on_or_the_value_given():
    plane = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    far = turned(0, 1, -50, -50)
    assert (warp(plane, far, 3, 3) == 1).all() and (warp(plane, far, 3, 3, outside=9) == 9).all()
    # half a pixel out, the border's pixel and what is outside are mixed
    assert warp(plane, turned(0, 1, -0.5, 0), 1, 1, outside=0)[0, 0, 0] == 0.5


def test_one_pixel_and_other_types():
    assert (warp(np.full((1, 1, 1), 200, np.uint8), turned(30, 0.1, 0.5, 0.5), 4, 4) == 200).all()


@pytest.mark.parametrize("matrix", [IDENTITY, turned(40, 1.3, 2, 1), turned(0, 0.5, -3, 0)])
def test_nearest_takes_the_pixel_that_the_centre_lies_in(matrix):
    labels = np.random.default_rng(2).integers(0, 9, (10, 12), np.uint8)
    seen = nearest(labels, matrix, 14, 13, outside=99)
    assert seen.dtype == np.uint8
    for row in range(13):
        for column in range(14):
            x, y = np.floor(matrix @ (column + 0.5, row + 0.5, 1)).astype(int)
            assert seen[row, column] == (labels[y, x] if 0 <= x < 12 and 0 <= y < 10 else 99)


def test_inverse_leads_back():
    matrix = turned(33, 1.7, 5, -8)
    there = matrix[:, :2] @ (3.0, 4.0) + matrix[:, 2]
    back = inverse(matrix)
    np.testing.assert_allclose(back[:, :2] @ there + back[:, 2], (3, 4))
    with pytest.raises(np.linalg.LinAlgError):
        inverse(np.zeros((2, 3)))
