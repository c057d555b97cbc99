"""What the training pictures are drawn with: areas, places, directions."""

import numpy as np
import pytest

from facefit.synth.brush import (
    blurred,
    box,
    cover,
    ellipse,
    jpeg,
    lay,
    paint,
    paint_stroke,
    resized,
    slopes,
    stroke_cover,
)


def test_cover_is_the_area_of_a_shape():
    for outline, area in (
        (box((20.3, 15.7), (12.4, 8.2)), 12.4 * 8.2),
        (box((20, 15), (12.4, 8.2), 35), 12.4 * 8.2),
        (ellipse((20, 15), (10, 6), 60), np.pi * 60),
    ):
        share = cover((30, 40), outline)
        assert share.dtype == np.float32 and 0 <= share.min() and share.max() == 1
        assert share.sum() == pytest.approx(area, rel=0.1)
        y, x = np.mgrid[:30, :40] + 0.5
        assert (x * share).sum() / share.sum() == pytest.approx(outline[:, 0].mean(), abs=0.2)
        assert (y * share).sum() / share.sum() == pytest.approx(outline[:, 1].mean(), abs=0.2)


def test_degrees_turn_from_x_towards_y():
    corner = box((0, 0), (10, 0), 90)
    np.testing.assert_allclose(corner[1], (0, 5), atol=1e-9)
    np.testing.assert_allclose(ellipse((1, 2), (4, 1), 90)[0], (1, 6), atol=1e-9)


@pytest.mark.parametrize(("thickness", "drawn"), [(1, 1.3), (2, 3.4), (3, 5.3), (9, 11.3)])
def test_strokes_are_as_wide_as_the_parser_knows_them(thickness, drawn):
    share = stroke_cover((60, 120), [np.array([(10.0, 30.0), (60.0, 30.0), (110.0, 30.0)])], thickness)
    assert share[:, 60].sum() == pytest.approx(drawn, abs=0.4)
    assert (share.sum(1) @ (np.arange(60) + 0.5)) / share.sum() == pytest.approx(30, abs=0.2)


def test_small_shapes_are_painted_where_the_whole_picture_would_have_them():
    rng = np.random.default_rng(0)
    beside = np.array([(-9.0, -9), (-5, -7), (-8, -2)])
    for points in (rng.uniform(5, 25, (5, 2)), rng.uniform(-20, 50, (4, 2)), beside):
        whole, part = np.zeros((30, 30, 3)), np.zeros((30, 30, 3))
        lay(whole, cover((30, 30), points), (0.2, 0.5, 1.0))
        paint(part, points, (0.2, 0.5, 1.0))
        np.testing.assert_allclose(part, whole, atol=1e-6)
        whole, part = np.zeros((30, 30, 3)), np.zeros((30, 30, 3))
        lay(whole, stroke_cover((30, 30), [points], 2), (0.2, 0.5, 1.0))
        paint_stroke(part, points, 2, (0.2, 0.5, 1.0))
        np.testing.assert_allclose(part, whole, atol=1e-6)


def test_blur_slope_size_and_file():
    ramp = np.tile(np.arange(32, dtype=np.float32), (32, 1))
    right, down = slopes(ramp)
    assert (right[:, 1:-1] == 1).all() and (down == 0).all()
    np.testing.assert_allclose(blurred(ramp, 2.0)[:, 12:20], ramp[:, 12:20], atol=1e-3)
    image = np.repeat((ramp / 31)[..., None], 3, 2)
    small = resized(image, 8)
    np.testing.assert_allclose(small[0, :, 0], (np.arange(8) * 4 + 1.5) / 31, atol=0.02)
    assert resized(small, 32, "bicubic").shape == (32, 32, 3)
    assert np.abs(jpeg(image, 95) - image).max() < 0.05 < np.abs(jpeg(image, 2) - image).max()
