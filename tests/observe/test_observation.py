"""Observation: checked once, and a batch that can be taken apart."""

import dataclasses

import pytest
import torch

from facefit.anatomy.parts import LABEL, LABELS, MASKS, PARTS
from facefit.geometry.camera import Camera, WindowTransform
from facefit.observe.observation import Observation


def observation(batch=2, size=8):
    generator = torch.Generator().manual_seed(0)
    return Observation(
        image=torch.rand(batch, size, size, 3, generator=generator),
        landmarks=torch.rand(batch, 478, 2, generator=generator) * size,
        landmark_confidence=torch.ones(batch, 478),
        part_masks=torch.zeros(batch, len(MASKS), size, size),
        valid=torch.ones(batch, size, size),
        brow_line=torch.tensor([[[0.0, -1.0, 3.0]] * 2] * batch),
        camera=Camera(torch.full((batch, 2), 100.0), torch.full((batch, 2), 4.0)),
        window=WindowTransform(torch.zeros(batch, 2), torch.ones(batch), size),
    )


def test_names_and_order_of_parts_and_labels():
    # the PRDL paper's order, and the numbers that written label pictures have
    assert PARTS == ("left_eye", "right_eye", "left_brow", "right_brow", "upper_lip", "lower_lip", "nose", "skin")
    assert MASKS == (*PARTS, "hair", "occluder")
    assert LABELS[:11] == (
        "background", "skin", "nose", "right_eye", "left_eye", "right_brow", "left_brow", "upper_lip", "lower_lip",
        "mouth_inside", "head",
    )  # fmt: skip
    assert all(LABELS[LABEL[name]] == name for name in LABELS)


def test_sizes():
    value = observation()
    assert (value.batch, value.size) == (2, 8)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("image", (2, 8, 8)), ("landmarks", (2, 478, 3)), ("landmark_confidence", (2, 477)),
        ("part_masks", (2, 8, 8, 8)), ("valid", (1, 8, 8)), ("brow_line", (2, 3)),
    ],
)  # fmt: skip
def test_a_wrong_shape_is_named(name, shape):
    with pytest.raises(ValueError, match=f"observation.{name} has shape .*; expected"):
        dataclasses.replace(observation(), **{name: torch.zeros(shape)})


@pytest.mark.parametrize("name", ["image", "landmarks", "landmark_confidence", "part_masks", "valid", "brow_line"])
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_named(name, wrong):
    value = getattr(observation(), name).clone()
    value.view(-1)[-1] = wrong
    with pytest.raises(ValueError, match=f"observation.{name} holds values that are not finite"):
        dataclasses.replace(observation(), **{name: value})


def test_window_and_image_must_agree():
    with pytest.raises(ValueError, match="window size 9 differs from the image side 8"):
        dataclasses.replace(observation(), window=WindowTransform(torch.zeros(2, 2), torch.ones(2), 9))


@pytest.mark.parametrize("index", [1, [1], slice(1, 2), torch.tensor([1])])
def test_one_face_of_a_batch(index):
    value = observation()
    one = value[index]
    assert one.batch == 1
    for field in ("image", "landmarks", "landmark_confidence", "part_masks", "valid", "brow_line"):
        assert torch.equal(getattr(one, field), getattr(value, field)[1:2])
    assert torch.equal(one.camera.focal, value.camera.focal[1:2])
    assert torch.equal(one.window.origin, value.window.origin[1:2]) and one.window.size == 8
    assert one.to("cpu").window.size == 8
