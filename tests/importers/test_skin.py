"""Skin colours by absorption: the direction of every ingredient, and a basis that reaches real tones."""

import numpy as np
import pytest

from facefit.importers import skin
from facefit.importers.skin import (
    BLOOD_RANGE,
    MELANIN_RANGE,
    albedo_model,
    blush_direction,
    encode_srgb,
    laplacian_modes,
    skin_reflectance,
    skin_tone_basis,
)


def test_reflectance_is_a_share_of_the_light():
    melanin, blood = np.meshgrid(np.geomspace(*MELANIN_RANGE, 9), np.linspace(*BLOOD_RANGE, 9))
    value = skin_reflectance(melanin, blood)
    assert value.shape == (9, 9, 3) and (value > 0).all() and (value < 1).all()
    assert (value[..., 0] > value[..., 2]).all()  # skin is redder than blue


def test_melanin_darkens_every_channel_and_blue_most():
    value = skin_reflectance(np.geomspace(*MELANIN_RANGE, 20), np.full(20, 0.005))
    assert (np.diff(value, axis=0) < 0).all()
    fall = value[-1] / value[0]
    assert fall[2] < fall[1] < fall[0]


def test_blood_takes_green_and_leaves_red():
    less, more = skin_reflectance(0.05, np.array(BLOOD_RANGE))
    assert (more < less).all()
    assert (more / less)[1] < (more / less)[0]
    blush = blush_direction()
    assert blush[1] < blush[0] < 0.01  # towards red: green falls most


def test_srgb_by_hand():
    assert encode_srgb(np.array([0.0, 1.0, 0.0031308])) == pytest.approx([0, 1, 0.04045], abs=1e-4)
    assert encode_srgb(np.array(0.2140411)) == pytest.approx(0.5, abs=1e-4)
    assert encode_srgb(np.array([-1.0, 2.0])) == pytest.approx([0, 1])


def test_tones_span_the_population():
    mean, basis = skin_tone_basis()
    again = skin_tone_basis()
    assert np.array_equal(mean, again[0]) and np.array_equal(basis, again[1])
    assert (basis[0] > 0).all()  # the first direction is lightness
    light = encode_srgb(skin_reflectance(MELANIN_RANGE[0], np.mean(BLOOD_RANGE)))
    dark = encode_srgb(skin_reflectance(MELANIN_RANGE[1], np.mean(BLOOD_RANGE)))
    for colour in (light, dark):
        weights, *_ = np.linalg.lstsq(basis.T, colour - mean, rcond=None)
        assert np.abs(mean + weights @ basis - colour).max() < 0.05  # two directions reach it
        assert np.abs(weights).max() < 3  # and it is not far out


@pytest.fixture(scope="module")
def painted():
    """Nine vertices in a row, each all of one thing; the first two are skin."""
    names = ("skin", "lips", "right_brow", "left_brow", "beard", "blush", "eyelid", "right_iris", "left_iris", "pupil",
             "sclera", "moist", "mouth", "tongue", "teeth", "gums", "shade")  # fmt: skip
    only = ("skin", "skin", "lips", "right_brow", "sclera", "right_iris", "pupil", "mouth", "teeth")
    masks = {name: np.array([float(name == one) for one in only]) for name in names}
    masks["skin"] += masks["right_brow"]
    verts = np.stack([np.linspace(-40, 40, 9), np.zeros(9), np.zeros(9)], 1)
    modes = np.cos(np.linspace(0, 3, 9))[:, None] * np.ones((1, 7))
    return albedo_model(masks, verts, modes)


def test_everything_has_its_colour(painted):
    mean, _, _ = painted
    assert np.allclose(mean[0], skin_tone_basis()[0])
    assert np.allclose(mean[2], skin.LIP) and np.allclose(mean[4], skin.SCLERA) and np.allclose(mean[8], skin.TEETH)
    assert mean[3].sum() < mean[0].sum() and mean[6].sum() < mean[5].sum() < mean[4].sum()
    assert (mean >= 0).all() and (mean <= 1).all()


def test_components_touch_only_what_they_are_called_after(painted):
    _, basis, names = painted
    assert len(names) == len(set(names)) == len(basis)
    part = {name: np.abs(basis[names.index(name)]).sum(1) for name in names}
    assert (part["melanin"][[4, 5, 6, 7, 8]] == 0).all() and part["melanin"][0] > 0.05
    assert part["lip redness"][2] > 0 and part["lip redness"][[0, 1, 3, 4]].max() == 0
    assert part["teeth lightness"].nonzero()[0].tolist() == [8]
    assert part["brow darkness"].nonzero()[0].tolist() == [3]


def test_the_smoothest_functions_of_a_grid():
    rows, columns = 6, 9
    grid = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = (g.reshape(-1) for g in (grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]))
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    y, x = np.mgrid[:rows, :columns].astype(float)
    verts = np.stack([x, y, 0 * x], -1).reshape(-1, 3)
    modes = laplacian_modes(verts, faces, 4)
    assert modes.shape == (rows * columns, 4)
    assert np.allclose(modes.std(0), 1) and np.allclose(modes.mean(0), 0, atol=1e-6)
    # the first one runs along the longer side, once from one end to the other
    first = modes[:, 0].reshape(rows, columns)
    assert np.corrcoef(first.mean(0), np.cos(np.pi * np.arange(columns) / (columns - 1)))[0, 1] ** 2 > 0.98
    assert np.array_equal(modes, laplacian_modes(verts, faces, 4))
    # rounding does not turn a sign, though each mode of this symmetric grid has its largest entry twice
    for seed in range(5):
        shaken = verts + 1e-9 * np.random.default_rng(seed).standard_normal(verts.shape)
        assert ((modes * laplacian_modes(shaken, faces, 4)).mean(0) > 0.99).all()
