import numpy as np
import pytest
import torch
from helpers.toy_model import subdivided

from facefit.compute.sparse_map import SparseMap


def random_map(inputs=40, outputs=70, width=5, seed=0):
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(outputs, width)) * (rng.random((outputs, width)) < 0.6)
    weight[3] = 0  # a row without terms
    return SparseMap.from_rows(rng.integers(0, inputs, (outputs, width)), weight, inputs)


def test_rows_by_hand():
    sparse = SparseMap.from_rows(np.array([[1, 0], [0, 1], [0, 0]]), np.array([[1.0, 0], [0.75, 0.25], [0, 0]]), 2)
    assert sparse.index.tolist() == [1, 0, 1]
    out = sparse(torch.tensor([[[0.0, 0, 0], [4, 0, 8]]]))
    assert out.tolist() == [[[4, 0, 8], [1, 0, 2], [0, 0, 0]]]
    back = sparse.transpose(torch.tensor([[[1.0], [10], [100]]]))
    assert back.tolist() == [[[7.5], [3.5]]]


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("batch", [1, 3])
def test_the_kernel_equals_the_plain_twin_forward_and_backward(channels, batch):
    sparse, generator = random_map(), torch.Generator().manual_seed(1)
    values = torch.randn(batch, 40, channels, generator=generator, requires_grad=True)
    slope = torch.randn(batch, 70, channels, generator=generator)
    fast, plain = sparse(values), sparse.apply_torch(values)
    assert torch.allclose(fast, plain, atol=1e-5)
    (a,), (b,) = torch.autograd.grad(fast, values, slope), torch.autograd.grad(plain, values, slope)
    assert torch.allclose(a, b, atol=1e-5)


def test_gradcheck_and_views_that_are_not_contiguous():
    sparse = random_map(6, 9, 3)
    values = torch.randn(3, 6, 2, dtype=torch.float64).transpose(1, 2).transpose(1, 2).requires_grad_(True)
    assert torch.autograd.gradcheck(sparse, (values,), atol=1e-4)
    turned = torch.randn(2, 3, 6).transpose(1, 2)
    assert torch.allclose(sparse(turned), sparse.apply_torch(turned), atol=1e-5)


def test_threads_do_not_change_a_bit_and_another_number_of_points_is_named(monkeypatch):
    monkeypatch.setattr("facefit.compute.sparse_map._TERMS_PER_CHUNK", 20)
    sparse = random_map()
    values, threads = torch.randn(2, 40, 3), torch.get_num_threads()
    try:
        results = []
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(sparse(values))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*results)
    with pytest.raises(ValueError, match=r"\(2, 39, 3\).*\(B, 40, C\)"):
        sparse(torch.zeros(2, 39, 3))


def test_the_transpose_of_the_transpose_is_the_map_itself():
    sparse = random_map()
    assert torch.equal(sparse.transpose.transpose(torch.ones(1, 40, 3)), sparse(torch.ones(1, 40, 3)))


def test_a_subdivided_model_computes_with_its_control_vertices():
    from dataclasses import replace

    from facefit.model.model_file import from_arrays

    model = from_arrays(subdivided()[0])
    dense = replace(model)  # without what is kept beside the fields
    assert "_control" in model.__dict__ and "_control" not in dense.__dict__
    ones = [torch.randn(2, 4, requires_grad=True), torch.rand(2, 3, requires_grad=True)]
    a, b = model.shape(*ones), dense.shape(*ones)
    assert torch.allclose(a, b, atol=1e-4)
    slope = torch.randn_like(a)
    for one, two in zip(*(torch.autograd.grad(v, ones, slope) for v in (a, b)), strict=True):
        assert torch.allclose(one, two, rtol=1e-4, atol=1e-2)
