"""A TFLite file as operators, shapes and constants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tflite
from flatbuffers import flexbuffers

CUSTOM = tflite.BuiltinOperator.CUSTOM
KINDS = {code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)}
TYPES = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
    tflite.TensorType.INT64: np.int64,
}
INDEX_VECTORS = {
    tflite.SparseIndexVector.Int32Vector: tflite.Int32Vector,
    tflite.SparseIndexVector.Uint16Vector: tflite.Uint16Vector,
    tflite.SparseIndexVector.Uint8Vector: tflite.Uint8Vector,
}


@dataclass(frozen=True)
class Operator:
    """One step of the graph.

    Attributes:
        kind: TFLite's name of a built-in operator, or a custom one's own.
        inputs, outputs: numbers of tensors.
    """

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    _record: Any

    def options(self, table: type) -> Any:
        """The options of a built-in operator; `table` is their class, tflite.Conv2DOptions for example."""
        options, content = table(), self._record.BuiltinOptions()
        options.Init(content.Bytes, content.Pos)
        return options

    @property
    def custom_options(self) -> bytes:
        """The options of a custom operator as they stand."""
        return bytes(self._record.CustomOptionsAsNumpy()) if self._record.CustomOptionsLength() else b""

    @property
    def named_options(self) -> dict[str, Any]:
        """The options of a custom operator that keeps them as a FlexBuffer."""
        return flexbuffers.Loads(self.custom_options)


class TfliteGraph:
    """The only subgraph of a TFLite file."""

    def __init__(self, content: bytes) -> None:
        self._model = tflite.Model.GetRootAsModel(content, 0)
        self._graph = self._model.Subgraphs(0)
        self.inputs: list[int] = self._graph.InputsAsNumpy().tolist()
        self.outputs: list[int] = self._graph.OutputsAsNumpy().tolist()

    def operators(self) -> Iterator[Operator]:
        """In the order in which they run."""
        for number in range(self._graph.OperatorsLength()):
            record = self._graph.Operators(number)
            code = self._model.OperatorCodes(record.OpcodeIndex())
            # Files from before there were more than 127 operators have the number in the deprecated field.
            builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            kind = code.CustomCode().decode() if builtin == CUSTOM else KINDS[builtin]
            yield Operator(
                kind, tuple(record.InputsAsNumpy().tolist()), tuple(record.OutputsAsNumpy().tolist()), record
            )

    def shape(self, tensor: int) -> list[int]:
        """As TFLite has it: channels last, a batch of one."""
        record = self._graph.Tensors(tensor)
        return record.ShapeAsNumpy().tolist() if record.ShapeLength() else []

    def constant(self, tensor: int) -> np.ndarray | None:
        """The values that the file stores for the tensor, or None where it is computed."""
        record = self._graph.Tensors(tensor)
        buffer = self._model.Buffers(record.Buffer())
        if buffer is None or not buffer.DataLength():
            return None
        values = np.frombuffer(buffer.DataAsNumpy().tobytes(), TYPES[record.Type()])
        sparsity = record.Sparsity()
        shape = self.shape(tensor)
        return values.reshape(shape) if sparsity is None else densified(values, shape, sparsity)


def densified(values: np.ndarray, shape: list[int], sparsity: Any) -> np.ndarray:
    """A sparse tensor in full.

    The values stand in the order of a traversal that visits dimensions in `TraversalOrder`. Each level is dense (all
    its places) or lists its places by segments, as in compressed sparse rows. A dimension that is cut into blocks comes
    twice: over the blocks, and, numbered from len(shape), within one of them.
    Source: tensorflow/lite/schema/schema.fbs, SparsityParameters.
    """
    order = sparsity.TraversalOrderAsNumpy().tolist()
    blocks = sparsity.BlockMapAsNumpy().tolist() if sparsity.BlockMapLength() else []
    levels = [sparsity.DimMetadata(number) for number in range(sparsity.DimMetadataLength())]
    step = [1] * len(shape)
    for dimension, level in zip(order, levels, strict=True):
        if dimension >= len(shape):
            step[blocks[dimension - len(shape)]] = level.DenseSize()
    # The places of each level's nodes, one row a node, in the order of the traversal.
    places, nodes = np.zeros((1, len(shape)), np.int64), np.zeros(1, np.int64)
    for dimension, level in zip(order, levels, strict=True):
        if level.Format() == tflite.DimensionType.DENSE:
            size = level.DenseSize()
            parents, coordinate = np.repeat(np.arange(len(nodes)), size), np.tile(np.arange(size), len(nodes))
            nodes = nodes[parents] * size + coordinate
        else:
            segments, indices = level_vectors(level)
            counts = segments[nodes + 1] - segments[nodes]
            parents = np.repeat(np.arange(len(nodes)), counts)
            nodes = np.concatenate([np.arange(segments[node], segments[node + 1]) for node in nodes])
            coordinate = indices[nodes]
        places = places[parents]
        if dimension < len(shape):
            places[:, dimension] += coordinate * step[dimension]
        else:
            places[:, blocks[dimension - len(shape)]] += coordinate
    dense = np.zeros(shape, values.dtype)
    dense[tuple(places.T)] = values[nodes]
    return dense


def level_vectors(level: Any) -> tuple[np.ndarray, np.ndarray]:
    """Segments and places of a level that lists its places."""
    return (
        _vector(level.ArraySegmentsType(), level.ArraySegments()),
        _vector(level.ArrayIndicesType(), level.ArrayIndices()),
    )


def _vector(kind: int, content: Any) -> np.ndarray:
    vector = INDEX_VECTORS[kind]()
    vector.Init(content.Bytes, content.Pos)
    return vector.ValuesAsNumpy().astype(np.int64)
