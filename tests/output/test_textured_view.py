"""The toy's texture on the screen."""

import numpy as np
import pytest

from facefit.output.textured_view import BACKGROUND, textured_view


@pytest.fixture(scope="module")
def halves():
    texture = np.zeros((64, 64, 3), np.uint8)
    texture[:, :32, 0], texture[:, 32:, 2] = 250, 250  # red where u < 1/2, blue where more
    return texture


def test_the_texture_lies_where_the_layout_says(toy_model, halves):
    picture = textured_view(toy_model, toy_model.verts.numpy().astype(np.float64), halves, size=96)
    red, blue = ((picture[..., k] > 200) & (picture[..., 1] < 60) for k in (0, 2))
    assert red.sum() > 300 and blue.sum() > 300
    right_is_more_u = toy_model.uv.numpy()[toy_model.uv_faces.numpy()[:, 0], 0]
    x = toy_model.verts.numpy()[toy_model.faces.numpy()[:, 0], 0]
    sign = np.sign(np.corrcoef(right_is_more_u, x)[0, 1])
    assert sign * (np.nonzero(blue)[1].mean() - np.nonzero(red)[1].mean()) > 10
    assert (picture[0, 0] == BACKGROUND).all()


def test_turned_to_its_left_it_looks_to_the_viewers_right(toy_model, halves):
    verts = toy_model.verts.numpy().astype(np.float64)
    nose = verts[:, 2].argmax()
    spot = np.zeros((64, 64, 3), np.uint8)
    u, v = toy_model.uv.numpy()[toy_model.uv_faces.numpy()[(toy_model.faces.numpy() == nose).any(1)]].mean((0, 1))
    spot[max(0, int((1 - v) * 64) - 6) : int((1 - v) * 64) + 6, max(0, int(u * 64) - 6) : int(u * 64) + 6] = 255
    places = [
        np.nonzero(textured_view(toy_model, verts, spot, yaw, size=96)[..., 0] > 240)[1].mean() for yaw in (-30, 0, 30)
    ]
    assert places[0] < places[1] < places[2]
