"""What an ONNX file wants to be given, read from the file itself: before a network is opened, nothing of it has run.

An ONNX file is a protocol buffer (onnx.proto): ModelProto.graph = 7, GraphProto.initializer = 5 and .input = 11,
ValueInfoProto.name = 1 and .type = 2, TypeProto.tensor_type = 1, Tensor.shape = 2, TensorShapeProto.dim = 1,
Dimension.dim_value = 1, TensorProto.name = 8. Everything else is stepped over.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

MOST_FIELDS = 1_000_000  # of one message; a network of a thousand layers has some thousand

_SCALAR = {1: 8, 5: 4}  # wire type -> bytes


def onnx_inputs(path: Path) -> dict[str, tuple[int | None, ...]]:
    """Name -> shape of each input that is not a weight; None is a side that the caller may choose.

    Raises:
        ValueError: not a protocol buffer of an ONNX model. OSError.
    """
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found: dict[str, tuple[int | None, ...]] = {}
        weights: set[str] = set()
        for graph in _parts(data, (0, len(data)), 7):
            for number, part in _fields(data, graph):
                if number == 11 and isinstance(part, tuple):
                    found[_name(data, part, 1)] = _shape(data, part)
                elif number == 5 and isinstance(part, tuple):
                    weights.add(_name(data, part, 8))
        return {name: shape for name, shape in found.items() if name not in weights}


def _shape(data: mmap.mmap, info: tuple[int, int]) -> tuple[int | None, ...]:
    sides: list[int | None] = []
    for kind in _parts(data, info, 2):
        for tensor in _parts(data, kind, 1):
            for shape in _parts(data, tensor, 2):
                for side in _parts(data, shape, 1):
                    values = [value for number, value in _fields(data, side) if number == 1 and isinstance(value, int)]
                    sides.append(values[-1] if values else None)
    return tuple(sides)


def _name(data: mmap.mmap, message: tuple[int, int], number: int) -> str:
    return next((data[start:end][:1000].decode("utf-8", "replace") for start, end in _parts(data, message, number)), "")


def _parts(data: mmap.mmap, message: tuple[int, int], wanted: int) -> Iterator[tuple[int, int]]:
    """Begin and end of the fields of that number that hold bytes, a message among them."""
    for number, value in _fields(data, message):
        if number == wanted and isinstance(value, tuple):
            yield value


def _fields(data: mmap.mmap, message: tuple[int, int]) -> Iterator[tuple[int, int | tuple[int, int]]]:
    """Number and value of each field: an int, or begin and end of its bytes."""
    at, end = message
    for _ in range(MOST_FIELDS):
        if at == end:
            return
        key, at = _varint(data, at, end)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at, end)
            yield key >> 3, value
            continue
        size, at = _varint(data, at, end) if kind == 2 else (_SCALAR.get(kind, -1), at)
        if size < 0 or at + size > end:
            raise ValueError("a field that is cut off, or of an unknown kind")
        yield key >> 3, (at, at + size)
        at += size
    raise ValueError(f"a message of more than {MOST_FIELDS} fields")


def _varint(data: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("a number that is cut off")
