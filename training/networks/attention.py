"""MediaPipe's own operators of the attention mesh, which looks at lips, eyes and irises again in crops of its features.

Source: mediapipe/util/tflite/operations, second versions of landmarks_to_transform_matrix, transform_tensor_bilinear
and transform_landmarks. Points are rows here, so that a map M acts as points M^T.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from training.networks.onnx_graph import OnnxGraph

IDENTITY_ROWS = np.array([[[0, 0, 1, 0], [0, 0, 0, 1]]], np.float32)


def crop_to_features(graph: OnnxGraph, points: str, options: dict[str, Any], out: str) -> None:
    """(N, 468, 3) landmarks -> (N, 4, 4): pixels of the crop around a part of the face -> places in the features.

    The crop is upright by two landmarks and as large as the box of the part's landmarks, scaled.
    """
    width, height = options["output_width"], options["output_height"]
    ends = graph.node(
        "Gather", points, graph.integers(options["left_rotation_idx"], options["right_rotation_idx"]), axis=1
    )
    ends = graph.part(ends, 2, 0, 2)
    across = graph.node("Sub", graph.part(ends, 1, 1, 2), graph.part(ends, 1, 0, 1))
    # (cos t, sin t) of the part's roll, from the normalised vector: no angle is needed.
    unit = graph.node("Div", across, graph.node("ReduceL2", across, axes=[2], keepdims=1))
    cos, sin = graph.part(unit, 2, 0, 1), graph.part(unit, 2, 1, 2)
    upright = graph.node(
        "Concat",
        graph.node("Concat", cos, sin, axis=2),
        graph.node("Concat", graph.node("Neg", sin), cos, axis=2),
        axis=1,
    )  # (N, 2, 2), the rotation by -t
    rolled = graph.node("Transpose", upright, perm=[0, 2, 1])
    subset = np.unique(np.array(options["subset_idxs"], np.int64))
    part = graph.part(graph.node("Gather", points, graph.constant(subset), axis=1), 2, 0, 2)
    turned = graph.node("MatMul", part, rolled)
    high = graph.node("ReduceMax", turned, axes=[1], keepdims=1)
    low = graph.node("ReduceMin", turned, axes=[1], keepdims=1)
    middle = graph.node("Mul", graph.node("Add", high, low), graph.constant(np.float32(0.5)))
    middle = graph.node("MatMul", middle, upright)
    per_pixel = np.array([[[options["scale_x"] / width, options["scale_y"] / height]]], np.float32)
    scale = graph.node("Mul", graph.node("Sub", high, low), graph.constant(per_pixel))
    linear = graph.node("Mul", rolled, scale)
    half = graph.constant(np.array([[width / 2], [height / 2]], np.float32))
    offset = graph.node("Sub", graph.node("Transpose", middle, perm=[0, 2, 1]), graph.node("MatMul", linear, half))
    none = graph.constant(np.float32(0))
    top = graph.node("Concat", linear, graph.node("Mul", offset, none), offset, axis=2)
    # The rows of the identity, once for each of the batch.
    bottom = graph.node("Add", graph.node("Mul", top, none), graph.constant(IDENTITY_ROWS))
    graph.node("Concat", top, bottom, axis=1, out=out)


def crop_of_features(
    graph: OnnxGraph, features: str, size: list[int], matrix: str, options: dict[str, Any], out: str
) -> None:
    """(N, C, *size) features seen through a matrix of crop_to_features, bilinear; 0 where a place is outside."""
    width, height = options["output_width"], options["output_height"]
    y, x = np.mgrid[:height, :width] + 0.5
    pixels = np.stack([x, y, np.zeros_like(x), np.ones_like(x)], -1).reshape(1, -1, 4).astype(np.float32)
    top = graph.node("Transpose", graph.part(matrix, 1, 0, 2), perm=[0, 2, 1])
    places = graph.node("MatMul", graph.constant(pixels), top)
    places = graph.node("Sub", places, graph.constant(np.float32(0.5)))
    last = np.array([size[1] - 1, size[0] - 1], np.float32)
    inside = graph.node(
        "And",
        graph.node("GreaterOrEqual", places, graph.constant(np.float32(0))),
        graph.node("LessOrEqual", places, graph.constant(last)),
    )
    inside = graph.node("ReduceMin", graph.node("Cast", inside, to=TensorProto.FLOAT), axes=[2], keepdims=1)
    inside = graph.node("Reshape", inside, graph.integers(0, 1, height, width))
    grid = graph.node("Sub", graph.node("Mul", places, graph.constant(2 / last)), graph.constant(np.float32(1)))
    grid = graph.node("Reshape", grid, graph.integers(0, height, width, 2))
    seen = graph.node("GridSample", features, grid, align_corners=1, mode="bilinear", padding_mode="border")
    graph.node("Mul", seen, inside, out=out)


def onto_the_picture(graph: OnnxGraph, points: str, matrix: str, out: str) -> None:
    """(N, K, 2) points of a crop -> where its matrix puts them."""
    top = graph.part(matrix, 1, 0, 2)
    linear = graph.node("Transpose", graph.part(top, 2, 0, 2), perm=[0, 2, 1])
    offset = graph.node("Transpose", graph.part(top, 2, 3, 4), perm=[0, 2, 1])
    graph.node("Add", graph.node("MatMul", points, linear), offset, out=out)
