"""TFLite's operators in ONNX.

TFLite keeps channels last, onnxruntime's fast convolutions want them first: here every tensor of four dimensions is
(N, C, H, W), the others are as in TFLite, and the batch is free.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tflite

from facefit.errors import FaceFitError
from training.networks.attention import crop_of_features, crop_to_features, onto_the_picture
from training.networks.onnx_graph import OnnxGraph
from training.networks.tflite_graph import Operator, TfliteGraph

ACTIVATION = tflite.ActivationFunctionType
CHANNELS_FIRST, CHANNELS_LAST = [0, 3, 1, 2], [0, 2, 3, 1]


@dataclass(frozen=True)
class Translation:
    """A TFLite graph and what stands in ONNX of it so far.

    Attributes:
        constants: made by operators that only unpack what the file stores.
    """

    source: TfliteGraph
    target: OnnxGraph
    constants: dict[int, np.ndarray]

    def name(self, tensor: int) -> str:
        """A computed tensor's name in ONNX."""
        return f"tensor_{tensor}"

    def values(self, tensor: int) -> np.ndarray | None:
        """A constant tensor's values, or None where it is computed."""
        return self.constants[tensor] if tensor in self.constants else self.source.constant(tensor)

    def known(self, tensor: int) -> np.ndarray:
        """A constant tensor's values. Raises FaceFitError where it is computed."""
        values = self.values(tensor)
        if values is None:
            raise FaceFitError(f"tensor {tensor} is computed; a constant is expected there")
        return values

    def activated(self, tensor: str, function: int, out: str) -> None:
        """The activation that TFLite fuses into an operator."""
        if function == ACTIVATION.NONE:
            self.target.node("Identity", tensor, out=out)
        elif function == ACTIVATION.RELU:
            self.target.node("Relu", tensor, out=out)
        elif function == ACTIVATION.RELU6:
            low, high = (self.target.constant(np.float32(bound)) for bound in (0, 6))
            self.target.node("Clip", tensor, low, high, out=out)
        else:
            raise FaceFitError(f"activation {function}: not known; accepted: none, ReLU, ReLU6")


def translate(source: TfliteGraph, target: OnnxGraph, picture: str) -> Translation:
    """All operators of `source` in `target`, which reads the input `picture` (N, H, W, 3)."""
    work = Translation(source, target, {})
    target.node("Transpose", picture, out=work.name(source.inputs[0]), perm=CHANNELS_FIRST)
    for operator in source.operators():
        if operator.kind not in LAYERS:
            raise FaceFitError(f"operator {operator.kind}: not known; accepted: {', '.join(LAYERS)}")
        LAYERS[operator.kind](work, operator)
    return work


