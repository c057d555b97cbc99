"""Shapes carried to a person: the same turns of every triangle, closed lids and lips, bodies that stay bodies."""

import dataclasses

import numpy as np
import pytest
import torch
from helpers.rendered_face import with_expressions
from helpers.toy_faces import toy_face

from facefit.anatomy.landmarks import INNER_LIP_PAIRS, LID_PAIRS
from facefit.model.model_file import from_arrays
from facefit.rig.personal import personal_shapes


@pytest.fixture(scope="module")
def toy():
    return from_arrays(toy_face(17, eyes=True))


def numbers(tensor):
    return tensor.double().numpy()


def test_the_mean_face_keeps_its_own(toy):
    assert np.abs(personal_shapes(toy, numbers(toy.verts)) - numbers(toy.expression_basis)).max() < 1e-3


def test_a_larger_face_moves_further(toy):
    """A toy has no still neck to say where in space a shape is: all but that."""
    skin = toy.eyeball.numpy() == 0
    found = personal_shapes(toy, 1.2 * numbers(toy.verts))[:, skin]
    generic = numbers(toy.expression_basis)[:, skin]

    def size(shapes):
        return np.sqrt(((shapes - shapes.mean(1, keepdims=True)) ** 2).mean())

    assert size(found - 1.2 * generic) < 0.2 * size(found - generic)


def test_pieces_move_as_bodies(toy):
    arrays = toy_face(17, eyes=True)
    ball = np.flatnonzero(arrays["eyeball"] == 1)
    at = arrays["verts"][ball].astype(float)
    angle = 0.3
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    arrays["expression_basis"][1, ball] = (at - at.mean(0)) @ (turn - np.eye(3)).T
    model = from_arrays(arrays)
    neutral = numbers(model.verts) * (1.1, 0.9, 1.0)
    neutral[ball] = at + (2.0, 0, 0)
    shapes = personal_shapes(model, neutral)
    apart = np.linalg.norm(neutral[ball][:, None] - neutral[ball][None], axis=2)
    moved = neutral[ball] + shapes[1, ball]
    assert np.abs(np.linalg.norm(moved[:, None] - moved[None], axis=2) - apart).max() < 1e-6
    assert np.abs(shapes[1, ball]).max() > 2.0 and np.abs(shapes[0, ball]).max() == 0.0


def test_lids_and_lips_close_on_everybody(default_model):
    """Of a face beyond the model's components, too: eyes that are open by a quarter more."""
    model = with_expressions(default_model, "eyeBlink", "jawOpen", "mouthClose")
    identity = torch.randn(1, model.sizes["identity"], generator=torch.Generator().manual_seed(11))
    neutral = numbers(model.shape(identity, torch.zeros(1, model.sizes["expression"])))[0]
    for ball in ((model.eyeball == eye).numpy() for eye in (1, 2)):
        away = neutral - neutral[ball].mean(0)
        near = np.exp(-((np.linalg.norm(away, axis=1) / 18) ** 2)) * ~ball
        neutral[:, 1] += 0.25 * near * away[:, 1]
    shapes, names = personal_shapes(model, neutral), list(model.expression_names)

    def between(pairs, *moved):
        face = neutral + sum(shapes[names.index(name)] for name in moved)
        points = model.landmarks(torch.from_numpy(face).float()[None])[0].numpy()
        return points[[a for a, _ in pairs]] - points[[b for _, b in pairs]]

    open_eyes = np.linalg.norm(between(LID_PAIRS), axis=1)
    assert np.linalg.norm(between(LID_PAIRS, "eyeBlinkLeft", "eyeBlinkRight"), axis=1).max() < 0.5 < open_eyes.min()
    rise = between(INNER_LIP_PAIRS, "jawOpen", "mouthClose") - between(INNER_LIP_PAIRS)
    assert rise[:, 1].max() < 0.3
    assert (between(INNER_LIP_PAIRS, "jawOpen") - between(INNER_LIP_PAIRS))[4, 1] > 25
    teeth = shapes[names.index("jawOpen")]
    generic = numbers(model.expression_basis)[names.index("jawOpen")]
    assert np.abs(teeth - generic).max() > 1.0  # this jaw is another one
    rigid = model.eyeball.numpy() > 0
    assert np.abs(shapes[:, rigid]).max() < 1e-6


def test_another_surface(toy):
    with pytest.raises(ValueError, match="neutral"):
        personal_shapes(toy, np.zeros((5, 3)))
    broken = numbers(toy.verts).copy()
    broken[3] = np.nan
    with pytest.raises(ValueError, match="finite"):
        personal_shapes(toy, broken)


def test_a_model_without_expressions(toy):
    plain = dataclasses.replace(toy, expression_basis=toy.expression_basis[:0], expression_names=())
    assert personal_shapes(plain, numbers(toy.verts)).shape == (0, *toy.verts.shape)
