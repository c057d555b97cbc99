"""SourceModel: what a reader may hand over."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from facefit.errors import ModelError
from facefit.model.source import Joints, SourceModel


def make_source(**changes) -> SourceModel:
    verts = np.array([[0, 0, 0], [100, 0, 0], [0, 100, 0], [0, 0, 100]], float)
    values = dict(
        name="toy",
        version="1",
        license="CC0-1.0",
        verts=verts,
        faces=np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]]),
        identity_basis=np.ones((2, 4, 3)),
        expression_basis=np.zeros((1, 4, 3)),
        expression_names=("jawOpen",),
        activation=True,
    )
    return SourceModel(**{**values, **changes})


def make_joints(**changes) -> Joints:
    values = dict(
        names=("root", "jaw"),
        parent=np.array([-1, 0]),
        position=np.zeros((2, 3)),
        position_basis=np.zeros((2, 2, 3)),
        weight=np.full((4, 2), 0.5),
    )
    return Joints(**{**values, **changes})


def test_arrays_get_one_type():
    source = make_source(joints=make_joints())
    assert source.verts.dtype == np.float32 and source.faces.dtype == np.int64
    assert source.joints.weight.dtype == np.float32
    assert replace(source, name="other").name == "other"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"verts": np.zeros((4, 2))}, "verts has shape"),
        ({"verts": np.eye(4, 3) * 0.1}, "wrong unit"),
        ({"verts": np.full((4, 3), np.nan)}, "not finite"),
        ({"faces": np.array([[0, 1, 4]])}, "faces runs from 0 to 4"),
        ({"faces": np.array([[0.0, 1.0, 2.0]])}, "expected integers"),
        ({"identity_basis": np.zeros((2, 5, 3))}, "identity_basis has shape"),
        ({"expression_names": ("a", "b")}, "expression_basis has shape"),
        ({"albedo_mean": np.full((4, 3), 200.0)}, "sRGB"),
        ({"albedo_basis": np.zeros((1, 4, 3))}, "without albedo_mean"),
        ({"uv": np.zeros((4, 2))}, "together"),
        ({"eyeball": np.full(4, 3)}, "eyeball runs"),
        ({"label_hint": np.full(4, 11)}, "label_hint runs"),
        ({"verts": np.array([["a"] * 3] * 4)}, "expected numbers"),
    ],
)
def test_wrong_arrays_are_named(changes, message):
    with pytest.raises(ModelError, match=message):
        make_source(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": ("root", "knee")}, "knee"),
        ({"parent": np.array([1, -1])}, "earlier joint"),
        ({"weight": np.full((4, 2), 0.4)}, "sum to 1"),
        ({"pose_basis": np.zeros((18, 4, 3))}, "pose_basis has shape"),
    ],
)
def test_wrong_joints_are_named(changes, message):
    with pytest.raises(ModelError, match=message):
        make_joints(**changes)


def test_joints_fit_the_mesh():
    with pytest.raises(ModelError, match="mesh of 4"):
        make_source(joints=make_joints(weight=np.full((5, 2), 0.5)))
    with pytest.raises(ModelError, match="position_basis"):
        make_source(joints=make_joints(position_basis=np.zeros((3, 2, 3))))
