"""A network of one's own, as docs/own_model.md describes it: a linear head written as one, read back."""

import json

import numpy as np
import pytest
import torch
from helpers.original_files import head
from helpers.toy_model import toy_arrays

from facefit.errors import ModelError
from facefit.importers.readers.decoder import read_decoder
from facefit.model.model_file import from_arrays

pytest.importorskip("onnx")
from training.decoder.linear import GraphWriter, linear_network  # noqa: E402  after onnx is known to be there

NAMES = ["jawOpen", "smile", "frown"]


def obj(path, verts):
    text = "".join(f"v {x:.6f} {y:.6f} {z:.6f}\n" for x, y, z in verts)
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(text + "".join(f"f {a + 1} {b + 1} {c + 1}\n" for a, b, c in head().faces))
    return path


def bases(seed=0):
    rng, count = np.random.default_rng(seed), len(head().verts)
    return {"verts": head().verts, "identity_basis": rng.normal(0, 2, (4, count, 3)),
            "expression_basis": rng.normal(0, 2, (3, count, 3)), "albedo_mean": rng.uniform(0.3, 0.7, (count, 3)),
            "albedo_basis": rng.normal(0, 0.02, (2, count, 3))}  # fmt: skip


@pytest.fixture
def network(tmp_path):
    """(NET.onnx, template.obj) in centimetres with z up, and the bases in mm."""
    arrays, turn = bases(), np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]) / 10
    turned = {name: value @ turn for name, value in arrays.items() if not name.startswith("albedo")}
    (tmp_path / "net.onnx").write_bytes(linear_network(arrays | turned))
    obj(tmp_path / "template.obj", turned["verts"])
    settings = {"name": "Net", "license": "MIT", "axes": {"left": "x", "up": "z", "out": "-y"},
                "expression_names": NAMES}  # fmt: skip
    (tmp_path / "model.json").write_text(json.dumps(settings))
    return tmp_path / "net.onnx", tmp_path / "template.obj", arrays


def test_a_network_with_everything(network):
    net, template, arrays = network
    source = read_decoder(net, mesh=template)
    assert (source.name, source.license, source.expression_names) == ("Net", "MIT", tuple(NAMES))
    np.testing.assert_allclose(source.verts, arrays["verts"], atol=0.02)
    for name in ("identity_basis", "expression_basis"):
        np.testing.assert_allclose(getattr(source, name), arrays[name], atol=0.02)
    np.testing.assert_allclose(source.albedo_mean, arrays["albedo_mean"], atol=1e-3)
    np.testing.assert_allclose(source.albedo_basis, arrays["albedo_basis"], atol=1e-3)
    assert len(source.provenance["sha256"]) == 64
    # and as the arrays of a model file, with the rest of the toy's
    count = len(toy_arrays()["verts"])
    assert source.decoder is not None and source.decoder.arrays()["decoder_frame"].shape == (3, 3)
    with pytest.raises(ModelError, match=rf"expected \({count}, 3\), a batch before it"):
        from_arrays(toy_arrays() | {"format": np.int64(2)} | source.decoder.arrays())


def test_a_prior_and_blendshapes(tmp_path):
    """A network of identities alone: its codes lie around a mean with a covariance, and expressions are OBJ files."""
    arrays, count = bases(), len(head().verts)
    graph = GraphWriter()
    flat = graph.add("Gemm", "identity", graph.weight(arrays["identity_basis"].reshape(4, -1), half=False),
                     graph.weight(arrays["verts"].ravel(), half=False))  # fmt: skip
    graph.add("Reshape", flat, graph.whole(-1, count, 3), out="verts")
    (tmp_path / "n.onnx").write_bytes(graph.file({"identity": 4}, {"verts": (count, 3)}))
    template = obj(tmp_path / "template.obj", arrays["verts"])
    for k, name in enumerate(NAMES):
        obj(tmp_path / "shapes" / f"{name}.obj", arrays["verts"] + arrays["expression_basis"][k])
    mean, spread = np.array([1.0, 0, 0, -1]), np.diag([4.0, 1, 0.25, 0])
    np.savez(tmp_path / "prior.npz", identity_mean=mean, identity_covariance=spread)
    source = read_decoder(tmp_path / "n.onnx", template, tmp_path / "shapes", tmp_path / "prior.npz")
    rest = arrays["verts"] + np.tensordot(mean, arrays["identity_basis"], 1)
    np.testing.assert_allclose(source.verts, rest, atol=1e-3)
    assert source.identity_basis.shape == (3, count, 3) and source.expression_names == ("frown", "jawOpen", "smile")
    signs = np.sign((source.identity_basis * arrays["identity_basis"][:3]).sum((1, 2)))
    expected = arrays["identity_basis"][:3] * (np.array([2, 1, 0.5]) * signs)[:, None, None]
    np.testing.assert_allclose(source.identity_basis, expected, atol=1e-3)
    np.testing.assert_allclose(source.expression_basis[1], arrays["expression_basis"][0], atol=1e-3)
    assert source.albedo_mean is None and source.albedo_basis is None


def test_what_is_refused_in_one_line(network, tmp_path):
    net, template, arrays = network
    (tmp_path / "a.txt").write_text("x")
    np.savez(tmp_path / "no.npz", identity_covariance=np.diag([1, 1, 1, -1.0]))
    np.savez(tmp_path / "other.npz", identity_std=np.ones(7))
    np.savez(tmp_path / "none.npz", something=np.ones(7))
    large = obj(tmp_path / "b" / "large.obj", 3 * arrays["verts"])
    for message, given in {
        "accepted: .onnx": (tmp_path / "a.txt",),
        "--with mesh=template.obj": (net,),
        "nothing.onnx: No such file": (tmp_path / "nothing.onnx", template),
        "its face at rest lies .* mm from the template; expected the same vertices": (
            net,
            large,
        ),
        "no covariance: a variance of -1": (net, template, None, tmp_path / "no.npz"),
        r"its input 'identity' takes \(4,\); the model has 7": (net, template, None, tmp_path / "other.npz"),
        "none.npz: .*holds none of identity_mean": (net, template, None, tmp_path / "none.npz"),
        "blendshapes for a network that has expressions": (net, template, tmp_path / "b"),
    }.items():
        if message.startswith("blendshapes"):
            obj(large, arrays["verts"])
        with pytest.raises(ModelError, match=message) as caught:
            read_decoder(*given)
        assert "\n" not in str(caught.value)


def test_other_outputs(tmp_path):
    graph = GraphWriter()
    graph.add("Relu", "identity", out="mesh")
    (tmp_path / "n.onnx").write_bytes(graph.file({"identity": 4}, {"mesh": (4,)}))
    with pytest.raises(ModelError, match="n.onnx: .*no output 'verts'; it has 'mesh'"):
        read_decoder(tmp_path / "n.onnx", obj(tmp_path / "t.obj", head().verts))
    assert torch.is_grad_enabled()
