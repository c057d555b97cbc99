"""A displacement is believed as far as it foretells the shading of photos that it was not found from."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from facefit.detail.held_out import amplitude
from facefit.detail.patch import surface_patch
from facefit.detail.samples import PatchSample
from facefit.detail.shared_surface import tilted
from facefit.detail.trust import FULL
from facefit.render.harmonics import sh_basis


@pytest.fixture(scope="module")
def cap():
    """A patch of a ball, 72 mm wide, 3 mm between vertices."""
    x, y = np.meshgrid(np.arange(-36, 37, 3.0), np.arange(-36, 37, 3.0))
    verts = np.stack([x, y, np.sqrt(80.0**2 - x**2 - y**2) - 80], -1).reshape(-1, 3)
    number = np.arange(len(verts)).reshape(x.shape)
    a, b, c, d = number[:-1, :-1].ravel(), number[:-1, 1:].ravel(), number[1:, 1:].ravel(), number[1:, :-1].ravel()
    keep = np.ones(len(verts), bool)
    return surface_patch(verts, np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]), keep, keep)


def photos(cap, shapes: float, shadows: float) -> list[PatchSample]:
    """Four photos in lights from elsewhere: one bumpy surface, and in each photo other shadows."""
    rng, x, y = np.random.default_rng(4), cap.points[:, 0], cap.points[:, 1]
    bumps = shapes * cap.fade * np.sin(x / 4) * np.cos(y / 5)
    out = []
    for k in range(4):
        lamp = Rotation.from_euler("yx", np.radians(50 * np.array([np.cos(1.6 * k), np.sin(1.6 * k)]))).apply((0, 0, 1))
        light = np.zeros(9)
        light[0], light[[3, 1, 2]] = 2.2, 1.1 * lamp
        turn = np.broadcast_to(np.eye(3), (cap.count, 3, 3))
        shade = np.log(sh_basis(torch.from_numpy(tilted(cap, bumps, turn))).numpy() @ light)
        shade += shadows * cap.smoothed(rng.normal(size=cap.count), 4.0) / 0.2
        out.append(PatchSample(np.exp(shade - 1.2)[:, None] * (1.0, 0.8, 0.7), np.ones(cap.count), turn))
    return out


def test_a_surface_foretells_photos_and_shadows_do_not(cap):
    flat = np.full(cap.count, -1.2)
    assert amplitude(cap, photos(cap, 0.3, 0.0), flat, FULL) > 0.9
    assert amplitude(cap, photos(cap, 0.0, 0.15), flat, FULL) < 0.3
    both = amplitude(cap, photos(cap, 0.3, 0.15), flat, FULL)
    assert amplitude(cap, photos(cap, 0.0, 0.15), flat, FULL) < both <= 1


def test_what_no_other_photo_shows_is_not_believed(cap):
    half = cap.points[:, 0] > 0
    shown = photos(cap, 0.3, 0.0)[:2]
    alone = [replace(sample, weight=side.astype(float)) for sample, side in zip(shown, (half, ~half), strict=True)]
    assert amplitude(cap, alone, np.full(cap.count, -1.2), FULL) == 0.0
