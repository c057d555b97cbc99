"""Pictures as bytes: reopened, and of the format that was asked for."""

import io

import numpy as np
import pytest
from PIL import Image

from facefit.files.picture_bytes import jpg_bytes, png_bytes

RAMP = np.stack(np.broadcast_arrays(np.arange(0, 240, 4), np.arange(40)[:, None] * 5, 90), -1).astype(np.uint8)


@pytest.mark.parametrize("image", [RAMP, RAMP[..., 0]], ids=["colours", "grey"])
def test_png_keeps_every_pixel(image):
    with Image.open(io.BytesIO(png_bytes(image)), formats=["PNG"]) as picture:
        assert picture.mode == ("RGB" if image.ndim == 3 else "L")
        np.testing.assert_array_equal(np.asarray(picture), image)


def test_jpeg_of_a_quality():
    good, poor = jpg_bytes(RAMP, 95), jpg_bytes(RAMP, 10)
    assert len(poor) < len(good)
    with Image.open(io.BytesIO(good), formats=["JPEG"]) as picture:
        assert np.abs(np.asarray(picture).astype(int) - RAMP).mean() < 3
