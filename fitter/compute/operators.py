"""The operators of ONNX that `compute.network` computes, by torch's own functions. Nothing else of a graph is done.

Each takes its inputs (None for one that is left out) and its attributes, and gives its outputs. What an operator's
settings ask for beyond what is written here is refused, not approximated.

Source: the operators' definitions in ONNX, opsets 11 to 23. What became an input in 13 (axes,
sizes) is read from the attribute that it was, where there is one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from .operator import Attributes, Inputs, Operator, numbers, there
from .picture_operators import (
    batch_norm,
    convolution,
    depth_to_space,
    instance_norm,
    pool,
    resize,
    transposed_convolution,
)


def _plain(function: Callable[..., Tensor]) -> Operator:
    """A function of its inputs and nothing else."""
    return Operator(lambda x, _: function(*x))


# ------------------------------------------------------------------------------------------------ element by element


def _several(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    def compute(x: Sequence[Tensor], _: Attributes) -> Tensor:
        out = x[0]
        for each in x[1:]:
            out = function(out, each)
        return out

    return Operator(compute)


def _divide(a: Tensor, b: Tensor) -> Tensor:
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def _clip(x: Inputs, attributes: Attributes) -> Tensor:
    low, high = ([*x, None, None])[1:3]
    return torch.clamp(
        there(x[0]), None if low is None else low.reshape(()).item(), None if high is None else high.reshape(()).item()
    )


def _cast(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
    to = {1: torch.float32, 10: torch.float32, 11: torch.float32, 9: torch.bool, 6: torch.int64, 7: torch.int64}
    if attributes.get("to") not in to:
        raise ValueError(f"type {attributes.get('to')}; accepted: reals, int32, int64, bool")
    return x[0].to(to[attributes["to"]])


def _prelu(x: Sequence[Tensor], _: Attributes) -> Tensor:
    return torch.where(x[0] < 0, x[0] * x[1], x[0])


def _hard_sigmoid(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
    return (attributes.get("alpha", 0.2) * x[0] + attributes.get("beta", 0.5)).clamp(0, 1)


def _gelu(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
    return functional.gelu(x[0], approximate=attributes.get("approximate", "none"))


# ------------------------------------------------------------------------------------------------ products


def _gemm(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
    a = x[0].T if attributes.get("transA", 0) else x[0]
    b = x[1].T if attributes.get("transB", 0) else x[1]
    alpha, beta = attributes.get("alpha", 1.0), attributes.get("beta", 1.0)
    if len(x) < 3 or x[2] is None:
        return alpha * (a @ b)
    return torch.addmm(x[2], a, b, alpha=alpha, beta=beta)


# ------------------------------------------------------------------------------------------------ norms and sums


def _layer_norm(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
    first = attributes.get("axis", -1) % x[0].ndim
    bias = x[2] if len(x) > 2 else None
    return functional.layer_norm(x[0], x[0].shape[first:], x[1], bias, attributes.get("epsilon", 1e-5))


def _lp_normalization(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
    return functional.normalize(x[0], attributes.get("p", 2), attributes.get("axis", -1))


def _reduction(function: Callable[..., Tensor]) -> Operator:
    """Over the axes that an attribute or the second input names; all without."""

    def compute(x: Inputs, attributes: Attributes) -> Tensor:
        value, given = there(x[0]), numbers(x[1]) if len(x) > 1 else list(attributes.get("axes", ()))
        if not given and attributes.get("noop_with_empty_axes", 0):
            return value
        axes = given or list(range(value.ndim))
        return function(value, dim=axes, keepdim=bool(attributes.get("keepdims", 1)))

    return Operator(compute, read=(1,))


# ------------------------------------------------------------------------------------------------ shapes


def _reshape(x: Inputs, attributes: Attributes) -> Tensor:
    value, wanted = there(x[0]), numbers(x[1])
    if not attributes.get("allowzero", 0):
        wanted = [value.shape[place] if side == 0 else side for place, side in enumerate(wanted)]
    return value.reshape(wanted)


def _flatten(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
    axis = attributes.get("axis", 1) % (x[0].ndim + 1)
    return x[0].reshape(math.prod(x[0].shape[:axis]), -1)


def _transpose(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
    return x[0].permute(*attributes.get("perm", reversed(range(x[0].ndim))))


def _slice(x: Inputs, _: Attributes) -> Tensor:
    value, starts, ends = there(x[0]), numbers(x[1]), numbers(x[2])
    axes = numbers(x[3]) if len(x) > 3 and x[3] is not None else list(range(len(starts)))
    steps = numbers(x[4]) if len(x) > 4 and x[4] is not None else [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step < 1:
            raise ValueError(f"a step of {step}; accepted: 1 and more")
        cut: list[slice] = [slice(None)] * value.ndim
        cut[axis] = slice(start, end, step)
        value = value[tuple(cut)]
    return value


def _split(x: Inputs, attributes: Attributes) -> Sequence[Tensor]:
    value, axis = there(x[0]), attributes.get("axis", 0)
    if len(x) > 1 and x[1] is not None:
        return value.split(numbers(x[1]), axis)
    if "split" in attributes:
        return value.split(list(attributes["split"]), axis)
    if "num_outputs" not in attributes:
        raise ValueError("neither sizes nor num_outputs")
    return value.split(-(-value.shape[axis] // attributes["num_outputs"]), axis)


def _squeeze(x: Inputs, attributes: Attributes) -> Tensor:
    every = [axis for axis, side in enumerate(there(x[0]).shape) if side == 1]
    axes = numbers(x[1]) if len(x) > 1 else attributes.get("axes", every)
    return there(x[0]).squeeze(tuple(axes))


def _unsqueeze(x: Inputs, attributes: Attributes) -> Tensor:
    value, axes = there(x[0]), numbers(x[1]) if len(x) > 1 else attributes["axes"]
    for axis in sorted(a % (value.ndim + len(axes)) for a in axes):
        value = value.unsqueeze(axis)
    return value


def _gather(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
    value, index, axis = x[0], x[1], attributes.get("axis", 0) % x[0].ndim
    picked = value.index_select(axis, torch.remainder(index.reshape(-1), value.shape[axis]))
    return picked.reshape(*value.shape[:axis], *index.shape, *value.shape[axis + 1 :])


def _expand(x: Inputs, _: Attributes) -> Tensor:
    value, shape = there(x[0]), numbers(x[1])
    return value.expand(torch.broadcast_shapes(value.shape, tuple(shape)))


def _pad(x: Inputs, attributes: Attributes) -> Tensor:
    value, sides = there(x[0]), numbers(x[1])
    fill = float(x[2].reshape(()).item()) if len(x) > 2 and x[2] is not None else 0.0
    axes = numbers(x[3]) if len(x) > 3 and x[3] is not None else list(range(value.ndim))
    pairs = {axis % value.ndim: (sides[k], sides[k + len(axes)]) for k, axis in enumerate(axes)}
    ordered = [side for axis in reversed(range(value.ndim)) for side in pairs.get(axis, (0, 0))]
    mode = {"constant": "constant", "edge": "replicate", "reflect": "reflect"}.get(attributes.get("mode", "constant"))
    if mode is None:
        raise ValueError(f"mode {attributes['mode']!a:.20}; accepted: constant, edge, reflect")
    if mode == "constant":
        return functional.pad(value, ordered, value=fill)
    if any(ordered[2 * (value.ndim - 2) :]):
        raise ValueError("batch or channels padded by anything but a constant")
    return functional.pad(value, ordered[: 2 * (value.ndim - 2)], mode=mode)


def _constant(_: Inputs, attributes: Attributes) -> Tensor:
    for name, kind in (("value_float", torch.float32), ("value_int", torch.int64), ("value_floats", torch.float32),
                       ("value_ints", torch.int64)):  # fmt: skip
        if name in attributes:
            return torch.tensor(attributes[name], dtype=kind)
    value = torch.from_numpy(attributes["value"].copy())
    return value.float() if value.is_floating_point() else value if value.dtype == torch.bool else value.long()


def _constant_of_shape(x: Inputs, attributes: Attributes) -> Tensor:
    value = attributes.get("value")
    fill = 0.0 if value is None else value.reshape(()).item()
    kind = torch.int64 if isinstance(fill, int) else torch.float32
    return torch.tensor(fill, dtype=kind).expand(numbers(x[0]))  # one number, whatever the shape


def _softmax(function: Callable[..., Tensor]) -> Operator:
    return Operator(lambda x, attributes: function(x[0], dim=attributes.get("axis", -1)))


def _shape(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
    return torch.tensor(x[0].shape[attributes.get("start", 0) : attributes.get("end")], dtype=torch.int64)


OPERATORS: dict[str, Operator] = {
    "Abs": _plain(torch.abs),
    "Add": _plain(torch.add),
    "AveragePool": pool(average=True),
    "BatchNormalization": Operator(batch_norm),
    "Cast": Operator(_cast),
    "Clip": Operator(_clip, read=(1, 2)),
    "Concat": Operator(lambda x, attributes: torch.cat(list(x), attributes["axis"])),
    "Constant": Operator(_constant),
    "ConstantOfShape": Operator(_constant_of_shape, read=(0,)),
    "Conv": Operator(convolution),
    "ConvTranspose": Operator(transposed_convolution),
    "Cos": _plain(torch.cos),
    "DepthToSpace": Operator(depth_to_space),
    "Div": _plain(_divide),
    "Dropout": Operator(lambda x, _: x[0]),  # nothing is dropped but in training
    "Elu": Operator(lambda x, attributes: functional.elu(x[0], attributes.get("alpha", 1.0))),
    "Erf": _plain(torch.erf),
    "Exp": _plain(torch.exp),
    "Expand": Operator(_expand, read=(1,)),
    "Flatten": Operator(_flatten),
    "Gather": Operator(_gather, indices=1),
    "Gelu": Operator(_gelu),
    "Gemm": Operator(_gemm),
    "GlobalAveragePool": Operator(lambda x, _: x[0].mean(tuple(range(2, x[0].ndim)), keepdim=True)),
    "HardSigmoid": Operator(_hard_sigmoid),
    "HardSwish": Operator(lambda x, _: functional.hardswish(x[0])),
    "Identity": Operator(lambda x, _: x[0]),
    "InstanceNormalization": Operator(instance_norm),
    "LayerNormalization": Operator(_layer_norm),
    "LeakyRelu": Operator(lambda x, attributes: functional.leaky_relu(x[0], attributes.get("alpha", 0.01))),
    "Log": _plain(torch.log),
    "LpNormalization": Operator(_lp_normalization),
    "MatMul": _plain(torch.matmul),
    "Max": _several(torch.maximum),
    "MaxPool": pool(average=False),
    "Min": _several(torch.minimum),
    "Mul": _plain(torch.mul),
    "Neg": _plain(torch.neg),
    "PRelu": Operator(_prelu),
    "Pad": Operator(_pad, read=(1, 2, 3)),
    "Pow": _plain(torch.pow),
    "Reciprocal": _plain(torch.reciprocal),
    "ReduceL2": _reduction(torch.linalg.vector_norm),
    "ReduceMax": _reduction(torch.amax),
    "ReduceMean": _reduction(torch.mean),
    "ReduceMin": _reduction(torch.amin),
    "ReduceSum": _reduction(torch.sum),
    "Relu": _plain(torch.relu),
    "Reshape": Operator(_reshape, read=(1,)),
    "Resize": Operator(resize, read=(1, 2, 3)),
    "Shape": Operator(_shape, of_shapes=True),
    "Sigmoid": _plain(torch.sigmoid),
    "Sin": _plain(torch.sin),
    "Slice": Operator(_slice, read=(1, 2, 3, 4)),
    "Softmax": _softmax(functional.softmax),
    "Softplus": _plain(functional.softplus),
    "Split": Operator(_split, read=(1,)),
    "Sqrt": _plain(torch.sqrt),
    "Squeeze": Operator(_squeeze, read=(1,)),
    "Sub": _plain(torch.sub),
    "Sum": _several(torch.add),
    "Tanh": _plain(torch.tanh),
    "Transpose": Operator(_transpose),
    "Unsqueeze": Operator(_unsqueeze, read=(1,)),
}
