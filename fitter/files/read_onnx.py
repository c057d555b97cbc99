"""An ONNX file as a graph (facefit.compute.network), read from bytes that are not trusted.

The file is a protocol buffer (onnx.proto) and is read field by field. How large each weight is stands before its
numbers, and it must have exactly so many; all of them together are counted before the first is taken. Files beside it
(external data), functions, sub-graphs and operators of other domains are refused. Nothing is executed.

Field numbers: ModelProto ir_version 1, graph 7, opset_import 8, functions 25; OperatorSetIdProto domain 1, version 2;
GraphProto node 1, initializer 5, input 11, output 12, sparse_initializer 15; NodeProto input 1, output 2, op_type 4,
attribute 5, domain 7; AttributeProto name 1, f 2, i 3, s 4, t 5, g 6, floats 7, ints 8, strings 9, tensors 10, graphs
11, type 20, ref_attr_name 21; TensorProto dims 1, data_type 2, float_data 4, int32_data 5, int64_data 7, name 8,
raw_data 9, double_data 10, external_data 13, data_location 14; ValueInfoProto name 1, type 2.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..compute.network import Graph, Node
from ..errors import ModelError
from .protobuf import Bytes, Span, fields, parts, varint
from .untrusted import read_bytes, reading

KIND = "a network (.onnx)"
LARGEST_WEIGHTS = 1 << 28  # bytes of all weights as they are used; a decoder of a head has some megabytes
MOST_VALUES = 200_000  # nodes, weights and attributes' numbers that are not raw: each costs time to read
LONGEST_NAME = 400

# TensorProto.DataType -> the type, and the field that holds the numbers where they are not raw
_TYPES: dict[int, tuple[str, int]] = {
    1: ("<f4", 4), 2: ("u1", 5), 3: ("i1", 5), 6: ("<i4", 5), 7: ("<i8", 7), 9: ("?", 5), 10: ("<f2", 5),
    11: ("<f8", 10),
}  # fmt: skip
_SCALARS = {4: "<f4", 10: "<f8"}  # fields of fixed width


def read_onnx(path: Path) -> tuple[Graph, bytes]:
    """The graph in a file, and the file's bytes. Raises ModelError: one line that begins with the path."""
    with reading(path, KIND):
        data = read_bytes(path)
        return parse_onnx(data), data


def parse_onnx(data: bytes) -> Graph:
    """The graph in the bytes of a file.

    Raises:
        ModelError: what it holds is not supported, or its weights are too large. ValueError: a damaged file.
    """
    opset, graphs = 0, []
    for number, value in fields(data, (0, len(data))):
        if number == 8 and isinstance(value, tuple):
            opset = max(opset, _opset(data, value))
        elif number == 25:
            raise ModelError("functions of its own are not supported; export it with its functions inlined")
        elif number == 7 and isinstance(value, tuple):
            graphs.append(value)
    if len(graphs) != 1:
        raise ModelError("no graph in it; expected an ONNX model")
    nodes: list[Span] = []
    weights: list[Span] = []
    inputs: dict[str, tuple[int | None, ...]] = {}
    outputs: list[str] = []
    for number, value in fields(data, graphs[0]):
        if number == 15:
            raise ModelError("sparse weights are not supported")
        if not isinstance(value, tuple):
            continue
        if number == 1:
            nodes.append(value)
        elif number == 5:
            weights.append(value)
        elif number == 11:
            inputs[_text(data, value, 1)] = tensor_shape(data, value)
        elif number == 12:
            outputs.append(_text(data, value, 1))
        if len(nodes) + len(weights) + len(inputs) > MOST_VALUES:
            raise ModelError(f"more than {MOST_VALUES} operators and weights")
    found = _weights(data, weights)
    # older files name weights among the inputs
    given = {name: shape for name, shape in inputs.items() if name not in found}
    return Graph(tuple(_node(data, each) for each in nodes), found, given, tuple(outputs), opset)


def _opset(data: bytes, message: Span) -> int:
    if _text(data, message, 1) not in ("", "ai.onnx"):
        return 0  # of other domains, whose operators are refused where they stand
    return next((value for number, value in fields(data, message) if number == 2 and isinstance(value, int)), 0)


def _weights(data: bytes, spans: list[Span]) -> dict[str, np.ndarray]:
    found: dict[str, tuple[str, tuple[int, ...], str, int, Span]] = {}
    total = 0
    for span in spans:
        name, shape, kind, source = _header(data, span)
        total += math.prod(shape) * max(4, np.dtype(kind).itemsize)
        if total > LARGEST_WEIGHTS:
            raise ModelError(f"weights of more than {LARGEST_WEIGHTS >> 20} MiB; a head's decoder has some megabytes")
        found[name] = (name, shape, kind, source, span)
    return {name: _numbers(data, *described) for name, described in found.items()}


def _header(data: bytes, message: Span) -> tuple[str, tuple[int, ...], str, int]:
    """Name, shape, type and field of the numbers of a TensorProto, read without its numbers."""
    shape: list[int] = []
    kind, raw, name = 0, False, ""
    for number, value in fields(data, message):
        if number == 1:
            shape += _signed([value] if isinstance(value, int) else list(_varints(data, value)))
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 8 and isinstance(value, tuple):
            name = _decoded(data, value)
        elif number == 9:
            raw = True
        elif number == 13 or (number == 14 and value):
            raise ModelError(f"the weight {name!a:.60} lies in another file; save the network as one file")
    if kind not in _TYPES:
        raise ModelError(f"the weight {name!a:.60} is of ONNX type {kind}; accepted: reals, whole numbers, bool")
    if any(side < 0 for side in shape) or len(shape) > 8:
        raise ModelError(f"the weight {name!a:.60} has shape {shape!s:.60}")
    return name, tuple(shape), _TYPES[kind][0], 9 if raw else _TYPES[kind][1]


