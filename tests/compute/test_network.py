"""Each operator against onnxruntime, gradients, and graphs that want what is not done."""

from itertools import pairwise

import numpy as np
import onnxruntime
import pytest
import torch

from facefit.compute.network import Graph, Network, Node
from facefit.errors import ModelError
from facefit.files.read_onnx import parse_onnx

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402  after it is known to be there

RNG = np.random.default_rng(0)
PICTURE = (4, 6, 6)


def reals(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def whole(*values):
    return np.array(values, np.int64)


def file(kind, shape, constants=(), outputs=1, opset=18, **attributes):
    """One node whose first input is `x`; None among the constants leaves an input out."""
    names = ["" if value is None else f"c{k}" for k, value in enumerate(constants)]
    weights = [numpy_helper.from_array(value, name) for name, value in zip(names, constants, strict=True) if name]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape])
    outs = [f"y{k}" for k in range(outputs)]
    node = helper.make_node(kind, ["x", *names], outs, **attributes)
    named = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outs]
    graph = helper.make_graph([node], "g", [given], named, weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    return made.SerializeToString()


CASES = {
    **{kind: ((5,), (), {}) for kind in ("Abs", "Cos", "Elu", "Erf", "Exp", "HardSigmoid", "HardSwish", "Identity",
                                         "LeakyRelu", "Neg", "Reciprocal", "Relu", "Sigmoid", "Sin", "Softmax",
                                         "Softplus", "Tanh", "Flatten", "Dropout")},
    "Gelu": ((5,), (), {"opset": 20, "approximate": "tanh"}),
    "Add": ((3, 5), (reals(5),), {}), "Sub": ((3, 5), (reals(3, 1),), {}), "Mul": ((5,), (reals(1),), {}),
    "Div": ((5,), (reals(5),), {}), "Pow": ((5,), (np.array([2.0], np.float32),), {}),
    "Max": ((5,), (reals(5), reals(5)), {}), "Min": ((5,), (reals(5),), {}), "Sum": ((5,), (reals(5),), {}),
    "PRelu": (PICTURE, (reals(4, 1, 1),), {}),
    "Clip": ((5,), (np.float32(-0.3), np.float32(0.4)), {}),
    "Cast": ((5,), (), {"to": TensorProto.FLOAT}),
    "MatMul": ((3, 5), (reals(5, 2),), {}),
    "Gemm": ((5,), (reals(7, 5), reals(7)), {"transB": 1, "alpha": 0.5, "beta": 2.0}),
    "Conv": (PICTURE, (reals(6, 2, 3, 3), reals(6)), {"group": 2, "pads": [1, 0, 2, 1], "strides": [2, 1]}),
    "ConvTranspose": (PICTURE, (reals(4, 3, 3, 3), reals(3)),
                      {"pads": [1, 1, 1, 1], "strides": [2, 2], "output_padding": [1, 1]}),
    "BatchNormalization": (PICTURE, (reals(4), reals(4), reals(4), np.abs(reals(4))), {}),
    "InstanceNormalization": (PICTURE, (reals(4), reals(4)), {}),
    "LayerNormalization": ((3, 5), (reals(5), reals(5)), {}),
    "LpNormalization": ((3, 5), (), {"axis": 1}),
    "MaxPool": (PICTURE, (), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "AveragePool": (PICTURE, (), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "GlobalAveragePool": (PICTURE, (), {}),
    **{f"Reduce{kind}": ((3, 5), (whole(2),), {}) for kind in ("L2", "Max", "Mean", "Min", "Sum")},
    "Reshape": ((6, 4), (whole(0, -1, 8),), {}),
    "Transpose": ((3, 5), (), {"perm": [0, 2, 1]}),
    "Slice": ((7, 5), (whole(-5, 1), whole(9, 4), whole(1, 2), whole(2, 1)), {}),
    "Split": ((7,), (whole(3, 4),), {"axis": 1, "outputs": 2}),
    "Unsqueeze": ((3,), (whole(1, 3),), {}),
    "Squeeze": ((1, 3), (whole(1),), {}),
    "Gather": ((6, 3), (np.array([[0, -1], [2, 2]]),), {"axis": 1}),
    "Expand": ((1, 3), (whole(1, 4, 1),), {}),
    "Pad": ((3, 5), (whole(0, 1, 0, 0, 2, 1), np.float32(0.5)), {}),
    "Resize": (PICTURE, (None, np.array([1, 1, 2, 2], np.float32)), {"mode": "linear"}),
    "DepthToSpace": (PICTURE, (), {"blocksize": 2, "mode": "DCR"}),
}  # fmt: skip


# as networks of older exporters have them, recognition networks for example
BEFORE_13 = {
    "Squeeze": ((1, 3), (), {"axes": [1]}),
    "Unsqueeze": ((3,), (), {"axes": [1, 3]}),
    "Split": ((7,), (), {"axis": 1, "split": [3, 4], "outputs": 2}),
    "ReduceSum": ((3, 5), (), {"axes": [2]}),
    "ReduceL2": ((3, 5), (), {"axes": [1], "keepdims": 0}),
    "Clip": ((5,), (np.float32(-0.3), np.float32(0.4)), {}),
    "BatchNormalization": CASES["BatchNormalization"],
    "PRelu": CASES["PRelu"],
}  # fmt: skip


@pytest.mark.parametrize("kind", BEFORE_13)
def test_older_opsets(kind):
    shape, constants, settings = BEFORE_13[kind]
    data, x = file(kind, shape, constants, opset=11, **settings), reals(2, *shape)
    expected = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    for a, b in zip(Network(parse_onnx(data))({"x": torch.from_numpy(x)}).values(), expected, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6, rtol=1e-5)


def test_what_meant_something_else():
    with pytest.raises(ValueError, match="Softmax means something else in opset 12; export it with opset 13 or later"):
        Network(parse_onnx(file("Softmax", (3, 5), opset=12)))


@pytest.mark.parametrize("kind", CASES)
def test_as_onnxruntime_computes_it(kind):
    shape, constants, settings = CASES[kind]
    data, x = file(kind, shape, constants, **settings), reals(2, *shape)
    expected = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    found = Network(parse_onnx(data))({"x": torch.from_numpy(x)})
    for a, b in zip(found.values(), expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, atol=2e-6, rtol=1e-5)


def test_nearest_places_by_whole_factors_alone():
    grown = (None, np.array([1, 1, 2, 3], np.float32))
    settings = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    data, x = file("Resize", PICTURE, grown, **settings), reals(1, *PICTURE)
    expected = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    np.testing.assert_array_equal(Network(parse_onnx(data))({"x": torch.from_numpy(x)})["y0"], expected[0])
    with pytest.raises(ValueError, match="Resize: mode 'nearest' .* accepted"):
        Network(parse_onnx(file("Resize", PICTURE, (None, np.array([1, 1, 1.5, 2], np.float32)), **settings)))
    with pytest.raises(ValueError, match="for a batch of 2 .export it for any batch.: Resize: another batch"):
        Network(parse_onnx(file("Resize", PICTURE, (None, None, whole(1, 4, 12, 12)), **settings)))


def graph(*nodes, weights=None, shape=(3,), outputs=("y",)):
    return Graph(tuple(Node(*node) for node in nodes), weights or {}, {"x": (None, *shape)}, outputs, 17)


def test_shapes_that_follow_the_batch_and_gradients():
    """As exporters write a reshape: the batch is read off the input."""
    network = Network(
        graph(
            ("Shape", ("x",), ("s",)), ("Gather", ("s", "zero"), ("n",), {"axis": 0}),
            ("Concat", ("n", "rest"), ("to",), {"axis": 0}), ("MatMul", ("x", "w"), ("h",)), ("Tanh", ("h",), ("t",)),
            ("ConstantOfShape", ("to",), ("none",)), ("Reshape", ("t", "to"), ("a",)), ("Add", ("a", "none"), ("y",)),
            weights={"zero": whole(0), "rest": whole(2, 2), "w": reals(3, 4)},
        )
    )  # fmt: skip
    assert (network.inputs, network.outputs) == ({"x": (3,)}, {"y": (2, 2)})
    x = torch.randn(5, 3, dtype=torch.float32, requires_grad=True)
    y = network({"x": x})["y"]
    assert y.shape == (5, 2, 2)
    (slope,) = torch.autograd.grad(y.sum(), x)
    # the device that computes nothing refuses what a GPU would: a value of the CPU beside one of its own
    there = network.to("meta")({"x": torch.empty(4, 3, device="meta")})["y"]
    assert there.shape == (4, 2, 2) and there.device.type == "meta"
    w = network._constants["w"]
    assert torch.allclose(slope, (1 - (x @ w).tanh() ** 2) @ w.T, atol=1e-6)


def test_what_nobody_asks_for_is_left_out():
    network = Network(graph(("Relu", ("x",), ("y",)), ("Loop", ("x",), ("z",)), outputs=("y", "z")), ["y"])
    assert network.outputs == {"y": (3,)}


TOO_MUCH = {
    "the operator 'Loop' is not supported": [("Loop", ("x",), ("y",))],
    "Expand gives .* too much memory": [("Expand", ("x", "huge"), ("y",))],
    "ConstantOfShape gives": [("ConstantOfShape", ("huge",), ("y",))],
    "MatMul gives .* too much memory": [("MatMul", ("tall", "wide"), ("z",)), ("Add", ("z", "x"), ("y",))],
    "would take too much memory": [("Concat", tuple("x" * 4096), ("a",), {"axis": 0})] +
        [("Concat", (a, a), (b,), {"axis": 1}) for a, b in pairwise("abcdefghijklmnopy")],
    "Gather: an index from 7 to 7 along 3 values": [("Gather", ("x", "seven"), ("y",), {"axis": 1})],
    "Gather: its indices hang on the inputs": [("Gather", ("w", "x"), ("y",))],
    "Reshape: 'x' hangs on the inputs' numbers": [("Reshape", ("x", "x"), ("y",))],
    "Reshape cannot be computed": [("Reshape", ("x", "seven"), ("y",))],
    "Conv cannot be computed": [("Conv", ("x",), ("y",))],
    "Concat cannot be computed .KeyError": [("Concat", ("x", "x"), ("y",))],
    "Relu needs 'z', which nothing has computed": [("Relu", ("z",), ("y",)), ("Relu", ("y",), ("z",))],
    "nothing computes the output 'y'": [("Relu", ("x",), ("z",))],
    "has shape .1, 6. for a batch of 2; expected the batch in front": [("Flatten", ("w",), ("y",), {"axis": 0})],
}  # fmt: skip


@pytest.mark.parametrize("message", TOO_MUCH)
def test_refused_in_one_line_before_anything_is_computed(message):
    weights = {"huge": whole(10**6, 10**3, 3), "seven": whole(7), "w": reals(2, 3),
               "tall": np.ones((60_000, 1), np.float32), "wide": np.ones((1, 60_000), np.float32)}  # fmt: skip
    with pytest.raises(ValueError, match=message) as caught:
        Network(graph(*TOO_MUCH[message], weights=weights))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(None,), (), (4, None), (0,)])
def test_inputs_have_a_batch_and_known_lengths(shape):
    given = Graph((Node("Relu", ("x",), ("y",)),), {}, {"x": (None, *shape) if shape else ()}, ("y",), 17)
    with pytest.raises(ValueError, match="the input 'x' has shape .*; expected"):
        Network(given)


def test_another_opset():
    with pytest.raises(ValueError, match="opset 9; accepted: 11 to 23"):
        Network(parse_onnx(file("Relu", (3,), opset=9)))


def test_operators_of_other_domains():
    with pytest.raises(ModelError, match="'Relu' of 'com.microsoft' is not one of ONNX' own"):
        parse_onnx(file("Relu", (3,), domain="com.microsoft"))
