"""A made surface under made lights: what is recovered, and that nothing is where the lights tell nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from facefit.detail.patch import surface_patch
from facefit.detail.refine import unfolded
from facefit.detail.samples import PatchSample
from facefit.detail.shared_surface import SurfaceWeights, fit_light, shading, solve_surface, tilted
from facefit.detail.trust import FULL, Trust, trust
from facefit.render.harmonics import sh_basis

TURNS = np.radians([(-25, 5), (20, -8), (0, 10), (30, 0), (-10, -12), (12, 8)])  # yaw and pitch of the head


@pytest.fixture(scope="module")
def cap():
    """A patch of a ball, 90 mm wide, 3 mm between vertices."""
    side = np.arange(-45, 46, 3.0)
    x, y = np.meshgrid(side, side)
    verts = np.stack([x, y, np.sqrt(80.0**2 - x**2 - y**2) - 80], -1).reshape(-1, 3)
    number = np.arange(len(verts)).reshape(x.shape)
    a, b, c, d = number[:-1, :-1].ravel(), number[:-1, 1:].ravel(), number[1:, 1:].ravel(), number[1:, :-1].ravel()
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    keep = np.ones(len(verts), bool)
    return surface_patch(verts, faces, keep, keep)


@pytest.fixture(scope="module")
def bumps(cap):
    x, y = cap.points[:, 0], cap.points[:, 1]
    high = np.exp(-((x - 10) ** 2 + (y - 5) ** 2) / 2 / 8**2) - np.exp(-((x + 15) ** 2 + (y + 10) ** 2) / 2 / 7**2)
    return cap.fade * high


@pytest.fixture(scope="module")
def paint(cap):
    """Log albedo: spots that are no shape."""
    x, y = cap.points[:, 0], cap.points[:, 1]
    return -1.2 - 0.12 * np.exp(-((x + 5) ** 2 + (y - 20) ** 2) / 2 / 6**2) + 0.03 * np.sin(x / 3) * np.cos(y / 4)


def photos(cap, bumps, paint, kind: str):
    """Samples of the bumpy patch: `kind` says what the lamp does while the head turns."""
    rng = np.random.default_rng(1)
    out = []
    for k, (yaw, pitch) in enumerate(TURNS):
        head = Rotation.from_euler("yx", (yaw, pitch)).as_matrix()
        aside = np.radians(50 * np.cos(2.1 * k)), np.radians(50 * np.sin(2.1 * k))
        lamp = Rotation.from_euler("yx", aside).as_matrix() @ (0, 0, 1.0)
        if kind != "many":
            lamp = np.array([0.5, 0.3, 0.81]) if kind == "room" else head @ (0.5, 0.3, 0.81)
        light = np.zeros(9)
        light[0], light[[3, 1, 2]] = 2.2, 1.1 * lamp
        turn = np.broadcast_to(head, (cap.count, 3, 3))
        shade = sh_basis(torch.from_numpy(tilted(cap, bumps, turn))).numpy() @ light
        luminance = paint + np.log(shade) + rng.normal(size=cap.count) * 0.01
        out.append(PatchSample(np.exp(luminance)[:, None] * (1.0, 0.8, 0.7), np.ones(cap.count), turn))
    return out


def test_different_lights_tell_shape_from_paint(cap, bumps, paint):
    found = solve_surface(cap, photos(cap, bumps, paint, "many"), np.full(cap.count, paint.mean()), FULL)
    inside = cap.fade == 1

    def fine(field):  # what is broader light and shape explain alike
        return (cap.smoothed(field, 3.0) - cap.smoothed(field, 15.0))[inside]

    own, wanted = fine(found.displacement), fine(bumps)
    assert np.corrcoef(own, wanted)[0, 1] > 0.8
    assert ((own - wanted) ** 2).sum() < 0.5 * (wanted**2).sum()
    assert np.abs(found.displacement[cap.fade == 0]).max() == 0


def test_trust_tells_many_lights_from_one_that_seems_many(cap, bumps, paint):
    base = np.full(cap.count, paint.mean())
    many, room, head = (trust(cap, photos(cap, bumps, paint, kind), base) for kind in ("many", "room", "head"))
    assert many.share == 1 and many.believed == 1
    assert room.share == 0 and head.share == 0 and 0 < head.believed < 0.5
    assert many.diversity > 3 * max(room.diversity, head.diversity)


def test_the_more_lights_differ_the_more_is_believed():
    nothing, one, some, many = (Trust(4, 0.1, 0.05, share).believed for share in (None, 0.0, 0.5, 1.0))
    assert nothing == 0 < one < some < many == 1 and one < 0.5


def test_two_photos_are_too_few(cap, bumps, paint):
    samples, base = photos(cap, bumps, paint, "many"), np.full(cap.count, paint.mean())
    assert [trust(cap, samples[:count], base).share for count in (2, 3, 4)] == pytest.approx([0, 0.5, 1], abs=0.1)


def test_one_photo_and_photos_that_no_light_explains_are_not_believed(cap, bumps, paint):
    samples, base = photos(cap, bumps, paint, "many"), np.full(cap.count, paint.mean())
    unseen = [replace(sample, weight=np.zeros(cap.count)) for sample in samples[1:]]
    assert trust(cap, [samples[0], *unseen], base).believed == 0
    rng = np.random.default_rng(0)
    noise = [replace(s, colour=s.colour * np.exp(rng.normal(size=(cap.count, 1)))) for s in samples]
    assert trust(cap, noise, base).believed == 0


def test_light_is_found_beside_outliers(cap, paint):
    light = np.array([2.2, 0.3, 0.9, -0.4, 0.05, 0.0, 0.1, -0.05, 0.02])
    normals = cap.normals
    luminance = paint + np.log(sh_basis(torch.from_numpy(normals)).numpy() @ light)
    luminance[::9] += 1.0
    found = fit_light(luminance, np.ones(cap.count), paint, normals, ridge=1e-7)
    shade, wanted = (sh_basis(torch.from_numpy(normals)).numpy() @ each for each in (found, light))
    assert np.abs(np.log(shade / wanted)).max() < 0.05


def test_the_derivative_of_the_shading_is_that_of_its_differences(cap):
    rng = np.random.default_rng(3)
    light = np.array([2.2, 0.3, 0.9, -0.4, 0.1, 0.1, 0.1, -0.1, 0.1])
    turn = np.broadcast_to(Rotation.from_euler("yx", (0.3, 0.1)).as_matrix(), (cap.count, 3, 3))
    way = cap.smoothed(rng.normal(size=cap.count), 4.0)
    _, jacobian = shading(cap, 0 * way, turn, light)
    plus, minus = (np.log(shading(cap, sign * 1e-4 * way, turn, light)[0]) for sign in (1, -1))
    np.testing.assert_allclose(jacobian @ way, (plus - minus) / 2e-4, atol=1e-5)


def test_a_place_that_is_uncertain_counts_less_where_luminance_is_steep(cap, bumps, paint):
    samples = photos(cap, bumps, paint, "many")
    base = np.full(cap.count, paint.mean())
    sure, unsure = (
        solve_surface(cap, samples, base, SurfaceWeights(place=place)).displacement for place in (0.0, 20.0)
    )
    assert np.abs(unsure).mean() < 0.7 * np.abs(sure).mean()


def test_folds_are_mended(cap):
    spike = np.zeros(cap.count)
    spike[cap.count // 2] = 30.0
    mended = unfolded(spike, cap.points, cap.faces)
    assert 0 < mended.max() < 30 and np.count_nonzero(mended) == 1
    gentle = 0.1 * cap.fade
    assert unfolded(gentle, cap.points, cap.faces) is gentle
