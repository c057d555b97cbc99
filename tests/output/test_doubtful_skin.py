"""Places of a face that a photo shows without telling what they are like."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.synthetic_result import synthetic_result

from facefit.anatomy.parts import LABEL
from facefit.output.doubtful_skin import behind_glasses, beside_hidden_mouth
from facefit.output.seen_pixels import seen_pixels


@pytest.fixture(scope="module")
def face(toy_model):
    return synthetic_result(toy_model, width=840, height=720, side=160)


def labelled(model, *names):
    return np.isin(model.vertex_label.numpy(), [LABEL[name] for name in names])


def under(face, *names):
    """(S, S) bool: pixels of the masks under some vertices, and around them."""
    pixels = face.window.to_window(face.scene.pixels())[0].numpy()[labelled(face.model, *names)]
    mask = np.zeros((face.window.size,) * 2, bool)
    (left, top), (right, bottom) = pixels.min(0).astype(int), pixels.max(0).astype(int)
    mask[top : bottom + 1, left : right + 1] = True
    return mask


def test_glasses_are_about_the_eyes_and_leave_them_and_the_mouth_alone(face):
    pixels = seen_pixels(face)
    assert (behind_glasses(face.scene, pixels) == 0).all()
    worn = under(face, "right_eye", "left_eye")
    found = behind_glasses(face.scene, replace(pixels, glasses=worn))
    place, eyes = face.model.verts.numpy(), labelled(face.model, "right_eye", "left_eye")
    bridge = (np.abs(place[:, 0]) < 5) & (np.abs(place[:, 1] - place[eyes, 1].mean()) < 8)
    assert found[bridge].min() > 0.8 and (found[eyes] == 0).all()
    assert (found[labelled(face.model, "upper_lip", "right_brow")] == 0).all()
    assert (found[np.abs(place[:, 1] - place[eyes, 1].mean()) > 50] == 0).all()


def test_the_sides_of_a_beard_whose_middle_is_hidden(face):
    place, skin = face.model.verts.numpy(), labelled(face.model, "skin")
    shown = np.ones(len(place))
    assert (beside_hidden_mouth(face.scene, shown) == 0).all()
    lips = labelled(face.model, "upper_lip", "lower_lip")
    shown[np.abs(place[:, 0]) < np.abs(place[lips, 0]).max() + 10] = 0
    found = beside_hidden_mouth(face.scene, shown)
    jaw = skin & (shown == 1) & (place[:, 1] < place[lips, 1].min())
    assert jaw.any() and found[jaw].min() > 0.9
    assert (found[place[:, 1] > 0] == 0).all() and (found[lips] == 0).all()
