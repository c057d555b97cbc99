"""A linear head model written as a decoder: the same faces out of a network, to hold the one to the other.

python -m training.decoder.linear data/face_model.npz build/as_decoder.npz
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from facefit.model.decoder import CODES, COLOURS, VERTS
from facefit.model.model_file import DECODED, save_arrays

OPSET, IR_VERSION = 17, 8


class GraphWriter:
    """Nodes and weights of 16 bits, as they are added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, out: str = "", **attributes) -> str:
        """The name of the node's output."""
        out = out or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], **attributes))
        return out

    def weight(self, values: np.ndarray, half: bool = True) -> str:
        """The name of a constant; reals are stored in 16 bits where `half` and computed with in 32."""
        name = f"weight_{len(self.weights)}"
        if values.dtype.kind != "f":
            self.weights.append(numpy_helper.from_array(values, name))
            return name
        stored = values.astype(np.float16 if half else np.float32)
        self.weights.append(numpy_helper.from_array(stored, name))
        return self.add("Cast", name, to=TensorProto.FLOAT) if half else name

    def whole(self, *values: int) -> str:
        """The name of a constant vector of whole numbers."""
        return self.weight(np.array(values, np.int64))

    def file(self, inputs: dict[str, int], outputs: dict[str, tuple[int, ...]]) -> bytes:
        """The ONNX file, checked. inputs: name -> length; outputs: name -> shape without the batch."""

        def declared(name: str, *shape: int) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["faces", *shape])

        graph = helper.make_graph(
            self.nodes, "facefit decoder", [declared(name, length) for name, length in inputs.items()],
            [declared(name, *shape) for name, shape in outputs.items()], self.weights,
        )  # fmt: skip
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="facefit")
        made.ir_version = IR_VERSION
        onnx.checker.check_model(made, full_check=True)
        return made.SerializeToString(deterministic=True)


def linear_network(arrays: dict[str, np.ndarray]) -> bytes:
    """The ONNX file of a linear model's shapes, correctives included, and colours."""
    graph, count = GraphWriter(), len(arrays["verts"])
    given, bases = ["identity", "expression"], [arrays["identity_basis"], arrays["expression_basis"]]
    if "corrective_basis" in arrays:
        along = graph.add("MatMul", "identity", graph.weight(arrays["corrective_identity"].T, half=False))
        chosen = graph.add("Gather", "expression", graph.whole(*arrays["corrective_expression"]), axis=1)
        given.append(graph.add("Mul", along, chosen))
        bases.append(arrays["corrective_basis"])
    coefficients = graph.add("Concat", *given, axis=1)
    for code, mean, basis, out in (
        (coefficients, arrays["verts"], np.concatenate(bases), VERTS),
        ("albedo", arrays["albedo_mean"], arrays["albedo_basis"], COLOURS),
    ):
        flat = graph.add(
            "Gemm", code, graph.weight(basis.reshape(len(basis), -1).astype(np.float32)),
            graph.weight(mean.reshape(-1), half=False),
        )  # fmt: skip
        graph.add("Reshape", flat, graph.whole(-1, count, 3), out=out)
    sizes = {name: len(arrays[f"{name}_basis"]) for name in CODES}
    return graph.file(sizes, {VERTS: (count, 3), COLOURS: (count, 3)})


def as_decoder(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of a model file whose shapes and colours come out of a network and are the same."""
    kept = {name: value for name, value in arrays.items() if not name.startswith("corrective_")}
    network = np.frombuffer(linear_network(arrays), np.uint8)
    return kept | {
        "format": np.int64(DECODED),
        "decoder_network": network,
        "decoder_frame": np.eye(3, dtype=np.float32),
    }


def main(arguments: list[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="model file of a linear model")
    parser.add_argument("out", type=Path, help="the model file to write")
    options = parser.parse_args(arguments)
    with np.load(options.model) as file:
        arrays = dict(file)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    save_arrays(options.out, as_decoder(arrays))


if __name__ == "__main__":
    main()
