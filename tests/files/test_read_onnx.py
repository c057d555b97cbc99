"""ONNX files as graphs: numbers in every form that the format has, and files that lie about their sizes."""

import random

import numpy as np
import pytest

from facefit.bundled import bundled
from facefit.compute.network import Network
from facefit.errors import ModelError
from facefit.files import read_onnx as module
from facefit.files.read_onnx import parse_onnx, read_onnx

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402  after it is known to be there


def file(*weights, node=None, **settings):
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])
    graph = helper.make_graph([node or helper.make_node("Relu", ["x"], ["y"])], "g", [given], [out], list(weights))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], **settings)
    return made.SerializeToString()


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16, np.int64, np.int32, np.int8, np.uint8, bool])
def test_weights_in_every_form(kind, raw):
    values = np.array([[0, 1, 2], [3, 1, 0]]).astype(kind)
    if kind not in (bool, np.uint8):
        values = -values
    if raw:
        tensor = numpy_helper.from_array(values, "w")
    else:
        tensor = helper.make_tensor("w", helper.np_dtype_to_tensor_dtype(np.dtype(kind)), values.shape, values.ravel())
        assert not tensor.raw_data
    found = parse_onnx(file(tensor)).weights["w"]
    np.testing.assert_array_equal(found, values)
    assert found.dtype == values.dtype


def test_attributes():
    node = helper.make_node(
        "Relu", ["x"], ["y"], a=-3, b=0.5, c="text", d=[1, -2], e=[0.5, 1.5], f=0, g=0.0,
        h=numpy_helper.from_array(np.arange(3.0), "t"),
    )  # fmt: skip
    (found,) = parse_onnx(file(node=node)).nodes
    assert found.attributes.pop("h").tolist() == [0, 1, 2]
    assert found.attributes == {"a": -3, "b": 0.5, "c": "text", "d": [1, -2], "e": [0.5, 1.5], "f": 0, "g": 0.0}


def claims(shape, kind=TensorProto.FLOAT, data=b"\0" * 12):
    tensor = TensorProto(name="w", data_type=kind, raw_data=data)
    tensor.dims.extend(shape)
    return tensor


def outside():
    tensor = claims([3])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return tensor


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (claims([1 << 40]), "weights of more than 256 MiB"),
        (claims([4]), r"the weight 'w' of shape \(4,\) has another number of values"),
        (claims([3], TensorProto.STRING), "of ONNX type 8; accepted"),
        (claims([-1, 3]), "has shape"),
        (claims([3], data=np.array([1, np.nan, 2], np.float32).tobytes()), "values that are not finite"),
        (outside(), "the weight 'w' lies in another file"),
        (helper.make_tensor("w", TensorProto.INT64, [5], [1, 2, 3, 4, 5]), None),
    ],
)  # fmt: skip
def test_weights_that_are_refused(weight, message, monkeypatch):
    if message is None:
        assert parse_onnx(file(weight)).weights["w"].tolist() == [1, 2, 3, 4, 5]
        return
    monkeypatch.setattr(module, "_numbers", lambda *_: pytest.fail("expanded")) if "MiB" in message else None
    with pytest.raises(ModelError, match=message):
        parse_onnx(file(weight))


def test_many_weights_of_which_each_is_small_enough(monkeypatch):
    monkeypatch.setattr(module, "LARGEST_WEIGHTS", 64)
    with pytest.raises(ModelError, match="weights of more than"):
        parse_onnx(file(*[numpy_helper.from_array(np.zeros(3, np.float32), f"w{k}") for k in range(9)]))


def test_branches_and_functions_are_refused():
    inner = helper.make_graph([], "g", [], [])
    with pytest.raises(ModelError, match="a graph of its own"):
        parse_onnx(file(node=helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)))
    own = helper.make_function("", "f", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])],
                               [helper.make_opsetid("", 17)])  # fmt: skip
    with pytest.raises(ModelError, match="functions of its own"):
        parse_onnx(file(functions=[own]))


def test_files_that_are_no_networks(tmp_path):
    for name, data in (("empty.onnx", b""), ("text.onnx", b"<!doctype html>"), ("none.onnx", b"\x08\x08")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ModelError, match=f"{name}: ") as caught:
            read_onnx(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_damaged_files_end_in_one_line(tmp_path):
    data = bundled("selfie.onnx").read_bytes()[:20_000]
    good, dice, broken = file(numpy_helper.from_array(np.eye(3, dtype=np.float32), "w")), random.Random(0), 0
    for turn in range(150):
        damaged = bytearray(good if turn % 10 else data)
        for _ in range(dice.randint(1, 5)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        (tmp_path / "b.onnx").write_bytes(damaged[: dice.randint(1, len(damaged))])
        try:
            Network(read_onnx(tmp_path / "b.onnx")[0])
        except (ModelError, ValueError) as error:
            assert "\n" not in str(error)
            broken += 1
    assert broken > 100
