"""From parameters to what energies look at: head yaw, marching contour, projected landmarks."""

import math

import pytest
import torch

from facefit.geometry.camera import Camera, project, to_camera_space
from facefit.geometry.rotation import rotation_matrix
from facefit.scene.landmarks import contour_choice, contour_stop, head_yaw, project_landmarks

CAMERA = Camera(torch.tensor([[1000.0, 1000.0]]), torch.tensor([[112.0, 112.0]]))


@pytest.mark.parametrize("degrees", [-75.0, -20.0, 0.0, 33.0, 60.0])
def test_yaw_by_hand(degrees):
    rotation = rotation_matrix(torch.tensor([[0.0, math.radians(degrees), 0.0]]))
    assert head_yaw(rotation).item() == pytest.approx(degrees, abs=1e-4)


def test_yaw_knows_nothing_of_pitch_and_roll_of_a_frontal_head():
    for rotvec in ([0.4, 0.0, 0.0], [0.0, 0.0, 1.3]):
        assert head_yaw(rotation_matrix(torch.tensor([rotvec]))).item() == pytest.approx(0.0, abs=1e-4)


def posed(model, yaw):
    return to_camera_space(model.verts[None], torch.tensor([[0.0, yaw, 0.0]]), torch.tensor([[0.0, 0.0, -900.0]]))


def test_landmarks_are_projected_points_of_the_surface(toy_model):
    points = posed(toy_model, 0.3)
    plain = project_landmarks(toy_model, points, CAMERA, None)
    assert torch.equal(plain, project(toy_model.landmarks(points), CAMERA))
    corner = points[0, toy_model.faces[toy_model.landmark_faces[7]]]
    by_hand = (corner * toy_model.landmark_bary[7][:, None]).sum(0)
    assert torch.allclose(project(by_hand[None, None], CAMERA)[0, 0], plain[0, 7], atol=1e-4)


def test_the_contour_replaces_its_landmarks_and_no_other(toy_model):
    points = posed(toy_model, 0.5)
    choice = contour_choice(toy_model, project(points, CAMERA))
    assert choice.shape == (1, 2)
    for row, vertex in zip(toy_model.contour_rows, choice[0], strict=True):
        assert vertex in row
    marched = project_landmarks(toy_model, points, CAMERA, choice)
    plain = project_landmarks(toy_model, points, CAMERA, None)
    moving = toy_model.contour_landmarks
    assert torch.allclose(marched[:, moving], project(points[:, choice[0]], CAMERA))
    rest = torch.ones(478, dtype=torch.bool)
    rest[moving] = False
    assert torch.equal(marched[:, rest], plain[:, rest])


def test_marching_stops_at_the_landmarks_own_place(toy_model):
    stop = contour_stop(toy_model)
    landmark = toy_model.landmarks(toy_model.verts[None])[0, toy_model.contour_landmarks]
    for row, end, point in zip(toy_model.contour_rows, stop, landmark, strict=True):
        distance = (toy_model.verts[row] - point).norm(dim=1)
        assert distance[end] == distance.min()
    assert contour_stop(toy_model) is stop  # made once per model


def test_the_gradient_reaches_the_pose_through_the_chosen_vertex(toy_model):
    rotvec = torch.tensor([[0.0, 0.4, 0.0]], requires_grad=True)
    points = to_camera_space(toy_model.verts[None], rotvec, torch.tensor([[0.0, 0.0, -900.0]]))
    choice = contour_choice(toy_model, project(points, CAMERA))
    project_landmarks(toy_model, points, CAMERA, choice)[:, toy_model.contour_landmarks].sum().backward()
    assert rotvec.grad.abs().sum() > 1
