"""How the attention mesh's parts make 478 landmarks: lips and eyes replace x and y of the mesh, irises are added.

Source of the order of the parts' points: tensors_to_face_landmarks_with_attention.pbtxt in mediapipe/modules. What is
called left there is on the left of the picture, which is the person's right.
"""

from __future__ import annotations

import numpy as np

from facefit.anatomy.landmarks import (
    IRISES,
    LANDMARKS,
    LOWER_LIP_INNER,
    LOWER_LIP_OUTER,
    RIGHT_LOWER_LID,
    RIGHT_UPPER_LID,
    UPPER_LIP_INNER,
    UPPER_LIP_OUTER,
    mirrored,
)
from training.networks.onnx_graph import OnnxGraph

MESH = IRISES.start  # landmarks before the irises
IRIS = 5

# Four loops from the border of the lips to their opening, each as its lower half and its upper one without corners.
LIPS = (
    *LOWER_LIP_OUTER, *UPPER_LIP_OUTER[1:-1],
    *LOWER_LIP_INNER, *UPPER_LIP_INNER[1:-1],
    76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306,  184, 74, 73, 72, 11, 302, 303, 304, 408,
    62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292,  183, 42, 41, 38, 12, 268, 271, 272, 407,
)  # fmt: skip
RIGHT_CONTOUR = (*RIGHT_LOWER_LID, *RIGHT_UPPER_LID[1:-1])
# The lids and rings around them, lower half first, up to the brow.
RIGHT_EYE = (
    *RIGHT_CONTOUR,
    130, 25, 110, 24, 23, 22, 26, 112, 243,  247, 30, 29, 27, 28, 56, 190,
    226, 31, 228, 229, 230, 231, 232, 233, 244,  113, 225, 224, 223, 222, 221, 189,
    35, 124, 46, 53, 52, 65,
    143, 111, 117, 118, 119, 120, 121, 128, 245,  156, 70, 63, 105, 66, 107, 55, 193,
)  # fmt: skip
LEFT_CONTOUR, LEFT_EYE = mirrored(RIGHT_CONTOUR), mirrored(RIGHT_EYE)
RIGHT_IRIS, LEFT_IRIS = tuple(range(MESH, MESH + IRIS)), tuple(range(MESH + IRIS, LANDMARKS))
# In the order of the network's outputs, after the mesh.
PARTS = (LIPS, RIGHT_EYE, LEFT_EYE, RIGHT_IRIS, LEFT_IRIS)


def sources() -> np.ndarray:
    """(478,) int64: the row of the mesh and all parts, joined, that each landmark's x and y come from."""
    rows, start = np.arange(LANDMARKS), MESH
    for part in PARTS:
        rows[list(part)] = start + np.arange(len(part))
        start += len(part)
    return rows


def refined(graph: OnnxGraph, mesh: str, parts: list[str], out: str) -> None:
    """(N, 1404) and the parts (N, 2 K) -> (N, 478, 3). z stays the mesh's, an iris has the mean of its eye's."""
    mesh = graph.node("Reshape", mesh, graph.integers(0, MESH, 3))
    depth = graph.part(mesh, 2, 2, 3)
    points = [graph.part(mesh, 2, 0, 2)]
    for part, order in zip(parts, PARTS, strict=True):
        points.append(graph.node("Reshape", part, graph.integers(0, len(order), 2)))
    joined = graph.node("Concat", *points, axis=1)
    joined = graph.node("Gather", joined, graph.constant(sources()), axis=1)
    # Both eyes in one mean, each in a row: of a single column onnxruntime adds up otherwise for one face than for many.
    eyes = graph.node("Gather", depth, graph.integers(*RIGHT_CONTOUR, *LEFT_CONTOUR), axis=1)
    eyes = graph.node("Reshape", eyes, graph.integers(0, 2, len(RIGHT_CONTOUR)))
    irises = graph.node("ReduceMean", eyes, axes=[2], keepdims=1)
    irises = graph.node("Gather", irises, graph.integers(*[0] * IRIS, *[1] * IRIS), axis=1)
    graph.node("Concat", joined, graph.node("Concat", depth, irises, axis=1), axis=2, out=out)
