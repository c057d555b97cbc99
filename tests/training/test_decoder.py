"""The global-local decoder: what is written as ONNX is what was trained, it lies where the face is, and it learns."""

import numpy as np
import pytest
import torch
from helpers.toy_model import toy_arrays

from facefit.compute.network import Network
from facefit.compute.sparse_map import SparseMap
from facefit.files.read_onnx import parse_onnx
from facefit.model.model_file import from_arrays

pytest.importorskip("onnx")
from training.decoder import train as module  # noqa: E402  after onnx is known to be there
from training.decoder.files import linear_arrays, model_arrays, prior  # noqa: E402
from training.decoder.linear import GraphWriter  # noqa: E402
from training.decoder.network import PATCHES, SIDE, VertexDecoder, face_maps  # noqa: E402
from training.decoder.train import components, train  # noqa: E402


@pytest.fixture(scope="module")
def toy():
    """Arrays of the toy as if it were subdivided, its model, and its maps."""
    arrays = toy_arrays()
    index = np.arange(len(arrays["verts"]))[:, None]
    arrays |= {"upsample_index": index, "upsample_weight": np.ones((len(index), 1), np.float32)}
    model = from_arrays(arrays)
    return arrays, model, face_maps(model, index, arrays["upsample_weight"])


@pytest.mark.parametrize("logarithm", [False, True])
def test_the_file_answers_as_the_network_does(toy, logarithm):
    arrays, _, maps = toy
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    net = VertexDecoder(rng.normal(size=(289, 3)), 0.1 * rng.normal(size=(4, 289, 3)), maps, 1.0, logarithm)
    torch.nn.init.normal_(net.maps.residual.weight, std=0.1)
    graph = GraphWriter()
    net.written(graph, "identity", "verts")
    read = Network(parse_onnx(graph.file({"identity": 4}, {"verts": (289, 3)})))
    code = torch.randn(2, 4)
    with torch.no_grad():
        values, proxy, _, _ = net(code)
        found = read({"identity": code})["verts"]
    assert (values - proxy).abs().max() > 0.05  # the residual says something
    assert (found - values).abs().max() < 0.02  # weights of 16 bits


def test_maps_lie_on_the_face(toy):
    _, model, maps = toy
    moved = maps.share.sum(1)
    assert moved.max() == pytest.approx(1, abs=1e-5) and moved.min() == 0
    row, column = maps.index[:, 0] // SIDE, maps.index[:, 0] % SIDE
    inner = moved > 0.9
    assert np.corrcoef(row[inner], model.verts[inner, 1])[0, 1] < -0.99  # rows go down
    assert np.corrcoef(column[inner], model.verts[inner, 0])[0, 1] > 0.95  # columns to the subject's left
    for name, (height, width) in PATCHES.items():
        assert 0 <= maps.corner[name][0] <= SIDE - height and 0 <= maps.corner[name][1] <= SIDE - width


def test_components_are_deviations():
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(400, 2, 1, 1)) * [[[3.0]], [[0.5]]] * np.ones((1, 1, 5, 3))
    samples = samples[:, 0] * np.eye(5)[0][:, None] + samples[:, 1] * np.eye(5)[1][:, None]
    mean, basis, codes = components(samples, 2, np.ones(5))
    assert np.abs(codes.std(0) - 1).max() < 1e-3 and np.abs(basis[0, 0]).mean() == pytest.approx(3, rel=0.1)
    np.testing.assert_allclose(mean + np.tensordot(codes, basis, 1), samples, atol=1e-4)
    middle, root = prior(codes * [2, 1] + 1)
    np.testing.assert_allclose(np.linalg.norm(root, axis=1), [2, 1], rtol=0.01)
    np.testing.assert_allclose(middle, 1, atol=1e-3)


def test_a_short_training_moves_everything_and_gives_model_files(toy, monkeypatch):
    arrays, model, maps = toy
    monkeypatch.setattr(module, "BATCH", (2, 2))
    rng, count = np.random.default_rng(0), len(arrays["verts"])
    codes = rng.normal(size=(4, 4))
    shapes = np.tensordot(codes, arrays["identity_basis"], 1) + arrays["verts"]
    skins = np.clip(arrays["albedo_mean"] + np.tensordot(codes[:, :3], arrays["albedo_basis"], 1), 0.05, 1)
    trained = train(shapes, skins, 2, 3, model, SparseMap.identity(count), maps, np.ones(count, bool), True)
    mean, basis = trained.linear_shape
    begun = components(shapes, 2, np.ones(count))[2]
    assert 1e-4 < np.abs(trained.shape_codes - begun).max() < 0.1
    with torch.no_grad():
        made, proxy, _, _ = trained.shape(torch.from_numpy(trained.shape_codes))
    linear = mean + np.tensordot(trained.shape_codes, basis, 1)
    assert (made - proxy).abs().max() > 1e-4 and 1e-4 < np.abs(proxy.numpy() - linear).max() < 1
    decoded, plain = from_arrays(model_arrays(arrays, trained)), from_arrays(linear_arrays(arrays, trained))
    assert decoded.sizes["identity"] == plain.sizes["identity"] == 2 and decoded.decoder is not None
    assert (decoded.verts - plain.verts).norm(dim=1).mean() < 3
    assert 0 < decoded.albedo(torch.zeros(1, 2)).min() and decoded.albedo_mean.max() <= 1
