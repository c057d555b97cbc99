"""What is written about a picture, held against the mesh that its parameters give: half a pixel, a tenth of a mm."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from facefit.anatomy.landmarks import IBUG68
from facefit.anatomy.parts import LABEL
from facefit.geometry.camera import Camera, project, to_camera_space
from facefit.geometry.closest_point import ClosestPoint
from facefit.geometry.triangles import vertex_normals
from facefit.render.view import make_window, view
from facefit.scene.part_picture import render_labels
from facefit.synth.truth import celebamask, truth_of

LIPS = ("upper_lip", "lower_lip")


@pytest.fixture(scope="module", params=range(3))
def known(request, toy_people, toy_model):
    """(arrays of a picture, camera space vertices by its parameters, camera, vertices of its .npz)."""
    path = sorted(toy_people.glob("pictures/*/*.npz"))[request.param]
    with np.load(path) as file:
        arrays = dict(file)
    given = {name: torch.from_numpy(value)[None] for name, value in arrays.items()}
    shape = toy_model.shape(given["identity"], given["expression"], given["gaze"])
    verts = to_camera_space(shape, given["rotvec"], given["translation"])
    camera = Camera(given["focal"], given["centre"])
    np.testing.assert_allclose(arrays["verts"], shape[0], atol=1e-4)
    return arrays, verts, camera


def test_landmarks_are_the_meshs_projected(known, toy_model):
    arrays, verts, camera = known
    points = toy_model.landmarks(verts)
    np.testing.assert_allclose(arrays["landmarks"], project(points, camera)[0], atol=0.05)
    np.testing.assert_allclose(arrays["landmarks_3d"], points[0], atol=0.01)
    np.testing.assert_array_equal(arrays["landmarks68"], arrays["landmarks"][list(IBUG68)])
    np.testing.assert_array_equal(arrays["landmarks68_3d"], arrays["landmarks_3d"][list(IBUG68)])


def test_depth_normals_and_texture_coordinates_are_of_the_surface_at_each_pixel(known, toy_model):
    arrays, verts, _ = known
    row, column = np.nonzero(arrays["depth"])
    assert len(row) > 200
    depth, focal, centre = arrays["depth"][row, column], float(arrays["focal"][0]), arrays["centre"]
    ray = np.stack([column + 0.5 - centre[0], centre[1] - row - 0.5, np.full(len(row), -focal)], 1) / focal
    points, faces = verts[0].double().numpy(), toy_model.faces.numpy()
    distance, place, triangle = ClosestPoint(points, faces)(ray * depth[:, None])
    assert distance.max() < 0.1  # mm
    corners = points[faces[triangle]]
    share = np.stack([np.linalg.lstsq(c.T, p, rcond=None)[0] for c, p in zip(corners, place, strict=True)])
    uv = np.einsum("nk,nkc->nc", share, toy_model.uv.numpy()[toy_model.uv_faces.numpy()[triangle]])
    np.testing.assert_allclose(arrays["uv"][row, column] / 65535, uv, atol=1e-3)
    normal = np.einsum("nk,nkc->nc", share, vertex_normals(points, faces)[faces[triangle]])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    np.testing.assert_allclose(arrays["normals"][row, column] / 127, normal, atol=0.02)


def test_labels_lie_where_the_mesh_has_its_parts(known, toy_model):
    """All but a pixel's width along their borders."""
    arrays, verts, camera = known
    size = len(arrays["labels"])
    parts = render_labels(toy_model, verts[0].numpy(), camera, size, size)
    checked = 0
    for name in LIPS:
        within = ndimage.binary_erosion(parts == LABEL[name], np.ones((3, 3)))
        seen = arrays["labels_below"][within]
        checked += len(seen)
        assert np.isin(seen, (LABEL[name], LABEL["hair"])).all(), name
        beyond = ~ndimage.binary_dilation(parts == LABEL[name], np.ones((3, 3)))
        assert (arrays["labels_below"][beyond] != LABEL[name]).all(), name
    assert checked > 0


def test_landmarks_behind_the_head_or_something_else_are_not_visible(known, toy_model):
    arrays, verts, camera = known
    size = len(arrays["labels"])
    seen = view(verts[0].numpy(), toy_model.faces.numpy(), camera, make_window((0.0, 0.0), size, size))
    column, row = np.floor(arrays["landmarks"]).astype(int).T
    inside = (np.minimum(row, column) >= 0) & (np.maximum(row, column) < size)
    visible = arrays["landmarks_visible"]
    assert not visible[~inside].any() and visible.mean() > 0.05
    row, column = row[visible], column[visible]
    nearest = ndimage.maximum_filter(seen.depth, 3)[row, column]
    assert (-arrays["landmarks_3d"][visible, 2] < nearest + 3.1).all()
    assert not np.isin(arrays["labels"][row, column], [LABEL[n] for n in ("hair", "glasses", "occluder")]).any()


def test_the_far_side_and_what_is_covered_are_not_visible(toy_model):
    angle = np.radians(70)
    turned = torch.tensor([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]).float()
    verts = (toy_model.verts @ turned.T - torch.tensor([0, 0, 600.0])).numpy()
    camera = Camera(torch.full((1, 2), 200.0), torch.full((1, 2), 48.0))
    free, covered = np.zeros((96, 96), np.uint8), np.full((96, 96), LABEL["occluder"], np.uint8)
    truth = truth_of(toy_model, verts, camera, free)
    across = toy_model.landmarks(toy_model.verts[None])[0, :, 0].numpy()
    near, far = across < 0, across > 45  # it looks to its left and shows its right
    assert truth.visible[far].mean() < 0.2 and truth.visible[near].mean() > 0.8
    assert not truth_of(toy_model, verts, camera, covered).visible.any()


def test_celebamask_numbers_sides_as_the_picture_has_them():
    labels = np.array([[LABEL[name] for name in ("right_eye", "left_brow", "neck", "hair", "occluder", "ear")]] * 2)
    labels[1] = LABEL["ear"], LABEL["background"], LABEL["background"], LABEL["skin"], LABEL["glasses"], LABEL["nose"]
    clothes = np.zeros(labels.shape, bool)
    clothes[1, 1:4] = True
    found = celebamask(labels.astype(np.uint8), clothes, np.full((478, 2), 3.0))
    np.testing.assert_array_equal(found, [[4, 7, 17, 13, 0, 9], [8, 18, 18, 1, 3, 2]])
