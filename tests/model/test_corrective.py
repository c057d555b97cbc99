"""Correctives: what an expression does on one person and not on another, in shape, morph targets and file."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.toy_model import subdivided, toy_arrays

from facefit.errors import ModelError
from facefit.model.model_file import from_arrays

RNG = np.random.default_rng(2)
IDENTITY, EXPRESSION = len(toy_arrays()["identity_basis"]), len(toy_arrays()["expression_basis"])


def corrected(arrays):
    """Arrays with two correctives of expression 1 and one of expression 0."""
    count = len(arrays["verts"])
    return arrays | {
        "corrective_basis": RNG.normal(0, 2, (3, count, 3)).astype(np.float32),
        "corrective_expression": np.array([1, 0, 1]),
        "corrective_identity": RNG.normal(0, 1, (3, IDENTITY)).astype(np.float32),
    }


@pytest.fixture(scope="module")
def arrays():
    return corrected(toy_arrays())


def by_hand(arrays, identity, expression):
    out = arrays["verts"] + np.tensordot(identity, arrays["identity_basis"], 1)
    out = out + np.tensordot(expression, arrays["expression_basis"], 1)
    for shape, number, direction in zip(
        arrays["corrective_basis"], arrays["corrective_expression"], arrays["corrective_identity"], strict=True
    ):
        out = out + expression[number] * (direction @ identity) * shape
    return out


def test_the_shape_by_hand_for_several_people(arrays):
    model = from_arrays(arrays)
    identity, expression = RNG.normal(0, 1, (3, IDENTITY)), RNG.uniform(0, 1, (3, EXPRESSION))
    found = model.shape(torch.from_numpy(identity).float(), torch.from_numpy(expression).float()).numpy()
    for row in range(3):
        assert np.allclose(found[row], by_hand(arrays, identity[row], expression[row]), atol=1e-3)


def test_a_subdivided_model_gives_the_same(arrays):
    few, _ = subdivided()
    few = corrected(few)
    model = from_arrays(few)
    identity, expression = torch.randn(2, IDENTITY), torch.rand(2, EXPRESSION)
    plain = replace(model, name="without its control vertices")
    assert torch.allclose(model.shape(identity, expression), plain.shape(identity, expression), atol=1e-3)
    assert np.allclose(
        model.shape(identity, expression)[0, :-1].numpy(), by_hand(few, identity[0].numpy(), expression[0].numpy()),
        atol=1e-3,
    )  # fmt: skip


def test_a_persons_expressions_are_linear_and_hold_them(arrays):
    model = from_arrays(arrays)
    identity, expression = torch.randn(1, IDENTITY), torch.rand(1, EXPRESSION)
    rest = model.shape(identity, torch.zeros(1, EXPRESSION))[0]
    moved = rest + torch.tensordot(expression[0], model.expressions(identity[0]), 1)
    assert torch.allclose(moved, model.shape(identity, expression)[0], atol=1e-3)
    assert torch.equal(from_arrays(toy_arrays()).expressions(identity[0]), model.expression_basis)


def test_gradients_reach_both_coefficients(arrays):
    model = from_arrays({k: v.astype(np.float64) if k.endswith("basis") else v for k, v in arrays.items()})
    identity = torch.randn(1, IDENTITY, requires_grad=True)
    expression = torch.rand(1, EXPRESSION, requires_grad=True)
    direction = torch.randn(model.verts.shape)

    def energy(i, e):
        return (model.shape(i, e)[0] * direction).sum()

    energy(identity, expression).backward()
    step = 1e-2
    for value in (identity, expression):
        one = torch.zeros_like(value)
        one[0, 1] = step
        with torch.no_grad():
            i, e = (0 * identity, one) if value is expression else (one, 0 * expression)
            slope = energy(identity + i, expression + e) - energy(identity - i, expression - e)
        assert value.grad[0, 1].item() == pytest.approx(slope.item() / (2 * step), rel=2e-2, abs=0.5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"corrective_identity": None}, "lacks corrective_identity"),
        ({"corrective_expression": np.array([1, 0, 99])}, "corrective_expression holds values outside"),
        ({"corrective_identity": np.zeros((3, 2))}, "corrective_identity has shape"),
        ({"corrective_expression": np.array([1, 0])}, "corrective_expression has shape"),
    ],
)
def test_what_does_not_fit_is_named(arrays, change, words):
    damaged = {name: value for name, value in (arrays | change).items() if value is not None}
    with pytest.raises(ModelError, match=words):
        from_arrays(damaged)