def padding(kind: int, size: list[int], kernel: list[int], stride: list[int], dilation: list[int]) -> list[int]:
    """Top, left, bottom, right. TFLite's SAME puts the odd pixel of padding below and to the right."""
    if kind != tflite.Padding.SAME:
        return [0, 0, 0, 0]
    before, after = [], []
    for n, k, s, d in zip(size, kernel, stride, dilation, strict=True):
        total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        before.append(total // 2)
        after.append(total - total // 2)
    return before + after


def _unpacked(work: Translation, operator: Operator) -> None:
    """Weights of 16 bits, and sparse ones: both are constants here."""
    work.constants[operator.outputs[0]] = work.known(operator.inputs[0])


def _convolved(work: Translation, operator: Operator, options, weights: np.ndarray, groups: int) -> None:
    picture, _, bias = operator.inputs
    kernel = list(weights.shape[2:])
    stride, dilation = (
        [options.StrideH(), options.StrideW()],
        [options.DilationHFactor(), options.DilationWFactor()],
    )
    result = work.target.node(
        "Conv",
        work.name(picture),
        work.target.constant(weights),
        work.target.constant(work.known(bias)),
        kernel_shape=kernel,
        strides=stride,
        dilations=dilation,
        pads=padding(options.Padding(), work.source.shape(picture)[1:3], kernel, stride, dilation),
        group=groups,
    )
    work.activated(result, options.FusedActivationFunction(), work.name(operator.outputs[0]))


def _convolution(work: Translation, operator: Operator) -> None:
    weights = work.known(operator.inputs[1]).transpose(CHANNELS_FIRST)
    _convolved(work, operator, operator.options(tflite.Conv2DOptions), weights, 1)


def _depthwise(work: Translation, operator: Operator) -> None:
    weights = work.known(operator.inputs[1]).transpose(3, 0, 1, 2)  # (1, H, W, C)
    channels = work.source.shape(operator.inputs[0])[3]
    _convolved(work, operator, operator.options(tflite.DepthwiseConv2DOptions), weights, channels)


def _transposed_convolution(work: Translation, operator: Operator) -> None:
    """MediaPipe's own, with a bias; its options are a struct: padding (1 is SAME), stride across, stride down."""
    kind, across, down = np.frombuffer(operator.custom_options, np.int32)[:3].tolist()
    picture, weights, bias = operator.inputs
    kernels = work.known(weights).transpose(3, 0, 1, 2)
    size, stride, kernel = work.source.shape(picture)[1:3], [down, across], list(kernels.shape[2:])
    cut = [max(0, k - (n - 1) % s - 1) if kind == 1 else 0 for k, n, s in zip(kernel, size, stride, strict=True)]
    after = [s * (n - 1) + k - c for n, s, k, c in zip(size, stride, kernel, cut, strict=True)]
    if after != work.source.shape(operator.outputs[0])[1:3]:
        raise FaceFitError(f"a transposed convolution of {size} pixels with kernel {kernel}: not known")
    result = work.target.node(
        "ConvTranspose",
        work.name(picture),
        work.target.constant(kernels),
        work.target.constant(work.known(bias)),
        kernel_shape=kernel,
        strides=stride,
        pads=[c // 2 for c in cut] + [c - c // 2 for c in cut],
    )
    work.target.node("Identity", result, out=work.name(operator.outputs[0]))


def _prelu(work: Translation, operator: Operator) -> None:
    """a y + (1 - a) relu(y) by two depthwise convolutions of one pixel.

    onnxruntime leaves its blocked layout for a PRelu and comes back after it; so written, the mesh takes 2.4 ms, not
    6.2.
    """
    slope = work.known(operator.inputs[1]).astype(np.float32).reshape(-1, 1, 1, 1)
    given, graph = work.name(operator.inputs[0]), work.target
    options = {"kernel_shape": [1, 1], "group": len(slope)}
    linear = graph.node("Conv", given, graph.constant(slope), **options)
    bent = graph.node("Conv", graph.node("Relu", given), graph.constant(1 - slope), **options)
    graph.node("Add", linear, bent, out=work.name(operator.outputs[0]))


def _same(kind: str) -> Callable[[Translation, Operator], None]:
    """An operator that ONNX has under the name `kind`."""

    def layer(work: Translation, operator: Operator) -> None:
        work.target.node(kind, work.name(operator.inputs[0]), out=work.name(operator.outputs[0]))

    return layer


def _sum(work: Translation, operator: Operator) -> None:
    result = work.target.node("Add", *(work.name(tensor) for tensor in operator.inputs))
    function = operator.options(tflite.AddOptions).FusedActivationFunction()
    work.activated(result, function, work.name(operator.outputs[0]))


def _product(work: Translation, operator: Operator) -> None:
    factors = []
    for tensor in operator.inputs:
        values = work.values(tensor)
        if values is not None and values.size > 1 and len(work.source.shape(operator.outputs[0])) == 4:
            raise FaceFitError("a product of channels and a constant: not known")
        factors.append(work.name(tensor) if values is None else work.target.constant(values))
    work.target.node("Mul", *factors, out=work.name(operator.outputs[0]))


def _largest(work: Translation, operator: Operator) -> None:
    options = operator.options(tflite.Pool2DOptions)
    kernel, stride = [options.FilterHeight(), options.FilterWidth()], [options.StrideH(), options.StrideW()]
    size = work.source.shape(operator.inputs[0])[1:3]
    pads = padding(options.Padding(), size, kernel, stride, [1, 1])
    given = work.name(operator.inputs[0])
    result = work.target.node("MaxPool", given, kernel_shape=kernel, strides=stride, pads=pads)
    work.activated(result, options.FusedActivationFunction(), work.name(operator.outputs[0]))


def _mean(work: Translation, operator: Operator) -> None:
    options, size = operator.options(tflite.Pool2DOptions), work.source.shape(operator.inputs[0])[1:3]
    if [options.FilterHeight(), options.FilterWidth()] != size:
        raise FaceFitError("an average pool of less than the whole picture: not known")
    work.target.node("GlobalAveragePool", work.name(operator.inputs[0]), out=work.name(operator.outputs[0]))


def _padded(work: Translation, operator: Operator) -> None:
    """Along all dimensions: the detectors add channels so."""
    border = work.known(operator.inputs[1])[CHANNELS_FIRST]
    given, sides = work.name(operator.inputs[0]), work.target.integers(*border.T.ravel().tolist())
    work.target.node("Pad", given, sides, out=work.name(operator.outputs[0]))


def _resized(work: Translation, operator: Operator) -> None:
    options = operator.options(tflite.ResizeBilinearOptions)
    before, after = work.source.shape(operator.inputs[0]), work.source.shape(operator.outputs[0])
    scale = work.target.constant(np.array([1, 1, after[1] / before[1], after[2] / before[2]], np.float32))
    mode = "half_pixel" if options.HalfPixelCenters() else "asymmetric"
    work.target.node(
        "Resize",
        work.name(operator.inputs[0]),
        "",
        scale,
        out=work.name(operator.outputs[0]),
        mode="linear",
        coordinate_transformation_mode="align_corners" if options.AlignCorners() else mode,
    )


def _depth_to_space(work: Translation, operator: Operator) -> None:
    side = operator.options(tflite.DepthToSpaceOptions).BlockSize()
    given, out = work.name(operator.inputs[0]), work.name(operator.outputs[0])
    work.target.node("DepthToSpace", given, out=out, blocksize=side, mode="DCR")


def _reshaped(work: Translation, operator: Operator) -> None:
    before, after = (work.source.shape(tensor) for tensor in (operator.inputs[0], operator.outputs[0]))
    given = work.name(operator.inputs[0])
    if len(before) == 4 and before[1:3] != [1, 1]:
        given = work.target.node("Transpose", given, perm=CHANNELS_LAST)
    if len(after) == 4 and after[1:3] != [1, 1]:
        raise FaceFitError(f"reshaping to a picture of {after[1]} x {after[2]}: not known")
    shape = [0, after[3], 1, 1] if len(after) == 4 else [0, *after[1:]]
    work.target.node("Reshape", given, work.target.integers(*shape), out=work.name(operator.outputs[0]))


def _joined(work: Translation, operator: Operator) -> None:
    dimensions = len(work.source.shape(operator.outputs[0]))
    if dimensions == 4:
        raise FaceFitError("joining pictures: not known")
    axis = operator.options(tflite.ConcatenationOptions).Axis() % dimensions
    inputs = [work.name(tensor) for tensor in operator.inputs]
    work.target.node("Concat", *inputs, out=work.name(operator.outputs[0]), axis=axis)


def _whole_slice(work: Translation, operator: Operator) -> None:
    if work.source.shape(operator.inputs[0]) != work.source.shape(operator.outputs[0]):
        raise FaceFitError("a slice of less than all: not known")
    _same("Identity")(work, operator)


def _matrix_of_landmarks(work: Translation, operator: Operator) -> None:
    points, out = work.name(operator.inputs[0]), work.name(operator.outputs[0])
    crop_to_features(work.target, points, operator.named_options, out)


def _cropped_features(work: Translation, operator: Operator) -> None:
    features, matrix = operator.inputs
    options, size = operator.named_options, work.source.shape(features)[1:3]
    crop_of_features(work.target, work.name(features), size, work.name(matrix), options, work.name(operator.outputs[0]))


def _moved_landmarks(work: Translation, operator: Operator) -> None:
    points, matrix = (work.name(tensor) for tensor in operator.inputs)
    onto_the_picture(work.target, points, matrix, work.name(operator.outputs[0]))


LAYERS: dict[str, Callable[[Translation, Operator], None]] = {
    "ADD": _sum,
    "AVERAGE_POOL_2D": _mean,
    "CONCATENATION": _joined,
    "CONV_2D": _convolution,
    "Convolution2DTransposeBias": _transposed_convolution,
    "DENSIFY": _unpacked,
    "DEPTHWISE_CONV_2D": _depthwise,
    "DEPTH_TO_SPACE": _depth_to_space,
    "DEQUANTIZE": _unpacked,
    "HARD_SWISH": _same("HardSwish"),
    "LOGISTIC": _same("Sigmoid"),
    "Landmarks2TransformMatrix": _matrix_of_landmarks,
    "MAX_POOL_2D": _largest,
    "MUL": _product,
    "PAD": _padded,
    "PRELU": _prelu,
    "RELU": _same("Relu"),
    "RESHAPE": _reshaped,
    "RESIZE_BILINEAR": _resized,
    "STRIDED_SLICE": _whole_slice,
    "TransformLandmarks": _moved_landmarks,
    "TransformTensorBilinear": _cropped_features,
}
