"""Lids of the default head, open and shut."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from facefit.anatomy.parts import LABEL
from facefit.geometry.camera import Camera
from facefit.geometry.mesh_graph import mesh_edges
from facefit.output.lids import closed_lids
from facefit.output.shading import held_albedo, held_shading, seen_colours
from facefit.scene.parameters import Parameters
from facefit.scene.part_picture import mesh_faces
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


def test_coloured_light_has_no_border(default_model):
    sh = torch.zeros(1, 9, 3)
    sh[:, 0] = 2.5
    sh[:, 8] = torch.tensor([-1.5, 0.0, 2.5])  # a channel runs off to both sides
    face = scene(default_model, sh=sh)
    edges = mesh_edges(mesh_faces(default_model))
    verts = default_model.verts.numpy()
    skull = edges[(verts[edges][..., 1] > 60).all(1)]  # smooth, so that a step is no crease
    apart = np.linalg.norm(verts[skull[:, 0]] - verts[skull[:, 1]], axis=1)
    colours = held_shading(face)
    hue = colours / colours.mean(1, keepdims=True)
    step = np.abs(hue[skull[:, 0]] - hue[skull[:, 1]]).max(1) / apart
    assert np.percentile(step, 99) < 0.03 < np.ptp(hue, 0).max()  # a millimetre


def test_brows_that_nobody_sees_are_no_darker_than_usual(default_model):
    brow = np.isin(default_model.vertex_label.numpy(), [LABEL["right_brow"], LABEL["left_brow"]])
    basis = default_model.albedo_basis.clone()
    basis[0] = 0
    basis[0, torch.from_numpy(brow)] = -10.0
    black = replace(default_model, albedo_basis=basis)
    value = Parameters.zeros(black.sizes)
    albedo = value.albedo.clone()
    albedo[0, 0] = 1
    face = scene(black)
    face = replace(face, parameters=replace(face.parameters, albedo=albedo))
    assert seen_colours(face)[brow].max() == 0
    usual = default_model.albedo_mean.numpy()[brow]
    np.testing.assert_allclose(held_albedo(face)[brow], 0.9 * usual, rtol=0.02)


def test_a_model_without_blinks_has_no_lids(toy_model):
    value = Parameters.zeros(toy_model.sizes)
    assert closed_lids(Scene(toy_model, value, Camera(torch.ones(1, 2), torch.ones(1, 2)), exact=True)) is None


@pytest.mark.parametrize("size", (0.2, 0.6))
def test_half_shut_is_in_between(default_model, size):
    opened, half = (closed_lids(scene(default_model, blink)).folded.sum() for blink in (0.0, size))
    assert half < opened
