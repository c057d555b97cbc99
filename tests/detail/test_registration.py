"""Photos whose fits lie a little off: their paint is laid on each other, their shading is left alone."""

from dataclasses import replace

import numpy as np
import pytest

from facefit.detail.patch import surface_patch
from facefit.detail.registration import registered
from facefit.detail.samples import Crop, PatchSample

PIXEL = 0.5  # mm


@pytest.fixture(scope="module")
def flat():
    """A sheet of 60 mm, 2 mm between vertices, which photos show from in front."""
    x, y = np.meshgrid(np.arange(-30, 31, 2.0), np.arange(-30, 31, 2.0))
    verts = np.stack([x, y, 0 * x], -1).reshape(-1, 3)
    number = np.arange(len(verts)).reshape(x.shape)
    a, b, c, d = number[:-1, :-1].ravel(), number[:-1, 1:].ravel(), number[1:, 1:].ravel(), number[1:, :-1].ravel()
    keep = np.ones(len(verts), bool)
    return surface_patch(verts, np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]), keep, keep)


def photo(patch, off, freckles: float, waves: float) -> PatchSample:
    """What lies at x is seen `off` mm beside it: coloured freckles and, under a lamp of its own, grey waves."""
    column, row = np.meshgrid(np.arange(180), np.arange(180))
    x, y = (column - 90) * PIXEL - off[0], (row - 90) * PIXEL - off[1]
    spots = sum(np.exp(-((x - a) ** 2 + (y - b) ** 2) / 18) for a in (-18, -6, 6, 18) for b in (-15, 0, 15))
    grey = 0.4 * np.exp(waves * np.sin(x / 2 + waves * 20))
    picture = np.stack([grey, grey * np.exp(-freckles * spots), grey * np.exp(-2 * freckles * spots)], -1)
    at = patch.points[:, :2] * (1, -1) / PIXEL + 90
    crop = Crop(picture.astype(np.float16), at, PIXEL)
    return PatchSample(crop.colours(), np.ones(patch.count), np.broadcast_to(np.eye(3), (patch.count, 3, 3)), crop)


def apart(samples) -> float:
    first, second = (sample.chromaticity for sample in samples)
    return float(np.sqrt(((first - second) ** 2).mean()))


def test_paint_comes_to_lie_on_itself(flat):
    samples = [photo(flat, off, 0.2, 0.0) for off in ((0.7, -0.4), (-0.7, 0.4))]
    found = registered(flat, samples)
    assert apart(found) < 0.3 * apart(samples)
    first, second = ((sample.colour, before.colour) for sample, before in zip(found, samples, strict=True))
    assert not np.allclose(*first) and not np.allclose(*second)  # they meet half way


def test_shading_is_not_followed(flat):
    samples = [photo(flat, (0, 0), 0.2, waves) for waves in (0.2, -0.2)]
    for sample, before in zip(registered(flat, samples), samples, strict=True):
        np.testing.assert_allclose(sample.luminance, before.luminance, atol=0.02)


def test_grey_pictures_and_samples_without_a_crop_stay(flat):
    grey = [photo(flat, off, 0.0, 0.1) for off in ((1, 0), (-1, 0))]
    for sample, before in zip(registered(flat, grey), grey, strict=True):
        np.testing.assert_allclose(sample.luminance, before.luminance, atol=2e-3)
    bare = [replace(sample, crop=None) for sample in grey]
    assert registered(flat, bare) == bare and registered(flat, grey[:1]) == grey[:1]
    with pytest.raises(ValueError, match="no crop"):
        bare[0].moved(np.zeros((flat.count, 2)))
