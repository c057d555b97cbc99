"""The unwrapped photo against the texture it was painted with."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.synthetic_result import paint, synthetic_result

from facefit.anatomy.parts import LABEL, MASKS
from facefit.output.seen_pixels import seen_pixels
from facefit.output.texture import mirrored_corners, texels, unwrap

SIZE = 256


@pytest.fixture(autouse=True)
def small_check(monkeypatch):
    """The photo is held against the face in fewer pixels: most of the time goes there."""
    monkeypatch.setattr("facefit.output.skin_check.SIDE", 224)


def unwrapped(result, size):
    return unwrap(result.scene, seen_pixels(result), size)


def painted(texture=paint, size: int = SIZE) -> np.ndarray:
    centre = (np.arange(size) + 0.5) / size
    u, v = np.meshgrid(centre, 1 - centre)  # row 0 is v = 1
    return texture(u, v) * 255


@pytest.fixture(scope="module")
def frontal(toy_model):
    return synthetic_result(toy_model, width=840, height=720, side=160)


def test_texels_are_where_the_layout_says(toy_model):
    face, bary = texels(toy_model, 64)
    assert (face >= 0).all()  # the toy's layout fills the square
    np.testing.assert_allclose(bary.sum(-1), 1, atol=1e-6)
    at = (bary[..., None] * toy_model.uv.numpy()[toy_model.uv_faces.numpy()[face]]).sum(2)
    assert at[0, 10] == pytest.approx([10.5 / 64, 63.5 / 64], abs=1e-4)


def test_the_painted_texture_comes_back(frontal):
    texture, seen = unwrapped(frontal, SIZE)
    assert texture.shape == (SIZE, SIZE, 3) and texture.dtype == np.uint8 and seen.shape == (SIZE, SIZE)
    assert 0 <= seen.min() and seen.max() <= 1 and (seen > 0.9).mean() > 0.6
    error = np.abs(texture - painted())[seen > 0.95]
    assert error.mean() < 1.0 and error.max() < 8.0  # of 255


def test_resolution_is_that_of_the_photo_and_not_of_the_window(toy_model):
    def stripes(u, v):
        return np.stack([0.5 + 0.4 * np.sin(150 * u), 0.2 + 0 * u, 0.5 + 0 * v], -1)

    # 24 stripes over 100 photo pixels; in the 48 pixel window they would be grey
    result = synthetic_result(toy_model, width=1200, height=1200, side=48, texture=stripes)
    texture, seen = unwrapped(result, 512)
    error = np.abs(texture - painted(stripes, 512))[seen > 0.6]
    assert error.mean() < 4.0


def test_shrinking_averages_instead_of_picking(toy_model):
    def noise(u, v):
        grain = np.random.default_rng(0).uniform(0, 1, np.shape(u))
        return np.stack([grain, 0.2 + 0 * u, grain], -1)

    result = synthetic_result(toy_model, width=800, height=800, side=64, texture=noise)
    texture, seen = unwrapped(result, 32)  # some 10 x 10 photo pixels under each texel
    red = texture[..., 0][seen > 0.9]
    assert red.mean() == pytest.approx(127.5, abs=6) and red.std() < 20  # one pixel alone has 74


@pytest.mark.parametrize("yaw", (0.0, 0.5, -0.7))
def test_the_background_never_leaks(toy_model, yaw):
    result = synthetic_result(toy_model, yaw=yaw, width=840, height=720, side=160)
    # a segmentation that calls everything the person, so that only the geometry can keep the green wall out
    result.observation.valid[:] = 1
    texture, seen = unwrapped(result, SIZE)
    assert texture[..., 1][seen > 0].max() < 90  # painted 38, the model's albedo below 140; the wall has 255
    green = texture[..., 1].astype(int) - texture[..., 0]
    assert green.max() < 20


def test_what_is_not_valid_is_not_baked_in(frontal):
    photo = frontal.photo.copy()
    window = frontal.window
    low = (window.origin[0] + 60 / window.scale).int().tolist()
    high = (window.origin[0] + 80 / window.scale).int().tolist()
    photo[low[1] : high[1], low[0] : high[0]] = (0, 255, 0)  # a green sticker, known to the masks
    valid = frontal.observation.valid.clone()
    valid[:, 58:82, 58:82] = 0
    result = replace(frontal, photo=photo, observation=replace(frontal.observation, valid=valid))
    texture, seen = unwrapped(result, SIZE)
    assert texture[..., 1].max() < 130
    hidden = (seen == 0) & (np.abs(np.indices(seen.shape) - SIZE / 2).max(0) < SIZE * 0.35)
    assert hidden.sum() > 100  # a hole in the middle
    error = np.abs(texture - painted())[hidden].mean()
    assert error < 25  # filled with something like its surroundings: the albedo alone is off by


def test_unseen_texels_are_mirrored(toy_model):
    def spots(u, v):
        # the same on both sides, too fine for the base, no darker than freckles
        wave = 1 + 0.2 * np.sin(60 * np.abs(u - 0.5)) * np.sin(60 * v)
        return wave[..., None] * np.array((0.6, 0.45, 0.4))

    result = synthetic_result(toy_model, yaw=0.7, width=840, height=720, side=160, texture=spots)
    texture, seen = unwrapped(result, SIZE)
    wanted = painted(spots)
    other = seen[:, ::-1]
    only_mirrored = (seen == 0) & (other > 0.9)
    assert only_mirrored.mean() > 0.1
    assert np.abs(texture - wanted)[only_mirrored][:, 0].mean() < 25
    fine = texture[..., 0].astype(float) - np.roll(texture[..., 0].astype(float), 10, 0)
    real = wanted[..., 0] - np.roll(wanted[..., 0], 10, 0)
    assert np.corrcoef(fine[only_mirrored], real[only_mirrored])[0, 1] > 0.8


def test_gloss_and_furrows_are_not_mirrored_whole(toy_model):
    def furrows(depth):
        def paint(u, v):
            return (1 + depth * np.sin(60 * u))[..., None] * np.array((0.6, 0.45, 0.4)) + 0 * v[..., None]

        return synthetic_result(toy_model, yaw=0.7, width=840, height=720, side=160, texture=paint)

    strength = []
    for depth in (0.05, 0.5):
        result = furrows(depth)
        # nothing that the check for strands would leave out: all of it is to be seen, on one side
        texture, seen = unwrapped(result, SIZE)
        skin = np.isin(toy_model.vertex_label.numpy(), [LABEL["skin"]])[toy_model.faces.numpy()].all(1)
        only_mirrored = (seen == 0) & (seen[:, ::-1] > 0.95) & skin[texels(toy_model, SIZE)[0]]
        assert only_mirrored.sum() > 200
        row = np.abs(np.diff(texture[..., 0].astype(float), axis=1, prepend=0))
        strength.append(row[only_mirrored].mean())
    assert strength[1] < 5 * strength[0]  # ten times as deep


def test_no_seam_between_photo_and_fill(toy_model):
    result = synthetic_result(toy_model, yaw=0.7, width=840, height=720, side=160)
    texture, seen = unwrapped(result, SIZE)
    step = np.abs(np.diff(texture.astype(int), axis=1)).max(-1)
    border = (seen > 0) & (seen < 1)
    assert np.percentile(step[border[:, 1:]], 99) < 14  # the paint itself changes by up to 3 a texel


def test_mirror_of_the_mirror_is_the_texel_itself(toy_model):
    corners, known = mirrored_corners(toy_model)
    assert known.all()
    uv = toy_model.uv.numpy()[toy_model.uv_faces.numpy()]
    np.testing.assert_allclose(corners, np.stack([1 - uv[..., 0], uv[..., 1]], -1), atol=1e-6)


def test_the_same_bytes_twice_and_errors(frontal):
    first, second = unwrapped(frontal, 128), unwrapped(frontal, 128)
    assert (first[0] == second[0]).all() and (first[1] == second[1]).all()
    with pytest.raises(ValueError, match="16 to 8192"):
        unwrapped(frontal, 8)


def test_a_face_outside_the_photo_is_filled_from_the_model(frontal):
    value = frontal.parameters
    away = replace(value, translation=value.translation + torch.tensor([[5000.0, 0, 0]]))
    texture, seen = unwrapped(replace(frontal, parameters=away), 64)
    assert (seen == 0).all()
    albedo = frontal.model.albedo(value.albedo)[0].numpy() * 255  # under the light of shading 1
    assert np.abs(texture.mean((0, 1)) - albedo.mean(0)).max() < 15


def with_teeth(toy_model, paint):
    """The toy with teeth for lips, under a photo painted so, whose masks know nothing of a face."""
    labels, albedo = toy_model.vertex_label.clone(), toy_model.albedo_mean.clone()
    teeth = (labels == LABEL["upper_lip"]) | (labels == LABEL["lower_lip"])
    labels[teeth], albedo[teeth] = LABEL["mouth_inside"], 0.8
    model = replace(toy_model, vertex_label=labels, albedo_mean=albedo)
    result = synthetic_result(model, width=840, height=720, side=160, texture=paint)
    result.observation.valid[:] = 0
    face, _ = texels(toy_model, 128)
    return result, teeth[toy_model.faces].all(1).numpy()[face]


def pale(u, v):
    return np.full((*np.shape(u), 3), 0.7)


def test_of_the_mouth_teeth_alone_are_baked_in_and_no_hair_over_them(toy_model):
    result, mouth = with_teeth(toy_model, pale)
    seen = unwrapped(result, 128)[1]
    assert (seen[mouth] > 0.6).mean() > 0.3 and (seen[~mouth] > 0.6).mean() < 0.02
    result.observation.part_masks[:, MASKS.index("hair")] = 1
    assert (unwrapped(result, 128)[1] == 0).all()
    tongue, _ = with_teeth(toy_model, lambda u, v: pale(u, v) * (1, 0.4, 0.4))
    assert (unwrapped(tongue, 128)[1] == 0).all()


def test_the_photo_fades_towards_hair_and_not_towards_the_wall(frontal):
    """The upper half of the face is under hair."""
    plain = unwrapped(frontal, 128)[1]
    masks, valid = frontal.observation.part_masks.clone(), frontal.observation.valid.clone()
    side = valid.shape[-1]
    masks[:, MASKS.index("hair"), : side // 2] = 1
    valid[:, : side // 2] = 0
    seen = unwrapped(replace(frontal, observation=replace(frontal.observation, part_masks=masks, valid=valid)), 128)[1]
    row = np.arange(128)
    column = seen[:, 40]
    begins = row[column > 0.02].min()
    full = row[column > 0.95 * plain[:, 40].max()].min()
    millimetres = (full - begins) * 2 * 1.2 * 100 / 128  # in the middle of the toy's face
    assert 6 < millimetres < 14
    assert seen[100, 40] == pytest.approx(plain[100, 40], abs=0.02)


def test_skin_between_two_strands_is_not_taken(frontal):
    def covered(gap):
        """Two bars of hair with `gap` pixels of the masks between them; 1 pixel is some 1.3 mm."""
        masks = torch.zeros_like(frontal.observation.part_masks)
        masks[:, MASKS.index("occluder"), 95:99] = masks[:, MASKS.index("occluder"), 99 + gap : 103 + gap] = 1
        observation = replace(frontal.observation, part_masks=masks)
        return unwrapped(replace(frontal, observation=observation), 128)[1].max(1)

    narrow, wide = covered(4), covered(12)
    dark = np.flatnonzero(narrow[20:110] < 0.02) + 20
    assert (np.diff(dark) == 1).all()  # one band: nothing is taken between
    dark = np.flatnonzero(wide[20:110] < 0.02) + 20
    assert (np.diff(dark) > 1).sum() == 1
