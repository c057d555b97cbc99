"""Correctives: what an expression does differently on one person than on another, in an otherwise linear model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..compute.row_product import affine_rows


@dataclass(frozen=True)
class Correctives:
    """K displacements, each scaled by an expression's coefficient times the identity's along one direction.

    They are linear in the expression for one person, so a person's morph targets hold them exactly.

    Attributes:
        basis: (K, V, 3) mm.
        expression: (K,) the expression that each belongs to.
        identity: (K, I) directions, per standard deviation.
    """

    basis: Tensor
    expression: Tensor
    identity: Tensor

    def along(self, identity: Tensor) -> Tensor:
        """(B, I) standard deviations -> (B, K) how much of each there is at an expression of 1."""
        return affine_rows(identity.new_zeros(1, 1), identity, self.identity.T.contiguous())

    def coefficients(self, identity: Tensor, expression: Tensor) -> Tensor:
        """(B, I), (B, E) -> (B, K)."""
        return expression.index_select(1, self.expression) * self.along(identity)

    def of_expressions(self, identity: Tensor, count: int) -> Tensor:
        """(I,) one person -> (count, V, 3) mm at activation 1: what they add to each of the `count` expressions."""
        out = self.basis.new_zeros(count, *self.basis.shape[1:])
        return out.index_add(0, self.expression, self.along(identity[None])[0, :, None, None] * self.basis)

    def to(self, device: torch.device | str) -> Correctives:
        """The same on another device."""
        return Correctives(self.basis.to(device), self.expression.to(device), self.identity.to(device))
