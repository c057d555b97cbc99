"""Each network as facefit uses it: inputs and outputs named, its source and licence in the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx

from facefit.errors import FaceFitError
from training.networks.layers import Translation, translate
from training.networks.onnx_graph import OnnxGraph
from training.networks.refinement import LANDMARKS, refined
from training.networks.tflite_graph import TfliteGraph
from training.networks.wheel import ATTENTION_MESH, FULL_RANGE, REQUIREMENT, SELFIE, SHORT_RANGE, Published

COPYRIGHT, LICENCE = "Copyright The MediaPipe Authors", "Apache-2.0"
PICTURE = "image"


@dataclass(frozen=True)
class Network:
    """A file to be made.

    Attributes:
        published: what it is made of.
        meaning: one line for the file.
        finish: adds the named outputs; their shapes.
    """

    published: Published
    meaning: str
    finish: Callable[[Translation], dict[str, list]]


def convert(network: Network, content: bytes) -> onnx.ModelProto:
    """The TFLite file `content` as ONNX. Raises FaceFitError where it has something that is not known here."""
    source, graph = TfliteGraph(content), OnnxGraph()
    outputs = network.finish(translate(source, graph, PICTURE))
    origin = f"converted to ONNX by facefit from {network.published.name} of {REQUIREMENT.replace('==', ' ')}"
    return graph.model(
        network.published.name.removesuffix(".tflite"),
        {PICTURE: ["N", *source.shape(source.inputs[0])[1:]]},
        outputs,
        f"{network.meaning} {COPYRIGHT}, {LICENCE}; {origin}.",
        {
            "copyright": COPYRIGHT,
            "license": LICENCE,
            "source": origin,
            "source_sha256": network.published.sha256,
        },
    )


def _boxes(work: Translation) -> dict[str, list]:
    """The raw boxes with six points, and how sure the network is, before the sigmoid."""
    shapes = {work.source.shape(tensor)[-1]: tensor for tensor in work.source.outputs}
    if sorted(shapes) != [1, 16]:
        raise FaceFitError(f"outputs of {sorted(shapes)} numbers an anchor; 1 and 16 are expected")
    anchors = work.source.shape(shapes[16])[1]
    work.target.node("Identity", work.name(shapes[16]), out="boxes")
    work.target.node("Reshape", work.name(shapes[1]), work.target.integers(0, -1), out="logits")
    return {"boxes": ["N", anchors, 16], "logits": ["N", anchors]}


def _landmarks(work: Translation) -> dict[str, list]:
    """478 landmarks in pixels of the crop, and how sure the network is that there is a face."""
    mesh, *parts, presence = (work.name(tensor) for tensor in work.source.outputs)
    mesh, presence = (work.target.node("Reshape", name, work.target.integers(0, -1)) for name in (mesh, presence))
    refined(work.target, mesh, parts, "landmarks")
    presence = work.target.node("Reshape", presence, work.target.integers(-1))
    work.target.node("Sigmoid", presence, out="presence")
    return {"landmarks": ["N", LANDMARKS, 3], "presence": ["N"]}


def _person(work: Translation) -> dict[str, list]:
    """How likely each pixel shows a person."""
    (output,) = work.source.outputs
    height, width = work.source.shape(output)[1:3]
    work.target.node("Reshape", work.name(output), work.target.integers(0, height, width), out="person")
    return {"person": ["N", height, width]}


NETWORKS: dict[str, Network] = {
    "face_detector_short.onnx": Network(
        SHORT_RANGE,
        "Faces near the camera: (N, 128, 128, 3) RGB in [-1, 1] -> boxes with six points, and logits, of 896 anchors.",
        _boxes,
    ),
    "face_detector_full.onnx": Network(
        FULL_RANGE,
        "Faces near and far: (N, 192, 192, 3) RGB in [-1, 1] -> boxes with six points, and logits, of 2304 anchors.",
        _boxes,
    ),
    "face_mesh.onnx": Network(
        ATTENTION_MESH,
        "(N, 192, 192, 3) RGB in [0, 1] -> 478 landmarks (x, y, z in pixels) and the probability of a face.",
        _landmarks,
    ),
    "selfie.onnx": Network(
        SELFIE,
        "(N, 256, 256, 3) RGB in [0, 1] -> how likely each pixel shows a person.",
        _person,
    ),
}
