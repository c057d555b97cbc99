"""The blended texture: what any photo shows is there, and photos of another exposure leave no seam."""

import numpy as np
import pytest
from helpers.synthetic_result import synthetic_result

from facefit.person.texture import Blend

SIZE = 96


def skin(u, v):
    """Skin with a dark spot on either cheek."""
    spots = np.exp(-((u - 0.25) ** 2 + (v - 0.4) ** 2) / 0.002) + np.exp(-((u - 0.75) ** 2 + (v - 0.4) ** 2) / 0.002)
    return np.stack([0.75 - 0.3 * spots, 0.55 - 0.25 * spots, 0.45 - 0.2 * spots], -1)


@pytest.fixture(scope="module")
def photos(toy_model):
    return [
        synthetic_result(toy_model, yaw=0.7, texture=skin),
        synthetic_result(toy_model, yaw=-0.7, texture=lambda u, v: 0.7 * skin(u, v)),
    ]


@pytest.fixture(scope="module")
def blended(photos):
    blend = Blend(SIZE, "albedo")
    for photo in photos:
        blend.add(photo)
    return blend.picture(photos[0].scene).astype(float) / 255


def test_both_cheeks_have_their_spots(blended):
    row = int((1 - 0.4) * SIZE)
    for u in (0.25, 0.75):
        spot, beside = blended[row, int(u * SIZE)], blended[row - 12, int(u * SIZE)]
        assert (spot < 0.85 * beside).all()


def test_another_exposure_leaves_no_seam(blended):
    left, right = blended[int(0.75 * SIZE), SIZE // 4], blended[int(0.75 * SIZE), 3 * SIZE // 4]
    assert np.abs(np.log(left / right)).max() < 0.12  # of the .36 between the photos


def test_another_kind_is_refused():
    with pytest.raises(ValueError, match="albedo"):
        Blend(SIZE, "paint")
