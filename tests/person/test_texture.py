"""The blended texture: what any photo shows is there, and photos of another exposure leave no seam."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.synthetic_result import synthetic_result

from facefit.anatomy.landmarks import EYE_CORNERS
from facefit.anatomy.parts import MASKS
from facefit.geometry.camera import project
from facefit.person.texture import Blend
from facefit.person.texture_alignment import motion, moved
from facefit.person.texture_layer import photo_layer

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


def lined(height):
    """Skin with a thin dark line across the forehead."""
    return lambda u, v: skin(u, v) * (1 - 0.6 * np.exp(-(((v - height) / 0.008) ** 2)))[..., None]


def test_what_lies_apart_in_two_photos_is_there_once(toy_model):
    blend, size = Blend(2 * SIZE, "albedo"), 2 * SIZE
    for yaw, height in ((0.1, 0.66), (-0.25, 0.70)):
        blend.add(synthetic_result(toy_model, yaw=yaw, texture=lined(height), width=840, height=720))
    column = blend.picture(synthetic_result(toy_model).scene)[:, size // 2].mean(1).astype(float)
    first, second, beside = (column[int((1 - height) * size)] for height in (0.66, 0.70, 0.78))
    assert first < 0.8 * beside and beside - second < 0.3 * (beside - first)


def test_a_photo_with_something_at_the_eyes_is_not_asked_there(toy_model):
    clean = synthetic_result(toy_model)
    masks = clean.observation.part_masks.clone()
    points = toy_model.landmarks(torch.from_numpy(clean.scene.verts_in("camera"))[None].float())
    landmarks = clean.window.to_window(project(points, clean.camera))
    column, row = landmarks[0, EYE_CORNERS[1]].long().tolist()
    masks[0, MASKS.index("occluder"), row, column] = 1
    worn = replace(clean, observation=replace(clean.observation, part_masks=masks, landmarks=landmarks))
    before, after = (photo_layer(each, SIZE).confidence for each in (clean, worn))
    band = (before > 0.9) & (after < 0.1)
    assert band.any(1).mean() < 0.5 < 4 * band.any(0).mean()  # across the face
    assert ((before > 0.9) & (after == before)).mean() > 0.1  # and nowhere else


def test_textures_are_laid_on_each_other():
    rng = np.random.default_rng(0)
    texture = np.repeat(0.3 + 0.4 * rng.random((32, 32)).repeat(8, 0).repeat(8, 1)[..., None], 3, 2)
    texture = texture.astype(np.float32)
    other, whole = np.roll(texture, (2, -1), (0, 1)), np.ones(texture.shape[:2], np.float32)
    by = motion(texture, whole, other, whole)
    back = moved(other, by, whole > 0)
    inner = np.s_[20:-20, 20:-20]
    assert np.abs(back - texture)[inner].mean() < 0.4 * np.abs(other - texture)[inner].mean()
    assert motion(texture, whole, other, 0 * whole) is None


def test_another_kind_is_refused():
    with pytest.raises(ValueError, match="albedo"):
        Blend(SIZE, "paint")
