"""A scene gives the same answers as its pieces, once each, with gradients where they are wanted."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.rendered_face import person

from facefit.compute.derived import kept
from facefit.geometry.camera import Camera, project, to_camera_space, to_clip_space
from facefit.render import load_renderer
from facefit.render.lighting import shade, vertex_normals
from facefit.render.view import make_window
from facefit.scene.landmarks import contour_choice, project_landmarks
from facefit.scene.parameters import Parameters
from facefit.scene.scene import Scene, landmarks7_of

SIZE = 64
CAMERA = Camera(torch.tensor([[300.0, 310.0]]), torch.tensor([[31.0, 33.0]]))


@pytest.fixture
def parameters(toy_model):
    value = person(toy_model, yaw=20.0, seed=3)
    return replace(value, translation=torch.tensor([[4.0, -6.0, -900.0]]))


@pytest.fixture
def scene(toy_model, parameters):
    return Scene(toy_model, parameters, CAMERA, SIZE, load_renderer("cpu"))


def test_it_is_the_model_before_the_camera(toy_model, parameters, scene):
    verts = toy_model.shape(parameters.identity, parameters.expression, parameters.gaze, parameters.joints)
    points = to_camera_space(verts, parameters.rotvec, parameters.translation)
    assert torch.equal(scene.surface(), points)
    assert torch.equal(scene.pixels(), project(points, CAMERA))
    assert torch.equal(scene.clip(), to_clip_space(points, CAMERA, SIZE))
    contour = contour_choice(toy_model, project(points, CAMERA))
    assert torch.equal(scene.landmarks(), project_landmarks(toy_model, points, CAMERA, contour))
    assert scene.yaw().item() == pytest.approx(20.0, abs=0.5)
    colours = shade(toy_model.albedo(parameters.albedo), vertex_normals(points, toy_model.faces), parameters.sh)
    assert torch.equal(scene.colours(), colours)
    assert torch.equal(scene.picture()[scene.covered()] > 0, torch.ones_like(scene.picture()[scene.covered()]) > 0)


def test_what_is_asked_for_twice_is_computed_once(scene):
    assert scene.surface() is scene.surface() and scene.rast() is scene.rast()
    assert kept(scene) == ("rotation", "surface", "clip", "rast")


def test_an_answer_without_gradients_is_none_where_they_are_wanted(toy_model, parameters):
    leaf = parameters.translation.clone().requires_grad_(True)
    scene = Scene(toy_model, replace(parameters, translation=leaf), CAMERA)
    with torch.no_grad():
        blind = scene.surface()
    assert not blind.requires_grad and scene.surface().requires_grad
    with torch.no_grad():
        assert scene.surface().requires_grad  # it is there: not computed again
    scene.landmarks().sum().backward()
    assert leaf.grad.abs().max() > 0


def test_files_and_pictures_have_it_in_double_precision(toy_model, parameters, scene):
    verts, points = scene.verts_in("model"), scene.verts_in("camera")
    rotation, translation = scene.pose()
    assert verts.dtype == points.dtype == np.float64
    assert np.allclose(points, verts @ rotation.T + translation, atol=1e-9)
    assert np.abs(points - scene.surface()[0].numpy()).max() < 1e-3
    assert np.array_equal(scene.landmarks7_in("camera"), landmarks7_of(toy_model, points))
    with pytest.raises(ValueError, match="'world'; accepted: model, camera"):
        scene.verts_in("world")
    exact = Scene(toy_model, parameters, CAMERA, exact=True)
    assert np.array_equal(exact.surface()[0].numpy(), points.astype(np.float32))


def test_nobody_can_spoil_what_all_are_given(scene):
    scene.verts_in("camera")[:] = 0
    assert scene.verts_in("camera").any()


def test_its_pictures_agree(scene):
    """The window as the renderer sees it, the same window as a view, and the photo's pixels."""
    seen = scene.view(make_window((0.0, 0.0), SIZE, SIZE))
    covered = scene.covered()[0].numpy()
    assert covered.sum() > 300 and (covered != seen.seen).mean() < 0.01
    of_window, of_view = scene.part_picture()[0].numpy(), scene.parts_in(seen)
    assert (of_window != of_view)[covered].mean() < 0.1  # the one weighs parts, the other labels
    assert np.array_equal(scene.picture_of_parts(SIZE, SIZE), of_view)
    left, top, right, bottom = scene.box()
    rows, columns = np.nonzero(covered)
    assert left <= columns.min() + 1 and right >= columns.max() and top <= rows.min() + 1 and bottom >= rows.max()


def test_pictures_need_a_renderer(toy_model, parameters):
    blank = Scene(toy_model, parameters, CAMERA, SIZE)
    for ask in (blank.rast, blank.picture, blank.covered):
        with pytest.raises(ValueError, match="has no renderer"):
            ask()


def test_several_faces_each_before_its_own_camera(toy_model, parameters):
    other = person(toy_model, yaw=-10.0, seed=4)
    both = Scene(
        toy_model, Parameters.cat([parameters, other]),
        Camera(CAMERA.focal.repeat(2, 1), torch.cat([CAMERA.centre, CAMERA.centre + 5])), SIZE, load_renderer("cpu"),
    )  # fmt: skip
    alone = Scene(toy_model, other, Camera(CAMERA.focal, CAMERA.centre + 5), SIZE, load_renderer("cpu"))
    assert torch.allclose(both.landmarks()[1:], alone.landmarks(), atol=1e-4)
    assert torch.equal(both.part_picture()[1:], alone.part_picture())


def test_pictures_of_a_window_are_looked_up_at_vertices(scene):
    window = make_window((8.0, 4.0), 24.0, 48)  # two pixels for one of the photo
    row, column = np.mgrid[:48, :48]
    at = scene.pixels()[0].double().numpy()
    expected = np.clip(np.floor((at - (8, 4)) * 2), 0, 47)
    assert (expected == 0).any() and (expected == 47).any() and len(np.unique(expected)) > 20
    assert np.array_equal(scene.looked_up(column, window), expected[:, 0])
    assert np.array_equal(scene.looked_up(row, window), expected[:, 1])
    depth = np.median(-scene.verts_in("camera")[:, 2])
    assert scene.pixel_in(window) == pytest.approx(depth / 300 / 2, rel=1e-6)
