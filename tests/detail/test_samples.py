"""What is read of a photo at the vertices of a patch."""

import numpy as np
import pytest
from helpers.synthetic_result import synthetic_result

from facefit.detail.patch import skin_patch
from facefit.detail.refine import displaced_model, neutral_verts
from facefit.detail.samples import linear_light, sample_patch
from facefit.geometry.triangles import vertex_normals


def test_linear_light_is_that_of_srgb():
    assert linear_light(np.array([0.0, 0.04045, 1.0])) == pytest.approx([0, 0.04045 / 12.92, 1])
    assert linear_light(np.array([0.5]))[0] == pytest.approx(0.2140, abs=1e-4)


@pytest.fixture(scope="module")
def result(toy_model):
    return synthetic_result(
        toy_model, yaw=0.4, texture=lambda u, v: np.stack([0.3 + 0.5 * u, 0.6 + 0 * u, 0.4 + 0.3 * v], -1)
    )


@pytest.fixture(scope="module")
def patch(result):
    return skin_patch(result.model, neutral_verts(result))


def test_colours_are_those_of_the_texture_where_the_vertex_is_seen(result, patch):
    sample = sample_patch(result, patch)
    sure = sample.weight > 0.9
    assert sure.sum() > 40
    uv = np.zeros((len(result.model.verts), 2))
    uv[result.model.faces.numpy().reshape(-1)] = result.model.uv.numpy()[result.model.uv_faces.numpy().reshape(-1)]
    u, v = uv[patch.vertices].T
    wanted = linear_light(np.stack([0.3 + 0.5 * u, 0.6 + 0 * u, 0.4 + 0.3 * v], -1))
    off = np.abs(np.log(sample.colour / wanted))[sure]  # the toy's triangles are large, and so is the blur
    assert np.median(off) < 0.02 and np.percentile(off, 80) < 0.1


def test_what_turns_away_or_is_not_the_persons_does_not_count(result, patch):
    sample = sample_patch(result, patch)
    verts = result.verts_in("camera")
    normals = vertex_normals(verts, result.model.faces.numpy())[patch.vertices]
    away = -verts[patch.vertices] / np.linalg.norm(verts[patch.vertices], axis=1, keepdims=True)
    facing = (normals * away).sum(1)
    assert (sample.weight[facing < 0.2] == 0).all() and (facing < 0.2).any()
    result.observation.valid[:, :, : result.window.size // 2] = 0
    try:
        half = sample_patch(result, patch)
    finally:
        result.observation.valid[:] = 1
    assert 0 < half.weight.sum() < 0.8 * sample.weight.sum()


def test_turns_take_neutral_normals_into_the_photo_with_its_expression(result, patch):
    sample = sample_patch(result, patch)
    normals = vertex_normals(result.verts_in("camera"), result.model.faces.numpy())[patch.vertices]
    np.testing.assert_allclose(np.einsum("nij,nj->ni", sample.turn, patch.normals), normals, atol=1e-9)
    np.testing.assert_allclose(
        sample.turn @ sample.turn.transpose(0, 2, 1), np.eye(3)[None].repeat(patch.count, 0), atol=1e-9
    )


def test_a_persons_model_carries_the_displacement(result, patch):
    verts = neutral_verts(result)
    displacement = np.zeros(len(verts))
    displacement[patch.vertices] = 0.5 * patch.fade
    model = displaced_model(result.model, verts, displacement)
    moved = neutral_verts(type(result)(**{**vars(result), "model": model}))
    np.testing.assert_allclose(np.linalg.norm(moved - verts, axis=1), np.abs(displacement), atol=1e-4)
