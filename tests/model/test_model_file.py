"""Model files of strangers: their sizes are known before anything is expanded, and what does not fit is one line."""

import tracemalloc

import numpy as np
import pytest
import torch
from helpers.toy_model import toy_arrays

from facefit.errors import ModelError
from facefit.model import model_file
from facefit.model.model_file import from_arrays, load_model


def stored(path, **changes):
    arrays = {**toy_arrays(), **changes}
    np.savez_compressed(path, **{name: value for name, value in arrays.items() if value is not None})
    return path


def refusal(path) -> str:
    tracemalloc.start()
    with pytest.raises(ModelError) as caught:
        load_model(path)
    assert tracemalloc.get_traced_memory()[1] < 30e6
    tracemalloc.stop()
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


def test_an_array_that_nobody_needs_is_not_read(tmp_path):
    path = stored(tmp_path / "a.npz", surplus=np.zeros(5_000_000))
    tracemalloc.start()
    assert load_model(path).name == "toy"
    assert tracemalloc.get_traced_memory()[1] < 30e6
    tracemalloc.stop()


def test_shapes_are_told_by_the_headers(tmp_path):
    path = stored(tmp_path / "a.npz", identity_basis=np.zeros((10, 50_000, 3), np.float32))
    assert "identity_basis has shape (10, 50000, 3); expected (10, 289, 3)" in refusal(path)


def test_a_model_larger_than_any(tmp_path, monkeypatch):
    assert model_file.LARGEST_BYTES == 2**29
    monkeypatch.setattr(model_file, "LARGEST_BYTES", 2**24)
    path = stored(tmp_path / "a.npz", identity_basis=np.zeros((5_000, 289, 3), np.float16))  # half as large in the file
    assert "0.02 GiB of numbers in its arrays; accepted: up to 0.015625 GiB" in refusal(path)


def test_a_subdivision_counts_as_what_it_makes(tmp_path):
    many = 600_000  # vertices, stored as zeros: 150 MB of bases per component
    arrays = toy_arrays(identity=100)
    arrays |= {"upsample_index": np.zeros((many, 1), np.uint8), "upsample_weight": np.ones((many, 1), np.float16)}
    for name in ("symmetry", "vertex_label", "eyeball"):
        arrays[name] = np.zeros(many, np.uint8)
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    assert "GiB of numbers" in refusal(tmp_path / "a.npz")


@pytest.mark.parametrize(
    "provenance", ["[" * 100_000 + "]" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000, "[1]", "{"]
)
def test_odd_provenance_is_one_line(tmp_path, provenance):
    assert "provenance is" in refusal(stored(tmp_path / "a.npz", provenance=np.str_(provenance)))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"identity_basis": None}, "lacks identity_basis"),
        ({"expression_basis": None, "expression_names": None}, "lacks expression_basis, expression_names"),
        ({"provenance": np.array([{}], object)}, "provenance holds object"),
        ({"faces": np.zeros((0, 3), int), "uv_faces": np.zeros((0, 3), int)}, "holds no triangles"),
    ],
)
def test_what_lacks_is_named(tmp_path, changes, word):
    assert word in refusal(stored(tmp_path / "a.npz", **changes))


@pytest.mark.parametrize("kind", ["identity", "expression", "albedo"])
@pytest.mark.parametrize("subdivided", [False, True])
def test_a_model_without_components_of_a_kind(kind, subdivided):
    """Basel's of 2009 has no expressions and most have no colours; the subdivision of nothing is nothing."""
    arrays = toy_arrays()
    arrays[f"{kind}_basis"] = arrays[f"{kind}_basis"][:0]
    if kind == "expression":
        arrays["expression_names"] = arrays["expression_names"][:0]
    if subdivided:
        arrays |= {"upsample_index": np.arange(289)[:, None], "upsample_weight": np.ones((289, 1))}
    model = from_arrays(arrays)
    zero = {name: torch.zeros(2, count) for name, count in model.sizes.items()}
    assert torch.allclose(model.shape(zero["identity"], zero["expression"])[0], model.verts)
    assert torch.allclose(model.albedo(zero["albedo"])[1], model.albedo_mean)
