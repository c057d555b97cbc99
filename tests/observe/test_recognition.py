"""Face recognition networks: where a face lies in the crop, what they make of it, and files that are none."""

import random

import numpy as np
import onnxruntime
import pytest
import torch

from facefit.errors import ModelError
from facefit.observe.recognition import TEMPLATE, Likeness, crop_grid, cut, five_points, load_recognition

pytest.importorskip("onnx")
from helpers.toy_recognition import LENGTH, SIDE, recognition_bytes, recognition_file  # noqa: E402  after onnx

EYES = ((33, 133), (362, 263))


def landmarks_at(points):
    """(1, 478, 2) with corners 5 px to either side of the eyes' middles, and irises that look elsewhere."""
    found = torch.zeros(1, 478, 2)
    for (outer, inner), place in zip(EYES, points[:2], strict=True):
        found[0, outer] = torch.tensor(place) - torch.tensor([5.0, 1.0])
        found[0, inner] = torch.tensor(place) + torch.tensor([5.0, 1.0])
    for number, place in zip((1, 61, 291), points[2:], strict=True):
        found[0, number] = torch.tensor(place)
    found[0, 468:] = 1e4
    return found


@pytest.fixture(scope="module")
def recognition(tmp_path_factory):
    return load_recognition(recognition_file(tmp_path_factory.mktemp("net") / "toy.onnx"))


def test_the_five_points_are_middles_of_eyes_tip_of_nose_and_corners_of_the_mouth():
    points = [(10.0, 20.0), (50.0, 21.0), (30.0, 40.0), (16.0, 60.0), (44.0, 61.0)]
    assert torch.allclose(five_points(landmarks_at(points))[0], torch.tensor(points))


def test_a_face_in_the_place_of_the_template_is_its_own_crop():
    """The template counts from the middle of the first pixel, we from its corner."""
    grid = crop_grid(landmarks_at([(x + 0.5, y + 0.5) for x, y in TEMPLATE]), 112)
    assert grid.shape == (1, 112, 112, 2)
    assert torch.allclose(grid[0, 0, 0], torch.tensor([0.5, 0.5]), atol=1e-3)
    assert torch.allclose(grid[0, 30, 100], torch.tensor([100.5, 30.5]), atol=1e-3)


def test_a_face_that_is_turned_moved_and_larger():
    """By a quarter turn, twice as large, at (200, 100): x -> 200 - 2 y, y -> 100 + 2 x. Half the pixels in the crop."""
    grid = crop_grid(landmarks_at([(200 - 2 * (y + 0.5), 100 + 2 * (x + 0.5)) for x, y in TEMPLATE]), 56)
    for row, column in ((0, 0), (10, 40)):
        x, y = 2 * (column + 0.5), 2 * (row + 0.5)  # in a crop of 112
        assert torch.allclose(grid[0, row, column], torch.tensor([200 - 2 * y, 100 + 2 * x]), atol=2e-3)


def test_a_crop_is_bilinear_and_goes_on_beyond_the_border():
    columns = (torch.arange(8) + 0.5).expand(1, 6, 8)  # its own x
    picture = torch.stack([columns, torch.zeros(1, 6, 8), torch.ones(1, 6, 8)], -1)
    crop = cut(picture, torch.tensor([[[[2.5, 3.0], [2.75, 3.0]], [[-4.0, 1.0], [7.9, 5.0]]]]))
    assert crop.shape == (1, 3, 2, 2)
    assert torch.allclose(crop[0, 0], torch.tensor([[2.5, 2.75], [0.5, 7.5]]), atol=1e-5)
    assert (crop[0, 2] == 1).all()


def test_an_embedding_is_that_of_the_file_and_alone_what_it_is_in_company(recognition):
    crops = torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    found = recognition.embedding(crops)
    bytes_of = np.float32((crops.numpy() * 255 - 127.5) / 127.5)
    session = onnxruntime.InferenceSession(recognition_bytes(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(found, session.run(None, {"picture": bytes_of})[0], atol=1e-5)
    assert recognition.side == SIDE and found.shape == (3, LENGTH)
    for face in range(3):
        assert torch.equal(recognition.embedding(crops[face][None])[0], found[face])
    there = recognition.to("meta").embedding(crops.to("meta"))
    assert there.shape == (3, LENGTH) and there.device.type == "meta"


def test_gradients_reach_the_picture(recognition):
    generator = torch.Generator().manual_seed(1)
    picture, way = torch.rand(1, 60, 60, 3, generator=generator), torch.randn(1, 60, 60, 3, generator=generator)
    grid = crop_grid(landmarks_at([(0.5 * x, 0.5 * y) for x, y in TEMPLATE]), SIDE)
    likeness = Likeness(recognition, grid, torch.zeros(1, LENGTH))
    picture.requires_grad_(True)
    (slope,) = torch.autograd.grad(likeness.seen(picture).pow(2).sum(), picture)
    with torch.no_grad():
        ends = [likeness.seen(picture + sign * 0.001 * way).pow(2).sum().item() for sign in (1, -1)]
    assert (slope * way).sum().item() == pytest.approx((ends[0] - ends[1]) / 0.002, rel=0.01)  # kinks of PRelu


def test_some_of_the_faces(recognition):
    likeness = Likeness(recognition, torch.rand(3, SIDE, SIDE, 2), torch.rand(3, LENGTH))
    kept = likeness[[2, 0]]
    assert torch.equal(kept.embedding, likeness.embedding[[2, 0]]) and torch.equal(kept.grid, likeness.grid[[2, 0]])


REFUSED = {
    r"its input 'picture' takes \(3, 32, 36\); expected \(3, S, S\), S from 32 to 512": {"shape": ("n", 3, 32, 36)},
    r"its input 'picture' takes \(3, 16, 16\)": {"shape": ("n", 3, 16, 16)},
    "expected known lengths after the batch": {"shape": ("n", 3, "height", "width")},
    r"its first output 'embedding' is \(8,\); expected an embedding of 16 to 4096 numbers": {"length": 8},
    "the operator 'Det' is not supported": {"last": "Det"},
    "values that are not finite": {"last": "Exp", "factor": 1e5},
    "opset 9; accepted: 11 to 23": {"opset": 9},
}


@pytest.mark.parametrize("message", REFUSED)
def test_networks_that_recognise_nobody(tmp_path, message):
    path = recognition_file(tmp_path / "net.onnx", **REFUSED[message])
    with pytest.raises(ModelError, match=f"net.onnx: not usable as a face recognition network .*{message}") as caught:
        load_recognition(path)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_network(tmp_path):
    with pytest.raises(ModelError, match="gone.onnx: No such file"):
        load_recognition(tmp_path / "gone.onnx")
    (tmp_path / "net.pt").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"net.pt: .* a .pt file; accepted: .onnx"):
        load_recognition(tmp_path / "net.pt")
    whole, dice = recognition_bytes(), random.Random(0)
    path = tmp_path / "hurt.onnx"
    for _ in range(40):
        data = bytearray(whole)
        for _ in range(dice.choice((1, 4, 30))):
            data[dice.randrange(min(len(data), dice.choice((200, len(data)))))] = dice.randrange(256)
        path.write_bytes(bytes(data[: dice.choice((len(data), dice.randrange(1, len(data))))]))
        try:
            load_recognition(path)
        except ModelError as error:
            assert str(error).startswith(str(path)) and "\n" not in str(error)
