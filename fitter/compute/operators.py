"""The operators of ONNX that `compute.network` computes, by torch's own functions. Nothing else of a graph is done.

Each takes its inputs (None for one that is left out) and its attributes, and gives its outputs. What an operator's
settings ask for beyond what is written here is refused, not approximated.

Source: the operators' definitions in ONNX, opsets 13 to 23.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Attributes = Mapping[str, Any]
Inputs = Sequence[Tensor | None]


@dataclass(frozen=True)
class Operator:
    """What is computed, and which inputs say how.

    Attributes:
        compute: inputs, attributes -> one output or several.
        read: places of the inputs that are read as plain numbers: shapes, axes, limits.
        indices: the place of an input that holds indices along `axis`.
        of_shapes: the answer hangs on the shape of the input alone.
    """

    compute: Callable[[Any, Attributes], Tensor | Sequence[Tensor]]
    read: tuple[int, ...] = ()
    indices: int | None = None
    of_shapes: bool = False

    def __call__(self, inputs: Inputs, attributes: Attributes) -> Sequence[Tensor]:
        """The outputs. Raises ValueError: a setting that is not supported; torch's own where shapes do not fit."""
        out = self.compute(inputs, attributes)
        return (out,) if isinstance(out, Tensor) else tuple(out)


def _plain(function: Callable[..., Tensor]) -> Operator:
    """A function of its inputs and nothing else."""
    return Operator(lambda x, _: function(*x))


def _numbers(value: Tensor | None) -> list[int]:
    return [] if value is None else [int(each) for each in value.reshape(-1).tolist()]


def _only(attributes: Attributes, **expected: Any) -> None:
    """Raises ValueError: an attribute is there and says something else."""
    for name, value in expected.items():
        given = attributes.get(name, value)
        if given != value:
            raise ValueError(f"{name} is {given!a:.40}; accepted: {value!a}")


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
        _there(x[0]), None if low is None else low.reshape(()).item(), None if high is None else high.reshape(()).item()
    )


def _there(value: Tensor | None) -> Tensor:
    if value is None:
        raise ValueError("an input is left out")
    return value


