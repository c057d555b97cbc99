"""The trained network as an ONNX file with 16-bit weights, and the proof that it answers as it does."""

from __future__ import annotations

from pathlib import Path

import facefit  # noqa: F401  before torch and numpy: it sets their threads

import numpy as np  # isort: skip
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from facefit.files.together import write_together
from facefit.observe.dense import MAPS
from facefit.observe.dense_surface import MAP_SIDE, SIDE
from facefit.observe.onnx_session import load_session
from training.observation.network import GUESS, DenseNetwork
from training.parser.export import Graph

CELL = 32  # pixels a side where the network begins


def to_onnx(network: DenseNetwork) -> onnx.ModelProto:
    """Inputs colours (N, 3, 128, 128) and guess (N, 7, 64, 64) float32; output maps (N, 9, 64, 64)."""
    graph = Graph()

    def constant(name: str, value: list[int]) -> str:
        graph.weights.append(numpy_helper.from_array(np.array(value, np.int64), name))
        return name

    def unshuffled(x: str, channels: int, side: int) -> str:
        """As torch.nn.functional.pixel_unshuffle to CELL pixels; ONNX's SpaceToDepth has another order."""
        by = side // CELL
        apart = graph.add("Reshape", [x, constant(f"{x}.cells", [0, channels, CELL, by, CELL, by])], f"{x}.apart")
        turned = graph.add("Transpose", [apart], f"{x}.turned", perm=[0, 1, 3, 5, 2, 4])
        flat = constant(f"{x}.stacked", [0, channels * by * by, CELL, CELL])
        return graph.add("Reshape", [turned, flat], f"{x}.unshuffled")

    def channels(x: str, first: int, last: int, name: str) -> str:
        ends = [constant(f"{name}.{end}", [value]) for end, value in (("from", first), ("to", last), ("axis", 1))]
        return graph.add("Slice", [x, *ends], name)

    given = [unshuffled("colours", 3, SIDE), unshuffled("guess", GUESS, MAP_SIDE)]
    x = graph.levels(graph.add("Concat", given, "given", axis=1), network)
    x = graph.convolution(x, network.last, None, "last")
    x = graph.add("DepthToSpace", [x], "fine", blocksize=2, mode="CRD")
    normal = graph.add("Add", [channels("guess", 3, 6, "surface"), channels(x, 0, 3, "change")], "sum")
    graph.weights.append(numpy_helper.from_array(np.array(1e-3, np.float32), "least"))
    long = graph.add("ReduceL2", [normal], "length", axes=[1], keepdims=1)
    unit = graph.add("Div", [normal, graph.add("Max", [long, "least"], "divisor")], "unit")
    graph.add("Concat", [unit, channels(x, 3, MAPS, "others")], "maps", axis=1)

    def value(name: str, count: int, side: int):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["faces", count, side, side])

    inputs = [value("colours", 3, SIDE), value("guess", GUESS, MAP_SIDE)]
    return graph.model("facefit dense points and normals", inputs, [value("maps", MAPS, MAP_SIDE)])


def export(network: DenseNetwork, path: Path) -> float:
    """Write the network to `path`.

    Returns:
        The largest difference between the file and the network on random input.
    """
    write_together({path: to_onnx(network.eval()).SerializeToString(deterministic=True)})
    generator = torch.Generator().manual_seed(0)
    given = {
        "colours": torch.randn(2, 3, SIDE, SIDE, generator=generator),
        "guess": torch.randn(2, GUESS, MAP_SIDE, MAP_SIDE, generator=generator),
    }
    found = load_session(path).run(["maps"], {name: value.numpy() for name, value in given.items()})[0]
    with torch.no_grad():
        return float(np.abs(found - network(**given).numpy()).max())
