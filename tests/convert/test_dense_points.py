"""The observed points on another head: those of a head on itself, and of a head that is the same elsewhere."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.toy_faces import toy_face

from facefit.convert.dense_points import dense_point_arrays, with_dense_points
from facefit.importers.dense_points import at_vertices
from facefit.model.model_file import from_arrays
from facefit.scene.silhouette import neck


@pytest.fixture(scope="module")
def own():
    """A toy head that knows every third of its vertices."""
    arrays = toy_face(25)
    return arrays, from_arrays(arrays | at_vertices(arrays["faces"], np.arange(0, len(arrays["verts"]), 3)))


def test_a_head_without_points_is_given_them_where_they_are(own):
    """A finer grid of the same surface, whose vertices are others."""
    arrays, model = own
    finer = toy_face(37)
    given = from_arrays(with_dense_points(finer, model))
    assert given.dense_faces.shape == model.dense_faces.shape
    known = given.dense_faces >= 0
    apart = given.dense_points(given.verts[None])[0] - model.dense_points(model.verts[None])[0]
    assert known.float().mean() > 0.8
    assert apart[known].norm(dim=1).median() < 1.5
    torch.testing.assert_close(given.dense_bary.sum(1), torch.ones(len(apart)))


def test_what_is_far_from_the_surface_is_not_known(own):
    arrays, model = own
    half = {**toy_face(25)}
    keep = half["verts"][half["faces"]][..., 1].min(1) > -40
    for name in ("faces", "uv_faces"):
        half[name] = half[name][keep]
    place = np.cumsum(keep) - 1
    half["landmark_faces"] = np.where(keep[half["landmark_faces"]], place[half["landmark_faces"]], 0)
    cut = from_arrays(half)
    found = dense_point_arrays(cut, model)["dense_faces"]
    low = model.dense_points(model.verts[None])[0, :, 1] < -55
    assert low.sum() > 10 and (found[low] == -1).mean() > 0.5


def test_decoders_go_without_and_somebody_must_have_the_points(own):
    arrays, model = own
    decoder = {"decoder_network": np.zeros(1, np.uint8)}
    assert with_dense_points(decoder, model) is decoder
    with pytest.raises(ValueError, match="no dense points"):
        dense_point_arrays(model, replace(model, dense_faces=None))


def test_another_throat_moves_no_point_of_the_jaw(default_model):
    """Somebody of the default model whose throat alone lies 6 mm higher: the points are known, they are vertices."""
    rng = np.random.default_rng(0)
    coefficients = torch.from_numpy(rng.normal(0, 0.7, (1, default_model.sizes["identity"]))).float()
    person = default_model.shape(coefficients, torch.zeros(1, default_model.sizes["expression"]))[0]
    landmarks = default_model.landmarks(person[None])[0].numpy()
    raised = person + 6 * torch.tensor([0.0, 1.0, 0.0]) * torch.from_numpy(neck(person.numpy(), landmarks))[:, None]
    other = replace(default_model, verts=raised, dense_faces=None, dense_bary=None)
    given = dense_point_arrays(other, default_model)
    found = {name: torch.from_numpy(given[name]) for name in given}
    found = replace(other, dense_faces=found["dense_faces"].long(), dense_bary=found["dense_bary"])
    true = default_model.dense_points(raised[None])[0]
    jaw = (true[:, 1] < landmarks[164, 1]) & (found.dense_faces >= 0)
    apart = (found.dense_points(raised[None])[0] - true).norm(dim=1)[jaw]
    assert jaw.sum() > 100 and apart.mean() < 1.5  # 3.3 with the throat
