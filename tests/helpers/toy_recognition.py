"""A face recognition network of two small layers, as an ONNX file. `onnx` has to be there (pytest.importorskip)."""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

SIDE, LENGTH = 32, 24


def recognition_bytes(
    *, shape=("n", 3, SIDE, SIDE), length: int = LENGTH, last: str = "Sigmoid", factor: float = 1.0, opset: int = 11
) -> bytes:
    """Smooth everywhere; what it says of a picture hangs on where what is. opset: that of ArcFace's own files."""
    dice = np.random.default_rng(0)
    rows = 8 * int(np.prod([-(-side // 4) for side in shape[2:] if isinstance(side, int)]))
    weights = {
        "w0": dice.normal(0, 0.2, (6, 3, 5, 5)), "s": np.ones(6), "b": np.zeros(6), "m": np.zeros(6), "v": np.ones(6),
        "w1": dice.normal(0, 0.1, (8, 6, 5, 5)), "slope": np.full((8, 1, 1), 0.25),
        "w2": dice.normal(0, 0.3 * factor, (rows, length)), "b2": np.zeros(length),
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["picture", "w0"], ["a"], pads=[2] * 4, strides=[2, 2]),
        helper.make_node("BatchNormalization", ["a", "s", "b", "m", "v"], ["c"]),
        helper.make_node("Sigmoid", ["c"], ["d"]),
        helper.make_node("Conv", ["d", "w1"], ["e"], pads=[2] * 4, strides=[2, 2]),
        helper.make_node("PRelu", ["e", "slope"], ["f"]),
        helper.make_node("Flatten", ["f"], ["g"]),
        helper.make_node("Gemm", ["g", "w2", "b2"], ["h"]),
        helper.make_node(last, ["h"], ["embedding"]),
    ]
    graph = helper.make_graph(
        nodes, "recognition", [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return model.SerializeToString()


def recognition_file(path: Path, **changes) -> Path:
    """The same, written."""
    path.write_bytes(recognition_bytes(**changes))
    return path
