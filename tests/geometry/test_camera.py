"""Axes and units of the camera, by hand."""

import math

import pytest
import torch

from facefit.geometry.camera import (
    DEFAULT_FOCAL_PER_SIDE,
    Camera,
    WindowTransform,
    project,
    to_camera_space,
    to_clip_space,
    window_camera,
)
from facefit.geometry.rotation import rotation_matrix


@pytest.fixture
def camera():
    return Camera(torch.tensor([[500.0, 400.0]]), torch.tensor([[320.0, 240.0]]))


def points(*rows, dtype=torch.float32):
    return torch.tensor([rows], dtype=dtype)


def test_projection_by_hand(camera):
    # u = 320 + 500 * 10 / 100, v = 240 - 400 * 20 / 100
    assert torch.equal(project(points((10.0, 20.0, -100.0)), camera), points((370.0, 160.0)))
    # on the axis: the principal point, whatever the depth
    assert torch.equal(project(points((0.0, 0.0, -7.0)), camera), points((320.0, 240.0)))


def test_the_zero_rotation_shows_the_face_frontally(camera):
    left_cheek, right_cheek, brow, chin = (60.0, 0.0, 0.0), (-60.0, 0.0, 0.0), (0.0, 40.0, 0.0), (0.0, -90.0, 0.0)
    nose_tip = (0.0, -30.0, 25.0)
    model = points(left_cheek, right_cheek, brow, chin, nose_tip)
    at = to_camera_space(model, torch.zeros(1, 3), torch.tensor([[0.0, 0.0, -800.0]]))
    u, v = project(at, camera)[0].unbind(1)
    assert u[0] > 320 > u[1]  # the subject's left is on the viewer's right
    assert v[2] < 240 < v[3]  # up in the model is up in the picture, where rows count downwards
    assert at[0, 4, 2] > at[0, 0, 2]  # the nose is nearer: less far down the -z axis


def test_positive_yaw_turns_the_nose_to_the_viewers_right_and_positive_pitch_down():
    nose, nowhere = points((0.0, 0.0, 1.0)), torch.zeros(1, 3)
    yaw, pitch = torch.tensor([[0.0, math.pi / 2, 0.0]]), torch.tensor([[math.pi / 2, 0.0, 0.0]])
    assert torch.allclose(to_camera_space(nose, yaw, nowhere), points((1.0, 0.0, 0.0)), atol=1e-6)
    assert torch.allclose(to_camera_space(nose, pitch, nowhere), points((0.0, -1.0, 0.0)), atol=1e-6)


def pixels_of(clip: torch.Tensor, size: int) -> torch.Tensor:
    """Where a renderer draws clip coordinates (B, N, 4) in a picture of size x size pixels."""
    ndc = clip[..., :2] / clip[..., 3:]
    return torch.stack([(ndc[..., 0] + 1) * (size / 2), (1 - ndc[..., 1]) * (size / 2)], -1)


def test_clip_space_and_pixels_agree_with_the_projection(camera):
    torch.manual_seed(0)
    size = 200
    at = torch.randn(1, 50, 3, dtype=torch.float64) * 60 + torch.tensor([0, 0, -500.0])
    wide = Camera(camera.focal.double(), camera.centre.double() / 3)
    clip = to_clip_space(at, wide, size)
    assert torch.allclose(pixels_of(clip, size), project(at, wide), atol=1e-9)
    assert torch.allclose(clip[..., 3], -at[..., 2])


def test_corners_of_the_picture_in_ndc():
    camera = Camera(torch.full((1, 2), 100.0), torch.full((1, 2), 50.0))
    # the camera sees 100 pixels at a focal length of 100: at depth 200 the border lies 100 mm from the axis
    at = points((-100.0, 100.0, -200.0), (100.0, -100.0, -200.0), (0.0, 0.0, -10.0), (0.0, 0.0, -1000.0))
    clip = to_clip_space(at, camera, 100, near=10.0, far=1000.0)
    ndc = clip[..., :3] / clip[..., 3:]
    assert torch.allclose(ndc[0, 0, :2], torch.tensor([-1.0, 1.0]))  # the top left corner is (-1, +1) and pixel (0, 0)
    assert torch.allclose(ndc[0, 1, :2], torch.tensor([1.0, -1.0]))
    assert torch.allclose(pixels_of(clip, 100)[0, :2], torch.tensor([[0.0, 0.0], [100.0, 100.0]]))
    assert torch.allclose(ndc[0, 2:, 2], torch.tensor([-1.0, 1.0]), atol=1e-5)  # near and far plane


