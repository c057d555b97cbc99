"""Lids of the default head, open and shut."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from facefit.geometry.camera import Camera
from facefit.output.lids import closed_lids
from facefit.output.shading import held_shading
from facefit.scene.parameters import Parameters
from facefit.scene.scene import Scene


def scene(model, blink=0.0, sh=None):
    value = Parameters.zeros(model.sizes)
    expression = value.expression.clone()
    for name in ("eyeBlinkLeft", "eyeBlinkRight"):
        expression[0, model.expression_names.index(name)] = blink
    value = replace(
        value, expression=expression, translation=torch.tensor([[0.0, 0, -700]]), sh=value.sh if sh is None else sh
    )
    return Scene(model, value, Camera(torch.tensor([[900.0, 900.0]]), torch.tensor([[200.0, 200.0]])), exact=True)


def test_open_eyes_fold_their_lids_and_closed_ones_do_not(default_model):
    lids = closed_lids(scene(default_model))
    vertices = lids.folded_vertices()
    assert 0 <= lids.folded.min() and lids.folded.max() > 0.99
    place = default_model.verts.numpy()[vertices > 0.5]
    assert 20 < len(place) < 1000
    assert (np.abs(np.abs(place[:, 0]) - 31) < 20).all() and (np.abs(place[:, 1]) < 20).all()  # about the eyes
    assert closed_lids(scene(default_model, blink=1.0)).folded.max() == 0


def test_folded_skin_is_lit_as_unfolded(default_model):
    sh = torch.zeros(1, 9, 3)
    sh[:, 0], sh[:, 1] = 2.5, 0.8  # from above: what is folded looks down
    face = scene(default_model, sh=sh)
    folded = closed_lids(face).folded_vertices() > 0.9
    unfolded = held_shading(scene(default_model, blink=1.0, sh=sh))
    np.testing.assert_allclose(held_shading(face)[folded], unfolded[folded], rtol=0.15)


def test_what_the_photo_does_not_show_has_one_hue(default_model):
    sh = torch.zeros(1, 9, 3)
    sh[:, 0], sh[:, 3] = 2.5, torch.tensor([-1.5, -0.5, 0.5])  # blue from one side, red from the other
    face = scene(default_model, sh=sh)
    shades = held_shading(face)
    behind = default_model.verts.numpy()[:, 2] < -120
    hue = shades[behind] / shades[behind].mean(1, keepdims=True)
    assert hue.std(0).max() < 0.02 and shades.min() > 0


def test_a_model_without_blinks_has_no_lids(toy_model):
    value = Parameters.zeros(toy_model.sizes)
    assert closed_lids(Scene(toy_model, value, Camera(torch.ones(1, 2), torch.ones(1, 2)), exact=True)) is None


@pytest.mark.parametrize("size", (0.2, 0.6))
def test_half_shut_is_in_between(default_model, size):
    opened, half = (closed_lids(scene(default_model, blink)).folded.sum() for blink in (0.0, size))
    assert half < opened
