"""A mesh through a window: each pixel lies on the triangle that it names, where its weights say."""

import numpy as np
import pytest
import torch

from facefit.geometry.camera import Camera, project
from facefit.render.view import make_window, view
from facefit.scene.part_picture import mesh_faces, part_labels

SIDE = 48


@pytest.fixture(scope="module")
def seen(toy_model):
    """The toy at half a metre, its corner in the middle of the window; and its vertices."""
    verts = toy_model.verts.double().numpy() + (35.0, -50.0, -500.0)
    camera = Camera(torch.full((1, 2), 120.0), torch.full((1, 2), 30.0))
    return view(verts, mesh_faces(toy_model), camera, make_window((6.0, 4.0), 40.0, SIDE)), verts, camera


def test_points_of_the_surface_lie_under_their_pixels(toy_model, seen):
    picture, verts, camera = seen
    assert 0.2 < picture.seen.mean() < 0.9
    at = picture.interpolate(verts, mesh_faces(toy_model))
    pixels = project(torch.from_numpy(at[picture.seen]).double()[None], camera)[0].numpy()
    rows, columns = np.nonzero(picture.seen)
    centres = np.stack([columns + 0.5, rows + 0.5], 1) * 40 / SIDE + (6.0, 4.0)
    np.testing.assert_allclose(pixels, centres, atol=1e-3)
    np.testing.assert_allclose(picture.depth[picture.seen], -at[picture.seen][:, 2], rtol=1e-5)
    np.testing.assert_allclose(picture.bary[picture.seen].sum(1), 1, atol=1e-6)
    np.testing.assert_array_equal(picture.interpolate_seen(verts, mesh_faces(toy_model)), at[picture.seen])


def test_beside_the_mesh_there_is_nothing(toy_model, seen):
    picture, verts, _ = seen
    nothing = ~picture.seen
    assert (picture.face[nothing] == -1).all() and np.isinf(picture.depth[nothing]).all()
    assert not picture.bary[nothing].any() and not picture.interpolate(verts, mesh_faces(toy_model))[nothing].any()


def test_a_pixel_has_the_label_with_the_most_weight(toy_model, seen):
    picture, faces = seen[0], mesh_faces(toy_model)
    label = np.arange(len(toy_model.verts)) // 3 % 5 + 1  # corners of a triangle share labels now and then
    weight = np.zeros((*picture.face.shape, 6))
    for corner in range(3):
        np.put_along_axis(
            weight, (at := label[faces[picture.face, corner]])[..., None],
            np.take_along_axis(weight, at[..., None], -1) + picture.bary[..., corner, None], -1,
        )  # fmt: skip
    labels = part_labels(picture, faces, label)
    assert labels.dtype == np.uint8 and not labels[~picture.seen].any()
    best = np.sort(weight, -1)
    clear = picture.seen & (best[..., -1] - best[..., -2] > 1e-5)
    np.testing.assert_array_equal(labels[clear], weight.argmax(-1)[clear])
    assert clear.sum() > 0.9 * picture.seen.sum()
