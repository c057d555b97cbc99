"""mean + coefficients @ basis, so that a face's row does not depend on how many rows there are."""

from __future__ import annotations

import torch
from torch import Tensor


def affine_rows(mean: Tensor, coefficients: Tensor, basis: Tensor) -> Tensor:
    """mean + coefficients @ basis.

    A matrix product of one row and one of eight add their terms in different orders, and even for one row the order may
    depend on where the row begins in memory. A fit takes a hundred steps and chooses points by what is nearest: from
    the seventh digit such differences grow to a thousandth of a millimetre. So on the CPU every row is multiplied by
    itself, in memory of its own; a fit reads the basis at the speed of memory either way.

    Args:
        mean: (1, N) or (1, 1); coefficients: (B, K); basis: (K, N).
    Returns:
        (B, N); differentiable in the coefficients (and in all three elsewhere than on the CPU).
    """
    if coefficients.device.type != "cpu" or mean.requires_grad or basis.requires_grad:
        return torch.addmm(mean, coefficients, basis)
    return _AffineRows.apply(mean, coefficients, basis)


class _AffineRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx, mean: Tensor, coefficients: Tensor, basis: Tensor) -> Tensor:
        ctx.save_for_backward(basis)
        return _stacked([torch.addmm(mean, row.clone()[None], basis) for row in coefficients], basis.shape[1], mean)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        (basis,) = ctx.saved_tensors
        rows = [torch.mm(row.clone()[None], basis.T) for row in grad]
        return None, _stacked(rows, basis.shape[0], grad), None


def _stacked(rows: list[Tensor], width: int, like: Tensor) -> Tensor:
    return torch.cat(rows) if rows else like.new_zeros(0, width)
