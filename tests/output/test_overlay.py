"""The pictures of a fit: labels against areas worked out from the mesh, panels against what they must show."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.synthetic_result import GREEN, synthetic_result
from PIL import Image

import facefit.scene.part_picture
from facefit.anatomy.parts import LABEL
from facefit.geometry.camera import Camera, project
from facefit.output.overlay import PANELS, labels_png, overlay, overlay_png, overlay_window
from facefit.output.textured_view import BACKGROUND
from facefit.scene.part_picture import render_labels


@pytest.fixture(scope="module")
def result(toy_model):
    return synthetic_result(toy_model, yaw=0.3, width=500, height=360)


def test_labels_are_a_grey_png_of_the_photo_size(result):
    with Image.open(io.BytesIO(labels_png(result.scene, result.photo_size))) as image:
        assert image.mode == "L" and image.size == (500, 360)
        labels = np.array(image)
    assert set(np.unique(labels)) == {0, 1, 2, 3, 4, 5, 6, 7, 8}
    # the wall is green, the mesh is not: the background label is exactly the wall
    wall = (result.photo == GREEN).all(-1)
    assert ((labels == 0) == wall).mean() > 0.9999
    # the right eye is the person's: on the left of the photo
    columns = {name: np.nonzero(labels == LABEL[name])[1].mean() for name in ("right_eye", "nose", "left_eye")}
    assert columns["right_eye"] < columns["nose"] < columns["left_eye"]


def test_label_areas_of_a_flat_board(toy_model):
    """Two squares of a board 1 m away: 30 mm at 2000 px is 60 px, so areas and borders are known by hand."""
    x, y = np.meshgrid([-45.0, -15.0, 15.0, 45.0], [-15.0, 15.0])
    verts = np.stack([x.ravel(), y.ravel(), np.full(8, -1000.0)], -1)
    faces = torch.tensor([[0, 1, 5], [0, 5, 4], [1, 2, 6], [1, 6, 5], [2, 3, 7], [2, 7, 6]])
    label = torch.tensor([1, 1, 2, 2, 1, 1, 2, 2])
    model = replace(toy_model, faces=faces, vertex_label=label)
    camera = Camera(torch.tensor([[2000.0, 2000.0]]), torch.tensor([[120.0, 50.0]]))
    labels = render_labels(model, verts, camera, 240, 100)
    assert (labels == 1).sum() == 90 * 60 and (labels == 2).sum() == 90 * 60  # the middle square is halved
    assert labels[49, 29:31].tolist() == [0, 1] and labels[49, 119:121].tolist() == [1, 2]
    assert labels[:20].max() == 0 and labels[20, 40] == 1 and labels[80:].max() == 0


def test_the_nearer_part_hides_the_other(toy_model):
    verts = np.array(
        [[-9, -9, -1000], [9, -9, -1000], [0, 9, -1000], [-9, -9, -900], [9, -9, -900], [0, 9, -900]], float
    )
    model = replace(
        toy_model, faces=torch.tensor([[0, 1, 2], [3, 4, 5]]), vertex_label=torch.tensor([1, 1, 1, 2, 2, 2])
    )
    camera = Camera(torch.tensor([[1000.0, 1000.0]]), torch.tensor([[20.0, 20.0]]))
    labels = render_labels(model, verts, camera, 40, 40)
    assert set(np.unique(labels)) == {0, 2}  # the nearer, larger triangle covers the other one
    verts[3:, 0] += 500
    assert set(np.unique(render_labels(model, verts, camera, 40, 40))) == {0, 1}


def test_tiles_make_no_difference(result, monkeypatch):
    verts = result.verts_in("camera")
    whole = render_labels(result.model, verts, result.camera, 500, 360)
    monkeypatch.setattr(facefit.scene.part_picture, "_TILE", 77)
    tiled = render_labels(result.model, verts, result.camera, 500, 360)
    assert (whole != tiled).mean() < 1e-4  # a pixel centre on an edge may round either way


def test_a_face_at_the_border_of_the_photo(result):
    verts = result.verts_in("camera")
    full = render_labels(result.model, verts, result.camera, 500, 360)
    assert (render_labels(result.model, verts, result.camera, 250, 200) != full[:200, :250]).mean() < 1e-4
    assert render_labels(result.model, verts + (0, 5000, 0), result.camera, 500, 360).max() == 0
    with pytest.raises(ValueError, match="behind the camera"):
        render_labels(result.model, -verts, result.camera, 500, 360)


def test_overlay_panels(result):
    with Image.open(io.BytesIO(overlay_png(result.scene, result.photo, panel=128))) as image:
        assert image.mode == "RGB" and image.size == (128 * len(PANELS), 128)
        picture = np.array(image).astype(int)
    photo, mesh, geometry, front, turned, parts = (picture[:, 128 * k : 128 * (k + 1)] for k in range(6))
    window = overlay_window(result.scene, 128, result.photo.shape[:2])
    verts = torch.from_numpy(result.verts_in("camera"))[None]
    camera = Camera(result.camera.focal.double(), result.camera.centre.double())
    pixels = window.to_window(project(verts, camera))[0].numpy()
    assert pixels.min() > 0 and pixels.max() < 128  # the whole head is in the picture
    wall = (photo == GREEN).all(-1)
    inside = (photo[..., 1] < 60) & ~wall
    assert 0.15 < inside.mean() < 0.7
    for panel in (mesh, parts):
        assert (panel[wall] == GREEN).all(-1).mean() > 0.95  # beside the mesh the photo stays
        assert np.abs(panel[inside] - photo[inside]).mean() > 10  # on it something is drawn
    assert (geometry[wall] == BACKGROUND).all(-1).mean() > 0.95
    assert np.ptp(geometry[inside], axis=-1).max() == 0  # grey
    assert geometry[inside].std() > 15  # with shading
    head = [(panel != BACKGROUND).any(-1) for panel in (front, turned)]
    assert all(0.1 < shown.mean() < 0.7 for shown in head) and (head[0] != head[1]).mean() > 0.02
    skin = np.median(front[head[0]], 0)  # without a texture: the albedo under white light
    np.testing.assert_allclose(skin, np.array((0.75, 0.55, 0.45)) * 255, atol=12)


def test_the_turned_heads_wear_the_texture(result):
    texture = np.full((32, 32, 3), (10, 200, 30), np.uint8)
    picture = overlay(result.scene, result.photo, 96, texture, ("three quarters", "textured"))
    assert picture.shape == (96, 192, 3)
    seen = (picture.astype(int) != BACKGROUND).any(-1)
    assert np.abs(np.median(picture[seen], 0) - (10, 200, 30)).max() <= 1
    again = overlay(result.scene, result.photo, 96, texture, ("textured",))
    assert np.array_equal(picture[:, 96:], again)


def test_no_black_beyond_the_photo(result):
    """The square moves into the photo as far as the mesh allows; what is still beyond has the colour of the others."""
    left, top, right, bottom = result.scene.box()
    cut = result.photo[int(top) + 4 :, int(left) - 3 :]  # a photo that ends above the head and just beside it
    scene = replace(result.scene, camera=Camera(
        result.camera.focal, result.camera.centre - torch.tensor([[int(left) - 3.0, int(top) + 4.0]])
    ))  # fmt: skip
    picture = overlay(scene, cut, 128, None, ("photo", "mesh over photo"))
    assert (picture.max(-1) > 20).mean() > 0.99
    assert (picture[0, :128] == BACKGROUND).all()  # above, where the head goes on
    window = overlay_window(scene, 128, cut.shape[:2])
    assert float(window.origin[0, 0]) == pytest.approx(0.0, abs=1e-3)  # and beside the head nothing