def _numbers(data: bytes, name: str, shape: tuple[int, ...], kind: str, source: int, message: Span) -> np.ndarray:
    count, dtype = math.prod(shape), np.dtype(kind)
    if source == 9 or source in _SCALARS:
        stored = dtype if source == 9 else np.dtype(_SCALARS[source])
        spans = list(parts(data, message, source))
        if sum(end - start for start, end in spans) != count * stored.itemsize:
            raise ModelError(f"the weight {name!a:.60} of shape {shape} has another number of values")
        values = np.frombuffer(b"".join(data[start:end] for start, end in spans), stored)
    else:
        if count > MOST_VALUES:
            raise ModelError(f"the weight {name!a:.60} has {count} values that are not stored raw; save it as raw data")
        whole: list[int] = []
        for number, value in fields(data, message):
            if number == source:
                whole += [value] if isinstance(value, int) else list(_varints(data, value))
                if len(whole) > count:
                    break
        if len(whole) != count:
            raise ModelError(f"the weight {name!a:.60} of shape {shape} has another number of values")
        if dtype == np.float16:  # its bits, as whole numbers
            values = np.array([value & 0xFFFF for value in whole], np.uint16).view(np.float16)
        else:
            values = np.array(_signed(whole), np.int64).astype(dtype)
    if dtype.kind == "f" and not np.isfinite(values).all():
        raise ModelError(f"the weight {name!a:.60} holds values that are not finite")
    return values.reshape(shape)


def _node(data: bytes, message: Span) -> Node:
    inputs: list[str] = []
    outputs: list[str] = []
    attributes: dict[str, Any] = {}
    kind = domain = ""
    for number, value in fields(data, message):
        if not isinstance(value, tuple):
            continue
        if number == 1:
            inputs.append(_decoded(data, value))
        elif number == 2:
            outputs.append(_decoded(data, value))
        elif number == 4:
            kind = _decoded(data, value)
        elif number == 5:
            name, what = _attribute(data, value)
            attributes[name] = what
        elif number == 7:
            domain = _decoded(data, value)
    if domain not in ("", "ai.onnx"):
        raise ModelError(f"the operator {kind!a:.40} of {domain!a:.40} is not one of ONNX' own")
    return Node(kind, tuple(inputs), tuple(outputs), attributes)


def _attribute(data: bytes, message: Span) -> tuple[str, Any]:
    name, value = "", None
    floats: list[float] = []
    ints: list[int] = []
    kind = 0
    for number, part in fields(data, message):
        if number in (6, 11, 21, 22, 23):
            raise ModelError(f"the attribute {name!a:.40} is a graph of its own (a loop or a branch); not supported")
        if number == 1 and isinstance(part, tuple):
            name = _decoded(data, part)
        elif number == 20 and isinstance(part, int):
            kind = part
        elif number == 2 and isinstance(part, tuple):
            (value,) = struct.unpack("<f", data[part[0] : part[1]])
        elif number == 3 and isinstance(part, int):
            (value,) = _signed([part])
        elif number == 4 and isinstance(part, tuple):
            value = _decoded(data, part)
        elif number == 5 and isinstance(part, tuple):
            (value,) = _weights(data, [part]).values()
        elif number == 7 and isinstance(part, tuple):
            floats += np.frombuffer(data[part[0] : part[1]], "<f4").tolist()
        elif number == 8:
            ints += _signed([part] if isinstance(part, int) else list(_varints(data, part)))
        if len(floats) + len(ints) > MOST_VALUES:
            raise ModelError(f"the attribute {name!a:.40} has more than {MOST_VALUES} numbers")
    if kind == 6 or floats:
        value = floats
    elif kind == 7 or ints:
        value = ints
    elif kind == 2 and value is None:
        value = 0  # a number of zero need not be written
    elif kind == 1 and value is None:
        value = 0.0
    return name, value


def tensor_shape(data: Bytes, info: Span) -> tuple[int | None, ...]:
    """The sides of an input or output of a graph, None for what is not a number. Raises ValueError as `fields`."""
    sides: list[int | None] = []
    for kind in parts(data, info, 2):
        for tensor in parts(data, kind, 1):
            for shape in parts(data, tensor, 2):
                for side in parts(data, shape, 1):
                    values = [value for number, value in fields(data, side) if number == 1 and isinstance(value, int)]
                    sides.append(_signed(values[-1:])[0] if values else None)
    return tuple(sides)


def _varints(data: bytes, span: Span) -> Iterator[int]:
    at, end = span
    while at < end:
        value, at = varint(data, at, end)
        yield value


def _signed(values: list[int]) -> list[int]:
    """64 bits as the two's complement that they are."""
    return [value - (1 << 64) if value >> 63 else value for value in (value & (1 << 64) - 1 for value in values)]


def _text(data: bytes, message: Span, number: int) -> str:
    return next((_decoded(data, span) for span in parts(data, message, number)), "")


def _decoded(data: bytes, span: Span) -> str:
    if span[1] - span[0] > LONGEST_NAME:
        raise ModelError(f"a name of {span[1] - span[0]} letters")
    return data[span[0] : span[1]].decode("utf-8", "replace")
