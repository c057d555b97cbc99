"""Parameters: shapes, the neutral value, and that a step makes a new one."""

import dataclasses

import pytest
import torch

from facefit.render.lighting import shade
from facefit.scene.parameters import Parameters

SIZES = {"identity": 4, "expression": 3, "albedo": 2}


def test_zeros_is_the_mean_face_a_metre_away_under_white_light():
    value = Parameters.zeros(SIZES, batch=2)
    shapes = {name: tuple(tensor.shape) for name, tensor in value.tensors().items()}
    assert shapes == {
        "identity": (2, 4), "expression": (2, 3), "albedo": (2, 2), "rotvec": (2, 3), "translation": (2, 3),
        "sh": (2, 9, 3), "gaze": (2, 2, 2), "joints": (2, 0, 3),
    }  # fmt: skip
    assert value.batch == 2
    assert value.translation.tolist() == [[0.0, 0.0, -1000.0]] * 2
    assert not any(value.tensors()[name].any() for name in ("identity", "expression", "albedo", "rotvec", "gaze"))
    normals = torch.nn.functional.normalize(torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0)), dim=-1)
    albedo = torch.full((2, 5, 3), 0.6)
    assert torch.allclose(shade(albedo, normals, value.sh), albedo, atol=1e-5)


def test_a_face_of_a_batch_keeps_its_batch_axis():
    value = Parameters.zeros(SIZES, batch=3)
    value = dataclasses.replace(value, identity=torch.arange(12.0).reshape(3, 4))
    assert value[1].identity.tolist() == [[4.0, 5.0, 6.0, 7.0]]
    assert value[1].sh.shape == (1, 9, 3)
    assert value[[2, 0]].identity[:, 0].tolist() == [8.0, 0.0]


def test_immutable_and_detached():
    value = Parameters.zeros(SIZES)
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.identity = torch.ones(1, 4)
    leaf = dataclasses.replace(value, identity=value.identity.requires_grad_(True) * 2)
    assert leaf.identity.requires_grad and not leaf.detach().identity.requires_grad
    assert leaf.to("cpu").identity.requires_grad  # a move keeps the graph
