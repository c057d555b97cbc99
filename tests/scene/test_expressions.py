"""Another expression on the same face."""

import dataclasses

import pytest
import torch

from facefit.scene.expressions import with_expression
from facefit.scene.parameters import Parameters


def test_units_by_name(toy_model):
    fitted = Parameters.zeros(toy_model.sizes, 2)
    fitted.expression[:] = torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    edited = with_expression(toy_model, fitted, {"unit1": 1})
    assert torch.allclose(edited.expression, torch.tensor([[0.1, 1, 0.3], [0.4, 1, 0.6]]))
    assert fitted.expression[0, 1] == torch.tensor(0.2) and edited.identity is fitted.identity
    alone = with_expression(toy_model, fitted, {"unit1": 0.5}, keep=False)
    assert torch.equal(alone.expression, torch.tensor([[0, 0.5, 0], [0, 0.5, 0]]))


def test_what_is_no_expression(toy_model):
    fitted = Parameters.zeros(toy_model.sizes)
    with pytest.raises(ValueError, match="toy has no expression 'unit'; it has unit2, unit1, unit0, ..."):
        with_expression(toy_model, fitted, {"unit": 0.5})
    for value in (1.01, -0.1, float("nan")):
        with pytest.raises(ValueError, match="unit0 is .*; accepted: 0 to 1"):
            with_expression(toy_model, fitted, {"unit0": value})
    gaussian = dataclasses.replace(toy_model, activation=False)
    assert with_expression(gaussian, fitted, {"unit0": -2.5}).expression[0, 0] == -2.5
    with pytest.raises(ValueError, match="finite"):
        with_expression(gaussian, fitted, {"unit0": float("inf")})