def _cast(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
    to = {1: torch.float32, 10: torch.float32, 11: torch.float32, 9: torch.bool, 6: torch.int64, 7: torch.int64}
    if attributes.get("to") not in to:
        raise ValueError(f"type {attributes.get('to')}; accepted: reals, int32, int64, bool")
    return x[0].to(to[attributes["to"]])


def _prelu(x: Sequence[Tensor], _: Attributes) -> Tensor:
    return torch.where(x[0] < 0, x[0] * x[1], x[0])


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


def _convolution(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
    _only(attributes, auto_pad="NOTSET")
    value, weight, axes = x[0], x[1], x[0].ndim - 2
    pads, stride, dilation = _window(attributes, axes)
    if any(pads):
        value = functional.pad(value, [side for a in reversed(range(axes)) for side in (pads[a], pads[a + axes])])
    convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[_at_most_three(axes) - 1]
    bias = x[2] if len(x) > 2 else None
    return convolve(value, weight, bias, stride, 0, dilation, attributes.get("group", 1))


def _transposed_convolution(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
    _only(attributes, auto_pad="NOTSET")
    if "output_shape" in attributes:
        raise ValueError("output_shape; accepted: pads")
    axes = x[0].ndim - 2
    pads, stride, dilation = _window(attributes, axes)
    convolve = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)
    more = list(attributes.get("output_padding", [0] * axes))
    bias = x[2] if len(x) > 2 else None
    return convolve[_at_most_three(axes) - 1](
        x[0], x[1], bias, stride, _alike(pads), more, attributes.get("group", 1), dilation
    )


def _at_most_three(axes: int) -> int:
    if not 1 <= axes <= 3:
        raise ValueError(f"{axes} axes beside batch and channels; accepted: 1 to 3")
    return axes


def _window(attributes: Attributes, axes: int) -> tuple[list[int], list[int], list[int]]:
    """Pads (begins, then ends), strides, dilations."""
    pads = list(attributes.get("pads", [0] * 2 * axes))
    stride, dilation = (list(attributes.get(name, [1] * axes)) for name in ("strides", "dilations"))
    if (len(pads), len(stride), len(dilation)) != (2 * axes, axes, axes) or min(pads) < 0:
        raise ValueError("pads, strides or dilations of another number of axes")
    return pads, stride, dilation


def _alike(pads: Sequence[int]) -> list[int]:
    half = len(pads) // 2
    if list(pads[:half]) != list(pads[half:]):
        raise ValueError(f"pads {list(pads)}; accepted: the same on both sides")
    return list(pads[:half])


# ------------------------------------------------------------------------------------------------ norms and pools


def _batch_norm(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
    _only(attributes, training_mode=0)
    value, scale, bias, mean, variance = x
    return functional.batch_norm(value, mean, variance, scale, bias, False, 0.0, attributes.get("epsilon", 1e-5))


def _instance_norm(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
    value, scale, bias = x
    axes = tuple(range(2, value.ndim))
    mean, variance = value.mean(axes, keepdim=True), value.var(axes, unbiased=False, keepdim=True)
    shape = (1, -1, *[1] * (value.ndim - 2))
    out = (value - mean) / torch.sqrt(variance + attributes.get("epsilon", 1e-5))
    return out * scale.reshape(shape) + bias.reshape(shape)


def _layer_norm(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
    first = attributes.get("axis", -1) % x[0].ndim
    bias = x[2] if len(x) > 2 else None
    return functional.layer_norm(x[0], x[0].shape[first:], x[1], bias, attributes.get("epsilon", 1e-5))


def _pool(average: bool) -> Operator:
    def compute(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
        _only(attributes, auto_pad="NOTSET", storage_order=0)
        axes = _at_most_three(x[0].ndim - 2)
        pads, stride, dilation = _window(attributes, axes)
        kernel, ceil = list(attributes["kernel_shape"]), bool(attributes.get("ceil_mode", 0))
        if average:
            _only({"dilations": dilation}, dilations=[1] * axes)
            pool = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[axes - 1]
            return pool(x[0], kernel, stride, _alike(pads), ceil, bool(attributes.get("count_include_pad", 0)))
        largest = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[axes - 1]
        return largest(x[0], kernel, stride, _alike(pads), dilation, ceil)

    return Operator(compute)


def _reduction(function: Callable[..., Tensor]) -> Operator:
    """Over the axes that an attribute or the second input names; all without."""

    def compute(x: Inputs, attributes: Attributes) -> Tensor:
        value, given = _there(x[0]), _numbers(x[1]) if len(x) > 1 else list(attributes.get("axes", ()))
        if not given and attributes.get("noop_with_empty_axes", 0):
            return value
        axes = given or list(range(value.ndim))
        return function(value, dim=axes, keepdim=bool(attributes.get("keepdims", 1)))

    return Operator(compute, read=(1,))


# ------------------------------------------------------------------------------------------------ shapes


def _reshape(x: Inputs, attributes: Attributes) -> Tensor:
    value, wanted = _there(x[0]), _numbers(x[1])
    if not attributes.get("allowzero", 0):
        wanted = [value.shape[place] if side == 0 else side for place, side in enumerate(wanted)]
    return value.reshape(wanted)


def _flatten(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
    axis = attributes.get("axis", 1) % (x[0].ndim + 1)
    return x[0].reshape(math.prod(x[0].shape[:axis]), -1)


def _transpose(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
    return x[0].permute(*attributes.get("perm", reversed(range(x[0].ndim))))


def _slice(x: Inputs, _: Attributes) -> Tensor:
    value, starts, ends = _there(x[0]), _numbers(x[1]), _numbers(x[2])
    axes = _numbers(x[3]) if len(x) > 3 and x[3] is not None else list(range(len(starts)))
    steps = _numbers(x[4]) if len(x) > 4 and x[4] is not None else [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step < 1:
            raise ValueError(f"a step of {step}; accepted: 1 and more")
        cut: list[slice] = [slice(None)] * value.ndim
        cut[axis] = slice(start, end, step)
        value = value[tuple(cut)]
    return value


def _split(x: Inputs, attributes: Attributes) -> Sequence[Tensor]:
    value, axis = _there(x[0]), attributes.get("axis", 0)
    if len(x) > 1 and x[1] is not None:
        return value.split(_numbers(x[1]), axis)
    if "num_outputs" not in attributes:
        raise ValueError("neither sizes nor num_outputs")
    return value.split(-(-value.shape[axis] // attributes["num_outputs"]), axis)


def _squeeze(x: Inputs, _: Attributes) -> Tensor:
    axes = _numbers(x[1]) if len(x) > 1 else [a for a, side in enumerate(_there(x[0]).shape) if side == 1]
    return _there(x[0]).squeeze(tuple(axes))


def _unsqueeze(x: Inputs, _: Attributes) -> Tensor:
    value, axes = _there(x[0]), _numbers(x[1])
    for axis in sorted(a % (value.ndim + len(axes)) for a in axes):
        value = value.unsqueeze(axis)
    return value


def _gather(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
    value, index, axis = x[0], x[1], attributes.get("axis", 0) % x[0].ndim
    picked = value.index_select(axis, torch.remainder(index.reshape(-1), value.shape[axis]))
    return picked.reshape(*value.shape[:axis], *index.shape, *value.shape[axis + 1 :])


def _expand(x: Inputs, _: Attributes) -> Tensor:
    value, shape = _there(x[0]), _numbers(x[1])
    return value.expand(torch.broadcast_shapes(value.shape, tuple(shape)))


def _pad(x: Inputs, attributes: Attributes) -> Tensor:
    value, sides = _there(x[0]), _numbers(x[1])
    fill = float(x[2].reshape(()).item()) if len(x) > 2 and x[2] is not None else 0.0
    axes = _numbers(x[3]) if len(x) > 3 and x[3] is not None else list(range(value.ndim))
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


def _resize(x: Inputs, attributes: Attributes) -> Tensor:
    value = _there(x[0])
    _only(attributes, antialias=0, exclude_outside=0)
    if "axes" in attributes:
        raise ValueError("axes; accepted: scales or sizes of all")
    if len(x) > 3 and x[3] is not None:
        sizes = _numbers(x[3])
    else:
        scales = _there(x[2] if len(x) > 2 else None).reshape(-1).tolist()
        sizes = [math.floor(side * scale) for side, scale in zip(value.shape, scales, strict=True)]
    if sizes[:2] != list(value.shape[:2]):
        raise ValueError("another batch or number of channels; accepted: the axes behind them")
    mode, places = attributes.get("mode", "nearest"), attributes.get("coordinate_transformation_mode", "half_pixel")
    whole = all(new % old == 0 for new, old in zip(sizes[2:], value.shape[2:], strict=True))
    rounding = attributes.get("nearest_mode", "round_prefer_floor")
    # growing by whole factors, nearest places are the same under both conventions
    if mode == "nearest" and whole and (places, rounding) in (
        ("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"), ("half_pixel", "round_prefer_ceil"),
    ):  # fmt: skip
        return functional.interpolate(value, sizes[2:], mode="nearest")
    if mode == "linear" and places in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        linear = ("linear", "bilinear", "trilinear")[_at_most_three(value.ndim - 2) - 1]
        return functional.interpolate(value, sizes[2:], mode=linear, align_corners=places == "align_corners")
    raise ValueError(
        f"mode {mode!a:.20} with {places!a:.30}; accepted: nearest by whole factors, linear with half_pixel or "
        "align_corners"
    )


def _depth_to_space(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
    side, (batch, channels, height, width) = attributes["blocksize"], x[0].shape
    if attributes.get("mode", "DCR") == "CRD":
        return functional.pixel_shuffle(x[0], side)
    blocks = x[0].reshape(batch, side, side, channels // side**2, height, width)
    return blocks.permute(0, 3, 4, 1, 5, 2).reshape(batch, channels // side**2, height * side, width * side)


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
    return torch.tensor(fill, dtype=kind).expand(_numbers(x[0]))  # one number, whatever the shape


def _softmax(function: Callable[..., Tensor]) -> Operator:
    return Operator(lambda x, attributes: function(x[0], dim=attributes.get("axis", -1)))


def _shape(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
    return torch.tensor(x[0].shape[attributes.get("start", 0) : attributes.get("end")], dtype=torch.int64)


OPERATORS: dict[str, Operator] = {
    "Abs": _plain(torch.abs),
    "Add": _plain(torch.add),
    "AveragePool": _pool(average=True),
    "BatchNormalization": Operator(_batch_norm),
    "Cast": Operator(_cast),
    "Clip": Operator(_clip, read=(1, 2)),
    "Concat": Operator(lambda x, attributes: torch.cat(list(x), attributes["axis"])),
    "Constant": Operator(_constant),
    "ConstantOfShape": Operator(_constant_of_shape, read=(0,)),
    "Conv": Operator(_convolution),
    "ConvTranspose": Operator(_transposed_convolution),
    "Cos": _plain(torch.cos),
    "DepthToSpace": Operator(_depth_to_space),
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
    "HardSwish": Operator(lambda x, _: functional.hardswish(x[0])),
    "Identity": Operator(lambda x, _: x[0]),
    "InstanceNormalization": Operator(_instance_norm),
    "LayerNormalization": Operator(_layer_norm),
    "LeakyRelu": Operator(lambda x, attributes: functional.leaky_relu(x[0], attributes.get("alpha", 0.01))),
    "Log": _plain(torch.log),
    "MatMul": _plain(torch.matmul),
    "Max": _several(torch.maximum),
    "MaxPool": _pool(average=False),
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
    "Resize": Operator(_resize, read=(1, 2, 3)),
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
