"""What was trained as model files: the decoder, and the linear model of the same size that it began at."""

from __future__ import annotations

import json

import facefit  # noqa: F401  before torch and numpy: it sets their threads

import numpy as np  # isort: skip
import torch

from facefit.model.model_file import DECODED
from training.decoder.linear import GraphWriter
from training.decoder.network import VertexDecoder
from training.decoder.train import Trained


def model_arrays(arrays: dict[str, np.ndarray], trained: Trained) -> dict[str, np.ndarray]:
    """The head model `arrays` with the decoder for identity and albedo; its expressions stay, its landmarks too."""
    count = len(arrays["verts"])
    graph = GraphWriter()
    trained.shape.written(graph, "identity", "verts")
    trained.skin.written(graph, "albedo", "reflectance")
    sizes = {"identity": trained.shape_codes.shape[1], "albedo": trained.skin_codes.shape[1]}
    network = graph.file(sizes, {"verts": (count, 3), "reflectance": (count, 3)})
    priors, made = {}, {}
    for code, net, codes in (
        ("identity", trained.shape, trained.shape_codes), ("albedo", trained.skin, trained.skin_codes),
    ):  # fmt: skip
        mean, root = prior(codes)
        priors |= {f"decoder_{code}_mean": mean, f"decoder_{code}_root": root}
        made[code] = _at_rest(net, mean, root)
    return _plain(arrays, "decoder") | priors | {
        "format": np.int64(DECODED), "decoder_network": np.frombuffer(network, np.uint8),
        "decoder_frame": np.eye(3, dtype=np.float32),
        "verts": made["identity"][0], "identity_basis": made["identity"][1].astype(np.float16),
        "albedo_mean": made["albedo"][0].clip(0, 1), "albedo_basis": made["albedo"][1].astype(np.float16),
    }  # fmt: skip


def linear_arrays(arrays: dict[str, np.ndarray], trained: Trained) -> dict[str, np.ndarray]:
    """The same with the principal components of what the decoder has learnt from."""
    (verts, shapes), (colours, tints) = trained.linear_shape, trained.linear_skin
    return _plain(arrays, "linear") | {
        "verts": verts.astype(np.float32), "identity_basis": shapes.astype(np.float16),
        "albedo_mean": colours.astype(np.float32), "albedo_basis": tints.astype(np.float16),
    }  # fmt: skip


def prior(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (K,) and root (K, K) of codes (N, K): the strongest direction first."""
    mean = codes.mean(0)
    variance, axes = np.linalg.eigh(np.cov(codes.T))
    return mean.astype(np.float32), (axes[:, ::-1] * np.sqrt(variance[::-1])).T.astype(np.float32)


@torch.no_grad()
def _at_rest(net: VertexDecoder, mean: np.ndarray, root: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(C, 3) at the prior's mean, and (K, C, 3) per deviation there."""
    middle, steps = torch.from_numpy(mean)[None], torch.from_numpy(root)
    ends = [torch.cat([net(row)[0] for row in (middle + sign * steps).split(8)]) for sign in (1, -1)]
    return net(middle)[0][0].numpy(), ((ends[0] - ends[1]) / 2).numpy()


def _plain(arrays: dict[str, np.ndarray], kind: str) -> dict[str, np.ndarray]:
    """Without what belongs to the identities of old."""
    about = {"kind": kind, "from": f"{arrays['name']} {arrays['version']}"}
    kept = {name: value for name, value in arrays.items() if not name.startswith("corrective_")}
    return kept | {"name": np.str_(f"facefit {kind}"), "provenance": np.str_(json.dumps(about))}
