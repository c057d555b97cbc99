"""An ONNX graph while it is being written: nodes, and weights of 16 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, IR_VERSION = 16, 8  # the oldest that have all operators: GridSample came with 16
FEW = 16  # numbers that 16 bits would not make smaller


class OnnxGraph:
    """Nodes and constants in the order in which they are added, so that the same calls give the same file."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._names: dict[tuple, str] = {}

    def node(self, kind: str, *inputs: str, out: str | None = None, **attributes: Any) -> str:
        """Add a node with one output; the output's name."""
        number = len(self._nodes)
        out = out or f"{kind.lower()}_{number}"
        self._nodes.append(helper.make_node(kind, list(inputs), [out], name=f"node_{number}", **attributes))
        return out

    def constant(self, values: np.ndarray | float) -> str:
        """The name of a constant, stored once. Floats are stored in 16 bits where these hold the same numbers."""
        values = np.ascontiguousarray(values)
        if values.dtype.kind == "f":
            values = values.astype(np.float32)
        key = (values.dtype.str, values.shape, values.tobytes())
        if key not in self._names:
            name = f"constant_{len(self._names)}"
            half = values.astype(np.float16) if values.dtype == np.float32 and values.size > FEW else None
            if half is not None and np.array_equal(half.astype(np.float32), values):
                self._constants.append(numpy_helper.from_array(half, f"{name}_half"))
                name = self.node("Cast", f"{name}_half", out=name, to=TensorProto.FLOAT)
            else:
                self._constants.append(numpy_helper.from_array(values, name))
            self._names[key] = name
        return self._names[key]

    def integers(self, *values: int) -> str:
        """A constant vector of int64, as shapes and places are given."""
        return self.constant(np.array(values, np.int64))

    def part(self, tensor: str, axis: int, start: int, stop: int) -> str:
        """Elements `start` up to `stop` along `axis`."""
        return self.node("Slice", tensor, self.integers(start), self.integers(stop), self.integers(axis))

    def model(
        self, name: str, inputs: dict[str, list], outputs: dict[str, list], description: str, properties: dict[str, str]
    ) -> onnx.ModelProto:
        """The finished model, checked. `inputs` and `outputs`: shapes by name, float32, "N" for the batch."""

        def declared(shapes: dict[str, list]) -> list[onnx.ValueInfoProto]:
            return [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in shapes.items()]

        graph = helper.make_graph(self._nodes, name, declared(inputs), declared(outputs), self._constants)
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], producer_name="facefit", doc_string=description)
        model.ir_version = IR_VERSION
        helper.set_model_props(model, properties)
        onnx.checker.check_model(model, full_check=True)
        return model
