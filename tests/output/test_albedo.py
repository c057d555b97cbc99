"""Light that is known is taken out, and what is the skin's own stays."""

import numpy as np
import pytest
import torch
from helpers.synthetic_result import synthetic_result

from facefit.output.albedo import albedo_layer
from facefit.output.texture import Unwrapped, texels
from facefit.output.texture_picture import texture_picture

SIZE = 64


@pytest.fixture(scope="module")
def face(toy_model):
    return synthetic_result(toy_model, side=96)


def layers(face, light, own=1.0, gloss=0.0):
    """The texture of the fitted albedo times `own` under `light`, with `gloss` on it."""
    at, bary = texels(face.model, SIZE)
    albedo = face.model.albedo(face.parameters.albedo)[0].numpy().clip(0, 1)
    fitted = (bary[..., None] * albedo[face.model.faces.numpy()[at]]).sum(2)
    base = (fitted * light).astype(np.float32)
    photo = (base * own + gloss).astype(np.float32)
    return Unwrapped(photo, base, np.ones((SIZE, SIZE), np.float32), at, bary), fitted


def test_one_skin_under_two_lights(face):
    across = np.linspace(0.3, 1.1, SIZE)[:, None]
    freckles = 1 - 0.3 * (np.random.default_rng(0).random((SIZE, SIZE, 1)) > 0.8)
    results = []
    for light in (np.float64(0.8), across[..., None] * (1.0, 0.9, 0.75)):
        given, fitted = layers(face, light, freckles)
        results.append((given.photo, albedo_layer(face.scene, given)))
    (first_photo, first), (second_photo, second) = results
    np.testing.assert_allclose(first, fitted * freckles, atol=2e-3)
    assert np.abs(first - second).mean() < 0.4 * np.abs(first_photo - second_photo).mean()
    dark = freckles[..., 0] < 1
    assert (second[dark] / fitted[dark]).mean() / (second[~dark] / fitted[~dark]).mean() == pytest.approx(0.7, abs=0.02)


def test_gloss_is_taken_off_and_pale_skin_is_not(face):
    shine = np.zeros((SIZE, SIZE, 1))
    shine[20:30, 20:30] = 0.25
    given, fitted = layers(face, np.float64(0.7), gloss=shine)
    out = albedo_layer(face.scene, given)
    lit = shine[..., 0] > 0
    before = (given.photo[lit] / given.base[lit]).mean() - 1  # more than half as bright again
    assert before > 0.5 and np.abs(out[lit] / fitted[lit] - 1).mean() < 0.25 * before


def test_both_kinds_and_no_third(face):
    photo, albedo = (texture_picture(face, SIZE, kind) for kind in ("photo", "albedo"))
    assert photo.shape == albedo.shape == (SIZE, SIZE, 3) and albedo.dtype == np.uint8
    assert np.abs(photo.astype(int) - albedo).mean() > 3
    with pytest.raises(ValueError, match="accepted: photo, albedo"):
        texture_picture(face, SIZE, "normal")
    with torch.no_grad():
        assert (texture_picture(face, SIZE, "albedo") == albedo).all()
