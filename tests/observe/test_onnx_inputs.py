"""What an ONNX file wants to be given, against onnxruntime, and files that want too much."""

import random

import numpy as np
import onnxruntime
import pytest

from facefit.bundled import bundled
from facefit.errors import FaceFitError
from facefit.observe.face_networks import FILES
from facefit.observe.onnx_inputs import onnx_inputs
from facefit.observe.onnx_session import load_session

onnx = pytest.importorskip("onnx")


def network(path, shape):
    """One addition of a weight to an input of that shape."""
    given = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)
    weight = onnx.helper.make_tensor_value_info("w", onnx.TensorProto.FLOAT, [1])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, shape)
    node = onnx.helper.make_node("Add", ["x", "w"], ["y"])
    value = onnx.numpy_helper.from_array(np.ones(1, np.float32), "w")
    graph = onnx.helper.make_graph([node], "g", [given, weight], [out], [value])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("file", [*FILES, "selfie.onnx", "parser.onnx"])
def test_as_onnxruntime_sees_it(file):
    session = onnxruntime.InferenceSession(str(bundled(file)), providers=["CPUExecutionProvider"])
    seen = {each.name: tuple(side if isinstance(side, int) else None for side in each.shape)
            for each in session.get_inputs()}  # fmt: skip
    assert onnx_inputs(bundled(file)) == seen


def test_weights_are_no_inputs_and_names_no_numbers(tmp_path):
    assert onnx_inputs(network(tmp_path / "a.onnx", ["batch", 3, None, 8])) == {"x": (None, 3, None, 8)}


def test_a_huge_input_is_refused_before_a_session_is_opened(tmp_path, monkeypatch):
    monkeypatch.setattr("onnxruntime.InferenceSession", lambda *_, **__: pytest.fail("a session was opened"))
    with pytest.raises(FaceFitError, match="a.onnx: the input 'x' takes 1 x 3 x 20000 x 20000 numbers; accepted"):
        load_session(network(tmp_path / "a.onnx", [1, 3, 20000, 20000]))
    with pytest.raises(FaceFitError, match="takes -1 x 3 x 512 x 512 numbers; accepted"):
        load_session(network(tmp_path / "a.onnx", [-1, 3, 512, 512]))


def test_damaged_files_end_in_one_line(tmp_path):
    data = network(tmp_path / "a.onnx", [1, 3, 64, 64]).read_bytes()
    dice = random.Random(0)
    for _ in range(200):
        broken = bytearray(data)
        for _ in range(dice.randint(1, 5)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        (tmp_path / "b.onnx").write_bytes(broken[: dice.randint(1, len(broken))])
        try:
            load_session(tmp_path / "b.onnx")
        except FaceFitError as error:
            assert str(error).startswith(str(tmp_path / "b.onnx")) and "\n" not in str(error)