def test_projection_stays_finite_behind_the_camera(camera):
    behind = points((1.0, 1.0, 5.0)).requires_grad_(True)
    pixels = project(behind, camera)
    pixels.sum().backward()
    assert torch.isfinite(pixels).all() and torch.isfinite(behind.grad).all()


def test_window_round_trip_and_its_camera():
    torch.manual_seed(1)
    window = WindowTransform(torch.tensor([[100.0, 50.0], [-20.0, 7.5]]), torch.tensor([0.5, 2.0]), 224)
    camera = Camera(torch.rand(2, 2) * 1000 + 500, torch.rand(2, 2) * 400)
    pixels = torch.rand(2, 30, 2) * 600
    assert torch.allclose(window.to_photo(window.to_window(pixels)), pixels, atol=1e-4)
    assert torch.allclose(window.to_window(torch.tensor([[[100.0, 50.0]], [[-20.0, 7.5]]])), torch.zeros(2, 1, 2))
    # one window pixel of the first face is two photo pixels
    assert torch.allclose(window.to_photo(torch.tensor([[[1.0, 0.0]]] * 2))[0, 0], torch.tensor([102.0, 50.0]))
    at = torch.randn(2, 30, 3) * 50 - torch.tensor([0, 0, 900.0])
    assert torch.allclose(project(at, window_camera(camera, window)), window.to_window(project(at, camera)), atol=1e-3)


def test_faces_of_a_batch_have_their_own_camera_and_window():
    window = WindowTransform(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([0.5, 2.0]), 64)
    second = window[[1]]
    assert second.origin.tolist() == [[3.0, 4.0]] and second.scale.tolist() == [2.0] and second.size == 64
    camera = Camera(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.zeros(2, 2))
    assert camera[1:].focal.tolist() == [[3.0, 4.0]]
    assert camera.to("cpu").focal.equal(camera.focal) and window.to("cpu").origin.equal(window.origin)


def test_rotation_is_the_exponential_of_the_cross_product():
    torch.manual_seed(2)
    rotvec = torch.randn(20, 3, dtype=torch.float64) * 2
    matrix = rotation_matrix(rotvec)
    x, y, z = rotvec.unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(-1, 3, 3)
    assert torch.allclose(matrix, torch.linalg.matrix_exp(cross), atol=1e-12)
    assert torch.allclose(torch.linalg.det(matrix), torch.ones(20, dtype=torch.float64))
    assert torch.allclose((matrix @ rotvec[..., None])[..., 0], rotvec)  # the axis stays


def test_rotation_is_smooth_through_zero():
    for length in (0.0, 1e-12, 0.99e-4, 1.01e-4, 1e-3):  # the series ends at 1e-4
        rotvec = torch.tensor([[0.6, -0.8, 0.0]], dtype=torch.float64) * length
        x, y, z = rotvec[0].tolist()
        cross = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
        assert torch.allclose(rotation_matrix(rotvec)[0], torch.linalg.matrix_exp(cross), atol=1e-15)


@pytest.mark.parametrize("start", [(0.0, 0.0, 0.0), (1e-5, 0.0, -1e-5), (0.3, -1.2, 0.7)])
def test_gradient_of_the_pose(start, camera):
    rotvec = torch.tensor([start], dtype=torch.float64, requires_grad=True)
    translation = torch.tensor([[3.0, -2.0, -700.0]], dtype=torch.float64, requires_grad=True)
    model = points((10.0, -20.0, 30.0), (-5.0, 60.0, 0.0), dtype=torch.float64)
    lens = Camera(camera.focal.double(), camera.centre.double())
    assert torch.autograd.gradcheck(lambda r, t: project(to_camera_space(model, r, t), lens), (rotvec, translation))
    assert torch.autograd.gradcheck(
        lambda r, t: to_clip_space(to_camera_space(model, r, t), lens, 224) / 700, (rotvec, translation)
    )


def test_the_default_lens_is_that_of_the_papers():
    assert 2 * math.degrees(math.atan(0.5 / DEFAULT_FOCAL_PER_SIDE)) == pytest.approx(12.59, abs=0.01)
