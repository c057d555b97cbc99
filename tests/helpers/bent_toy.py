"""The toy model as a network that bends its coefficients: a decoder that is no linear model."""

from __future__ import annotations

import numpy as np

from training.decoder.linear import GraphWriter


def bent(arrays):
    """The toy whose every coefficient is bent: three times the tangent's hyperbola of a third of it."""
    graph, count = GraphWriter(), len(arrays["verts"])
    third, three = graph.weight(np.array([1 / 3], np.float32), half=False), graph.weight(np.array([3.0], np.float32))
    code = graph.add("Concat", "identity", "expression", axis=1)
    code = graph.add("Mul", graph.add("Tanh", graph.add("Mul", code, third)), three)
    basis = np.concatenate([arrays["identity_basis"], arrays["expression_basis"]]).reshape(7, -1)
    flat = graph.add("Gemm", code, graph.weight(basis, half=False), graph.weight(arrays["verts"].ravel(), half=False))
    graph.add("Reshape", flat, graph.whole(-1, count, 3), out="verts")
    network = graph.file({"identity": 4, "expression": 3}, {"verts": (count, 3)})
    frame = np.eye(3, dtype=np.float32)
    return arrays | {"format": np.int64(2), "decoder_network": np.frombuffer(network, np.uint8), "decoder_frame": frame}
