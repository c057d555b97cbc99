"""The person mask, on the photo that scikit-image ships."""

import numpy as np
import pytest
from PIL import Image

from facefit.observe.segment.person import person_mask


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    data = pytest.importorskip("skimage.data")
    return Image.fromarray(data.astronaut())


@pytest.mark.parametrize("size", [200, 256, 448])
def test_person_and_background_in_pixels_of_the_window(photo, size):
    mask = person_mask(np.asarray(photo.resize((size, size)), np.float32) / 255)
    assert mask.shape == (size, size) and mask.dtype == np.float32
    assert 0 <= mask.min() and mask.max() <= 1
    face, suit, flag, shuttle = (
        mask[int(y * size), int(x * size)] for x, y in ((0.43, 0.22), (0.4, 0.6), (0.05, 0.1), (0.85, 0.1))
    )
    assert min(face, suit) > 0.95 and max(flag, shuttle) < 0.05


def test_sizes_agree(photo):
    """A small and a large window show the same person, not shifted by a pixel."""
    small, large = (person_mask(np.asarray(photo.resize((n, n)), np.float32) / 255) for n in (256, 512))
    pooled = large.reshape(256, 2, 256, 2).mean((1, 3))
    shifted = np.abs(np.roll(pooled, 2, 1) - small).mean()
    assert np.abs(pooled - small).mean() < 0.5 * shifted


def test_mediapipes_numbers(photo):
    """What mediapipe 0.10.21 answered for the same window at some pixels of the border."""
    theirs = {
        (65, 216): 0.8399, (112, 75): 0.3959, (74, 19): 0.4370, (120, 177): 0.8186,
        (181, 150): 0.4333, (15, 146): 0.8154, (127, 51): 0.3670, (217, 201): 0.7913,
    }  # fmt: skip
    mask = person_mask(np.asarray(photo.resize((224, 224), Image.Resampling.BILINEAR), np.float32) / 255)
    assert [mask[y, x] for x, y in theirs] == pytest.approx(list(theirs.values()), abs=2e-3)
