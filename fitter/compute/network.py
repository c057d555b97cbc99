"""A network as data, computed by torch: differentiable, on any device, by a stated set of operators and nothing else.

What a graph may ask for is what `compute.operators` lists. Every size is known before anything is computed: a graph is
gone through once without numbers (torch's device `meta`), and one that would take more than LARGEST numbers is refused.
All reals are computed in 32 bits and all whole numbers in 64, whatever the file has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .operator import Attributes, Operator
from .operators import OPERATORS

LARGEST = 1 << 27  # numbers that one operator may give, and 4 times as many all of them together
MOST_NODES = 20_000
OPSETS = range(11, 24)  # of ONNX, whose operators mean what is computed here, but for CHANGED below 13
CHANGED = frozenset({"Softmax"})  # over all axes from one on, before opset 13


@dataclass(frozen=True)
class Node:
    """One operator of a graph. `inputs`, `outputs`: names of values, "" where one is left out."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """Nodes in the order in which they are computed.

    Attributes:
        weights: the constants by name.
        inputs: name -> shape; None is a side that may have any length.
        outputs: names.
        opset: version of ONNX' operators.
    """

    nodes: tuple[Node, ...]
    weights: Mapping[str, np.ndarray]
    inputs: Mapping[str, tuple[int | None, ...]]
    outputs: tuple[str, ...]
    opset: int


class Network:
    """A graph that can be called. Its weights are constants: gradients flow to the inputs alone.

    Attributes:
        inputs: name -> shape of one sample, without the batch, which is the first axis of every input and output.
        outputs: name -> the same.
        numbers: how many the values of one sample are, all together.
    """

    def __init__(self, graph: Graph, wanted: Sequence[str] | None = None) -> None:
        """wanted: the outputs that are of interest; None: all. What only others need is left out.

        Raises:
            ValueError: an operator or a setting that is not supported, shapes that do not fit, or a graph that is too
                large; one line.
        """
        if graph.opset not in OPSETS:
            raise ValueError(f"operators of ONNX opset {graph.opset}; accepted: {OPSETS[0]} to {OPSETS[-1]}")
        outputs = tuple(graph.outputs if wanted is None else wanted)
        for name in outputs:
            if name not in graph.outputs:
                raise ValueError(
                    f"no output {name!a:.60}; it has {', '.join(f'{each!a:.40}' for each in graph.outputs)}"
                )
        self._nodes = _needed(graph, outputs)
        given = {name for node in self._nodes for name in node.inputs} | set(outputs)
        self.inputs = {name: _sample(name, shape) for name, shape in graph.inputs.items() if name in given}
        weights = {name: _tensor(value) for name, value in graph.weights.items() if name in given}
        self._constants, shapes, self.numbers = _dry_run(self._nodes, weights, self.inputs, 1)
        try:
            _, twice, _ = _dry_run(self._nodes, weights, self.inputs, 2)
        except ValueError as error:
            raise ValueError(f"for a batch of 2 (export it for any batch): {error}") from None
        self._nodes = tuple(node for node in self._nodes if node.outputs[0] not in self._constants)
        read = {name for node in self._nodes for name in _read(node)} | set(outputs)
        used = {name for node in self._nodes for name in node.inputs} | set(outputs)
        self._constants = {name: value for name, value in self._constants.items() if name in used}
        # what follows from shapes alone is reckoned on the CPU wherever the rest is, and so are the constants beside it
        self._hosted: set[str] = set()
        for node in self._nodes:
            names = {name for name in node.inputs if name}
            if OPERATORS[node.kind].of_shapes or (
                names & self._hosted and names <= self._hosted | set(self._constants)
            ):
                self._hosted |= set(node.outputs)
                read |= names
        self._host = {name: value for name, value in self._constants.items() if name in read}
        self.device = torch.device("cpu")
        self.outputs = {}
        for name in outputs:
            if shapes[name][:1] != (1,) or twice[name] != (2, *shapes[name][1:]):
                raise ValueError(
                    f"the output {name!a:.60} has shape {twice[name]} for a batch of 2; expected the batch in front of "
                    f"what it is for one, {shapes[name]}"
                )
            self.outputs[name] = shapes[name][1:]

    def to(self, device: torch.device | str) -> Network:
        """The same on another device."""
        moved = object.__new__(Network)
        moved.__dict__.update(self.__dict__)
        moved.device = torch.device(device)
        moved._constants = {name: value.to(device) for name, value in self._constants.items()}
        return moved

    def __call__(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Name -> output (B, ...) of the inputs (B, ...) by name."""
        known: dict[str, Tensor] = {**self._constants, **values}
        for node in self._nodes:
            here = set(node.inputs) if node.outputs[0] in self._hosted else set(_read(node))
            given = [None if not name else self._placed(name, known, name in here) for name in node.inputs]
            for name, value in zip(node.outputs, OPERATORS[node.kind](given, node.attributes), strict=False):
                known[name] = value
        return {name: known[name] for name in self.outputs}

    def _placed(self, name: str, known: Mapping[str, Tensor], host: bool) -> Tensor:
        """A value on the CPU for what is reckoned there, else on the network's device."""
        if host:
            return self._host.get(name, known[name])
        return known[name].to(self.device) if name in self._hosted else known[name]


