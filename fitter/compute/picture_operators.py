"""The operators of ONNX that look at neighbourhoods: convolutions, pools, norms over a picture, other sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from .operator import Attributes, Inputs, Operator, numbers, only, there


def convolution(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
    """Conv, padded by zeros on any side."""
    only(attributes, auto_pad="NOTSET")
    value, weight, axes = x[0], x[1], x[0].ndim - 2
    pads, stride, dilation = _window(attributes, axes)
    if any(pads):
        value = functional.pad(value, [side for a in reversed(range(axes)) for side in (pads[a], pads[a + axes])])
    convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[_at_most_three(axes) - 1]
    bias = x[2] if len(x) > 2 else None
    return convolve(value, weight, bias, stride, 0, dilation, attributes.get("group", 1))


def transposed_convolution(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
    """ConvTranspose, with the same padding on both sides."""
    only(attributes, auto_pad="NOTSET")
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


def batch_norm(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
    """BatchNormalization as it is after training."""
    only(attributes, training_mode=0)
    value, scale, bias, mean, variance = x
    return functional.batch_norm(value, mean, variance, scale, bias, False, 0.0, attributes.get("epsilon", 1e-5))


def instance_norm(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
    """InstanceNormalization."""
    value, scale, bias = x
    axes = tuple(range(2, value.ndim))
    mean, variance = value.mean(axes, keepdim=True), value.var(axes, unbiased=False, keepdim=True)
    shape = (1, -1, *[1] * (value.ndim - 2))
    out = (value - mean) / torch.sqrt(variance + attributes.get("epsilon", 1e-5))
    return out * scale.reshape(shape) + bias.reshape(shape)


def pool(average: bool) -> Operator:
    """AveragePool or MaxPool, with the same padding on both sides."""

    def compute(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
        only(attributes, auto_pad="NOTSET", storage_order=0)
        axes = _at_most_three(x[0].ndim - 2)
        pads, stride, dilation = _window(attributes, axes)
        kernel, ceil = list(attributes["kernel_shape"]), bool(attributes.get("ceil_mode", 0))
        if average:
            only({"dilations": dilation}, dilations=[1] * axes)
            mean = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[axes - 1]
            return mean(x[0], kernel, stride, _alike(pads), ceil, bool(attributes.get("count_include_pad", 0)))
        largest = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[axes - 1]
        return largest(x[0], kernel, stride, _alike(pads), dilation, ceil)

    return Operator(compute)


def resize(x: Inputs, attributes: Attributes) -> Tensor:
    """Resize of what lies behind batch and channels: nearest by whole factors, or linear."""
    value = there(x[0])
    only(attributes, antialias=0, exclude_outside=0)
    if "axes" in attributes:
        raise ValueError("axes; accepted: scales or sizes of all")
    if len(x) > 3 and x[3] is not None:
        sizes = numbers(x[3])
    else:
        scales = there(x[2] if len(x) > 2 else None).reshape(-1).tolist()
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


def depth_to_space(x: Sequence[Tensor], attributes: Attributes) -> Tensor:
    """DepthToSpace."""
    side, (batch, channels, height, width) = attributes["blocksize"], x[0].shape
    if attributes.get("mode", "DCR") == "CRD":
        return functional.pixel_shuffle(x[0], side)
    blocks = x[0].reshape(batch, side, side, channels // side**2, height, width)
    return blocks.permute(0, 3, 4, 1, 5, 2).reshape(batch, channels // side**2, height * side, width * side)
