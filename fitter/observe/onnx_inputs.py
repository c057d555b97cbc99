"""What an ONNX file wants to be given, read from the file itself: before a network is opened, nothing of it has run.

An ONNX file is a protocol buffer (onnx.proto): ModelProto.graph = 7, GraphProto.initializer = 5 and .input = 11,
ValueInfoProto.name = 1 and .type = 2, TypeProto.tensor_type = 1, Tensor.shape = 2, TensorShapeProto.dim = 1,
Dimension.dim_value = 1, TensorProto.name = 8. Everything else is stepped over.
"""

from __future__ import annotations

import mmap
from pathlib import Path

from ..files.protobuf import fields, parts
from ..files.read_onnx import tensor_shape


def onnx_inputs(path: Path) -> dict[str, tuple[int | None, ...]]:
    """Name -> shape of each input that is not a weight; None is a side that the caller may choose.

    Raises:
        ValueError: not a protocol buffer of an ONNX model. OSError.
    """
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found: dict[str, tuple[int | None, ...]] = {}
        weights: set[str] = set()
        for graph in parts(data, (0, len(data)), 7):
            for number, part in fields(data, graph):
                if number == 11 and isinstance(part, tuple):
                    found[_name(data, part, 1)] = tensor_shape(data, part)
                elif number == 5 and isinstance(part, tuple):
                    weights.add(_name(data, part, 8))
        return {name: shape for name, shape in found.items() if name not in weights}


def _name(data: mmap.mmap, message: tuple[int, int], number: int) -> str:
    return next((data[start:end][:1000].decode("utf-8", "replace") for start, end in parts(data, message, number)), "")