def _needed(graph: Graph, outputs: Iterable[str]) -> tuple[Node, ...]:
    """The nodes that the outputs hang on, checked. Raises ValueError."""
    if len(graph.nodes) > MOST_NODES:
        raise ValueError(f"{len(graph.nodes)} operators; accepted: up to {MOST_NODES}")
    wanted, kept = set(outputs), []
    for node in reversed(graph.nodes):
        if not node.outputs or not wanted & set(node.outputs):
            continue
        kept.append(node)
        wanted |= {name for name in node.inputs if name}
    for kind in sorted({node.kind for node in kept} - set(OPERATORS)):
        raise ValueError(f"the operator {kind!a:.40} is not supported; docs/own_model.md lists those that are")
    for kind in sorted({node.kind for node in kept} & CHANGED) if graph.opset < 13 else ():
        raise ValueError(f"{kind} means something else in opset {graph.opset}; export it with opset 13 or later")
    known = {*graph.weights, *graph.inputs}
    for node in reversed(kept):
        missing = [name for name in node.inputs if name and name not in known]
        if missing:
            raise ValueError(f"{node.kind} needs {missing[0]!a:.60}, which nothing has computed by then")
        known |= set(node.outputs)
    absent = [name for name in outputs if name not in known]
    if absent:
        raise ValueError(f"nothing computes the output {absent[0]!a:.60}")
    return tuple(reversed(kept))


def _sample(name: str, shape: tuple[int | None, ...]) -> tuple[int, ...]:
    if not shape or shape[0] not in (None, 1):
        raise ValueError(f"the input {name!a:.60} has shape {_words(shape)}; expected a batch of any size first")
    sides = [side for side in shape[1:] if side is not None]
    if len(sides) < len(shape) - 1 or any(not 0 < side <= LARGEST for side in sides):
        raise ValueError(f"the input {name!a:.60} has shape {_words(shape)}; expected known lengths after the batch")
    return tuple(sides)


def _words(shape: Sequence[int | None]) -> str:
    return "(" + ", ".join("any" if side is None else str(side) for side in shape) + ")"


def _tensor(value: np.ndarray) -> Tensor:
    if value.dtype.kind == "f":
        return torch.from_numpy(np.array(value, np.float32))
    return torch.from_numpy(np.array(value, bool if value.dtype.kind == "b" else np.int64))


def _read(node: Node) -> tuple[str, ...]:
    """Names of the inputs whose values say what is done (a shape, axes): read on the CPU."""
    places = OPERATORS[node.kind].read
    return tuple(name for place, name in enumerate(node.inputs) if place in places and name)


def _dry_run(
    nodes: Sequence[Node], weights: dict[str, Tensor], inputs: Mapping[str, tuple[int, ...]], batch: int
) -> tuple[dict[str, Tensor], dict[str, tuple[int, ...]], int]:
    """All constants, those that follow from others too; the shape of each value for a batch; the sum of sizes.

    A value that is known without the inputs' numbers (shapes and what follows from them) is computed, once its size is
    known to be small enough. Constant is what does not even hang on the inputs' batch.
    """
    blank: dict[str, Tensor] = {name: torch.empty(batch, *shape, device="meta") for name, shape in inputs.items()}
    blank |= {name: value.to("meta") for name, value in weights.items()}
    known: dict[str, Tensor] = dict(weights)
    constant, numbers = set(weights), sum(value.numel() for value in weights.values())
    for node in nodes:
        operator, names = OPERATORS[node.kind], [name for name in node.inputs if name]
        read = _read(node)
        unknown = [name for name in read if name not in known]
        if unknown:
            raise ValueError(f"{node.kind}: {unknown[0]!a:.60} hangs on the inputs' numbers; expected a constant")
        _check_indices(operator, node, known, blank)
        given = [None if not name else known[name] if name in read else blank[name] for name in node.inputs]
        shapes = _computed(node, operator, given)
        for name, value in zip(node.outputs, shapes, strict=False):
            blank[name] = value.to("meta")
            numbers += value.numel()
            if value.numel() > LARGEST or numbers > 4 * LARGEST:
                raise ValueError(f"{node.kind} gives {tuple(value.shape)}: the network would take too much memory")
        if operator.of_shapes or all(name in known for name in names):
            real = _computed(
                node, operator, [None if not name else known.get(name, blank[name]) for name in node.inputs]
            )
            known |= dict(zip(node.outputs, real, strict=False))
        if not operator.of_shapes and all(name in constant for name in names):
            constant |= set(node.outputs)
    shapes_of = {name: tuple(value.shape) for name, value in blank.items()}
    return {name: known[name] for name in constant if name in known}, shapes_of, numbers


def _computed(node: Node, operator: Operator, given: list[Tensor | None]) -> Sequence[Tensor]:
    try:
        with torch.no_grad():
            return operator(given, node.attributes)
    except ValueError as error:
        raise ValueError(f"{node.kind}: {error}") from None
    # a stranger's graph: shapes that do not fit, inputs or attributes that are missing or of another kind
    except (RuntimeError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        text = str(error).strip().splitlines()
        raise ValueError(
            f"{node.kind} cannot be computed ({type(error).__name__}: {(text or [''])[0]!a:.100})"
        ) from None


def _check_indices(operator: Operator, node: Node, known: Mapping[str, Tensor], blank: Mapping[str, Tensor]) -> None:
    """A GPU cannot refuse an index beyond the end: it is seen to here."""
    if operator.indices is None or len(node.inputs) < 2:
        return
    index = known.get(node.inputs[operator.indices])
    if index is None:
        raise ValueError(f"{node.kind}: its indices hang on the inputs' numbers; expected constants")
    shape = blank[node.inputs[0]].shape
    axis: Any = node.attributes.get("axis", 0)
    length = shape[axis] if isinstance(axis, int) and -len(shape) <= axis < len(shape) else 0
    if index.numel() and not (-length <= int(index.min()) and int(index.max()) < length):
        raise ValueError(f"{node.kind}: an index from {int(index.min())} to {int(index.max())} along {length} values")
