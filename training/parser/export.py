"""The trained networks as one ONNX file with 16-bit weights, and the proof that it answers as they do."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from facefit.observe.segment.face_crops import CHANNELS, CLASSES, DETAIL_SIDE, FACE_SIDE
from training.parser.network import Parser, ScoredUNet

OPSET, IR_VERSION = 17, 8


class Graph:
    """Nodes and weights as they are added; every value has its own name."""

    def __init__(self) -> None:
        self.nodes: list = []
        self.weights: list = [numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "twice")]

    def add(self, kind: str, inputs: list[str], name: str, **attributes) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def weight(self, value: torch.Tensor, name: str) -> str:
        """A weight of 16 bits that is computed with as 32."""
        half = value.detach().numpy().astype(np.float16)
        self.weights.append(numpy_helper.from_array(half, f"{name}.half"))
        return self.add("Cast", [f"{name}.half"], name, to=TensorProto.FLOAT)

    def convolution(self, x: str, layer: nn.Conv2d, norm: nn.BatchNorm2d | None, name: str) -> str:
        if norm is not None:
            layer = torch.nn.utils.fuse_conv_bn_eval(layer, norm)
        inputs = [x, self.weight(layer.weight, f"{name}.weight"), self.weight(layer.bias, f"{name}.bias")]
        pad = layer.padding[0]
        out = self.add("Conv", inputs, name, strides=list(layer.stride), pads=[pad] * 4)
        return out if norm is None else self.add("Relu", [out], f"{name}.relu")

    def block(self, x: str, block: nn.Module, name: str) -> str:
        x = self.convolution(x, block.first, block.first_norm, f"{name}.first")
        return self.convolution(x, block.second, block.second_norm, f"{name}.second")

    def network(self, x: str, network: ScoredUNet, out: str) -> None:
        """The U-Net as training.parser.network.ScoredUNet.forward has it, then the softmax."""
        x = self.convolution(self.levels(x, network), network.score, None, f"{x}.score")
        self.add("Softmax", [x], out, axis=1)

    def levels(self, x: str, network: nn.Module) -> str:
        """Down and up again, blocks of the same level joined."""
        name, seen = x, []
        for level, block in enumerate(network.down):
            x = self.block(x, block, f"{name}.down{level}")
            seen.append(x)
        for level, (block, finer) in enumerate(zip(network.up, seen[-2::-1], strict=True)):
            x = self.add(
                "Resize", [x, "", "twice"], f"{name}.grown{level}", mode="nearest",
                coordinate_transformation_mode="asymmetric", nearest_mode="floor",
            )  # fmt: skip
            x = self.block(self.add("Concat", [x, finer], f"{name}.joined{level}", axis=1), block, f"{name}.up{level}")
        return x

    def model(self, name: str, inputs: list, outputs: list) -> onnx.ModelProto:
        """All of it, checked."""
        made = helper.make_graph(self.nodes, name, inputs, outputs, self.weights)
        model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="facefit")
        model.ir_version = IR_VERSION  # what onnxruntime of 2022 reads too
        onnx.checker.check_model(model)
        return model


def to_onnx(parser: Parser) -> onnx.ModelProto:
    """Inputs face (N, 12, 128, 128) and detail (M, 12, 96, 96) float32; outputs face_parts, detail_parts."""
    graph = Graph()
    inputs, outputs = [], []
    for name, side, network in (("face", FACE_SIDE, parser.face), ("detail", DETAIL_SIDE, parser.detail)):
        inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [f"{name}s", CHANNELS, side, side]))
        shape = [f"{name}s", len(CLASSES), side, side]
        outputs.append(helper.make_tensor_value_info(f"{name}_parts", TensorProto.FLOAT, shape))
        graph.network(name, network, f"{name}_parts")
    return graph.model("facefit face parser", inputs, outputs)


def export(parser: Parser, path: Path) -> float:
    """Write the networks to `path`, by way of a temporary name.

    Returns:
        The largest difference of a probability between the file and the networks on random input.
    """
    from facefit.observe.segment.face_parser import load_networks

    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".onnx")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(to_onnx(parser.eval()).SerializeToString(deterministic=True))
        generator = torch.Generator().manual_seed(0)
        face = torch.randn(1, CHANNELS, FACE_SIDE, FACE_SIDE, generator=generator)
        detail = torch.randn(3, CHANNELS, DETAIL_SIDE, DETAIL_SIDE, generator=generator)
        given = load_networks(Path(temporary))(face.numpy(), detail.numpy())
        with torch.no_grad():
            expected = parser(face, detail)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return max(float(np.abs(a - b.numpy()).max()) for a, b in zip(given, expected, strict=True))
