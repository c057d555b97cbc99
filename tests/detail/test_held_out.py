"""A displacement is believed as far as it foretells the shading of photos that it was not found from."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.lit_cap import ALBEDO, ball_cap, lit

from facefit.detail.held_out import amplitude
from facefit.detail.samples import PatchSample
from facefit.detail.trust import FULL


@pytest.fixture(scope="module")
def cap():
    return ball_cap()


def photos(cap, shapes: float, shadows: float) -> list[PatchSample]:
    """Four photos in lights from elsewhere: one bumpy surface, and in each photo other shadows."""
    rng, x, y = np.random.default_rng(4), cap.points[:, 0], cap.points[:, 1]
    bumps = shapes * cap.fade * np.sin(x / 4) * np.cos(y / 5)
    shadow = [shadows * cap.smoothed(rng.normal(size=cap.count), 4.0) / 0.2 for _ in range(4)]
    return [lit(cap, bumps, k, shadow[k]) for k in range(4)]


def test_a_surface_foretells_photos_and_shadows_do_not(cap):
    flat = np.full(cap.count, ALBEDO)
    assert amplitude(cap, photos(cap, 0.3, 0.0), flat, FULL) > 0.9
    assert amplitude(cap, photos(cap, 0.0, 0.15), flat, FULL) < 0.3
    both = amplitude(cap, photos(cap, 0.3, 0.15), flat, FULL)
    assert amplitude(cap, photos(cap, 0.0, 0.15), flat, FULL) < both <= 1


def test_what_no_other_photo_shows_is_not_believed(cap):
    half = cap.points[:, 0] > 0
    shown = photos(cap, 0.3, 0.0)[:2]
    alone = [replace(sample, weight=side.astype(float)) for sample, side in zip(shown, (half, ~half), strict=True)]
    assert amplitude(cap, alone, np.full(cap.count, ALBEDO), FULL) == 0.0
