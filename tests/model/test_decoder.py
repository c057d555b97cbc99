"""A network in the place of components: the toy, written as one, is the same model; and networks that do not fit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.toy_model import jointed_arrays, subdivided, toy_arrays

from facefit.compute.sparse_map import SparseMap
from facefit.errors import ModelError
from facefit.model.model_file import from_arrays, load_model, save_arrays

pytest.importorskip("onnx")
from helpers.bent_toy import bent  # noqa: E402  after onnx is known to be there

from training.decoder.linear import GraphWriter, as_decoder  # noqa: E402


def faces(batch=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, count, generator=generator) for count in (4, 3, 3)]


@pytest.mark.parametrize("arrays", [toy_arrays(), jointed_arrays(), subdivided()[0]], ids=["toy", "joints", "control"])
def test_a_linear_model_as_a_network_is_the_same(arrays, tmp_path):
    save_arrays(tmp_path / "net.npz", as_decoder(arrays))
    linear, decoded = from_arrays(arrays), load_model(tmp_path / "net.npz")
    assert decoded.decoder is not None and decoded.sizes == linear.sizes
    identity, expression, albedo = faces()
    gaze, joints = torch.full((3, 2, 2), 0.1), torch.full((3, linear.sizes["joints"], 3), 0.1)
    for given in ((identity, expression), (identity, expression, gaze, joints if joints.numel() else None)):
        assert (decoded.shape(*given) - linear.shape(*given)).abs().max() < 2e-2  # weights of 16 bits
    assert (decoded.albedo(albedo) - linear.albedo(albedo)).abs().max() < 1e-3
    np.testing.assert_allclose(decoded.expressions(identity[0]), linear.expressions(identity[0]), atol=1e-2)


def test_a_face_is_the_same_in_any_company_and_gradients_flow():
    model = from_arrays(bent(toy_arrays()))
    identity, expression, _ = faces(5)
    whole = model.shape(identity, expression)
    for face in range(5):
        assert torch.equal(model.shape(identity[face][None], expression[face][None])[0], whole[face])
    assert torch.equal(model.to("cpu").shape(identity, expression), whole)
    identity.requires_grad_(True)
    (slope,) = torch.autograd.grad(model.shape(identity, expression)[:, :, 2].sum(), identity)
    expected = (1 - (identity / 3).tanh() ** 2) * model.identity_basis[:, :, 2].sum(1)
    assert torch.allclose(slope, expected, rtol=1e-3, atol=1e-2)


def test_what_moves_the_mean_moves_every_face():
    model, up = from_arrays(bent(toy_arrays())), torch.tensor([0.0, 5.0, 0.0])
    identity, expression, _ = faces(2)
    moved = replace(model, verts=model.verts + up)
    assert torch.allclose(moved.shape(identity, expression), model.shape(identity, expression) + up, atol=1e-4)


def test_expressions_of_ones_own_on_a_decoded_person():
    model = from_arrays(bent(toy_arrays()))
    identity, expression, _ = faces(2)
    own = model.expressions(identity[0])
    assert (own[0] - model.expression_basis[0]).abs().max() > 0.01  # a bent one: less at 1 than its slope at 0
    person = model.with_expressions(own)
    neutral = model.shape(identity[:1], torch.zeros(1, 3))
    expected = neutral + torch.einsum("e,evx->vx", expression[0], own)
    assert torch.allclose(person.shape(identity[:1], expression[:1]), expected, atol=1e-4)
    assert torch.equal(person.expressions(identity[1]), own)


def test_expressions_beside_a_network_without():
    arrays = toy_arrays()
    graph, count = GraphWriter(), len(arrays["verts"])
    basis = graph.weight(arrays["identity_basis"].reshape(4, -1), half=False)
    flat = graph.add("Gemm", "identity", basis, graph.weight(arrays["verts"].ravel(), half=False))
    graph.add("Reshape", flat, graph.whole(-1, count, 3), out="verts")
    network = np.frombuffer(graph.file({"identity": 4}, {"verts": (count, 3)}), np.uint8)
    decoded = arrays | {"format": np.int64(2), "decoder_network": network, "decoder_frame": np.eye(3)}
    identity, expression, albedo = faces()
    linear, model = from_arrays(arrays), from_arrays(decoded)
    assert torch.allclose(model.shape(identity, expression), linear.shape(identity, expression), atol=1e-3)
    assert torch.equal(model.albedo(albedo), linear.albedo(albedo))


def test_the_prior_stretches_the_code():
    """A code of deviations becomes mean + code @ root; the face at rest is that of the mean."""
    arrays, root = as_decoder(toy_arrays()), np.diag([2.0, 1, 1, 1])[[1, 0, 2]]
    arrays |= {"decoder_identity_mean": np.array([0.5, 0, 0, 0]), "decoder_identity_root": root}
    arrays |= {"identity_basis": arrays["identity_basis"][:3]}
    model, linear = from_arrays(arrays), from_arrays(toy_arrays())
    code, still = torch.tensor([[0.3, 0.7, -1.0]]), torch.zeros(1, 3)
    latent = torch.tensor([[0.5 + 2 * 0.7, 0.3, -1.0, 0.0]])
    rest = linear.shape(torch.tensor([[0.5, 0, 0, 0]]), still)
    moved = model.shape(code, still) - model.shape(torch.zeros(1, 3), still)
    assert (moved - (linear.shape(latent, still) - rest)).abs().max() < 2e-2
    assert torch.equal(model.shape(torch.zeros(1, 3), still)[0], model.verts)


@pytest.mark.parametrize("activation", [True, False])
def test_slopes_near_a_code(activation):
    model = from_arrays(bent(toy_arrays()))
    identity, expression = torch.tensor([0.5, -1.0, 0.0, 2.0]), torch.tensor([0.1, 0.9, 0.4])
    points = SparseMap.from_rows(np.array([[3, 4], [50, 51]]), np.full((2, 2), 0.5), len(model.verts))
    found = model.decoder.linearised(identity, expression, model.decoder.at(points), activation)
    both = torch.cat([model.identity_basis, model.expression_basis])[:, [3, 4, 50, 51]].reshape(7, 2, 2, 3).mean(2)
    code = torch.cat([identity, expression])
    assert torch.allclose(found[0], torch.einsum("n,npx->px", 3 * (code / 3).tanh(), both), atol=1e-3)
    expected = (1 - (code / 3).tanh() ** 2)[:, None, None] * both
    assert (found[1:] - expected).abs().max() < 0.2  # steps of a fifth see the bend
    assert (found[1:] - both).abs().max() > 0.5


BAD = {
    "has only one of decoder_network and decoder_frame": lambda a: a.pop("decoder_frame"),
    "has decoder_identity_mean without decoder_network":
        lambda a: [a.pop(n) for n in ("decoder_network", "decoder_frame")] and a.update(
            decoder_identity_mean=np.zeros(4), decoder_identity_root=np.eye(4)),
    "format 1; this version reads format 2 with a decoder": lambda a: a.update(format=np.int64(1)),
    "decoder_network: no graph in it": lambda a: a.update(decoder_network=np.zeros(0, np.uint8)),
    "decoder_network: a field that is cut off": lambda a: a.update(decoder_network=a["decoder_network"][:-9]),
    "decoder_network holds int64; expected bytes": lambda a: a.update(decoder_network=np.arange(9)),
    r"its input 'identity' takes \(4,\); the model has 3": lambda a: a.update(identity_basis=a["identity_basis"][:3]),
    r"its output 'verts' is \(289, 3\); expected \(3, 3\)":
        lambda a: a.update(upsample_index=np.zeros((289, 1), int), upsample_weight=np.ones((289, 1)),
                           **{n: a[n][..., :3, :] for n in ("verts", "identity_basis", "expression_basis",
                                                            "albedo_mean", "albedo_basis")}),
}  # fmt: skip


@pytest.mark.parametrize("message", BAD)
def test_files_that_do_not_fit(message):
    arrays = as_decoder(toy_arrays())
    BAD[message](arrays)
    with pytest.raises(ModelError, match=message) as caught:
        from_arrays(arrays)
    assert "\n" not in str(caught.value)
