"""The fused CPU pass of facefit.energies.photometric: energy and gradient at once (numba)."""

from __future__ import annotations

import math

import numpy as np
import torch
from numba import njit
from torch import Tensor

from ..compute.threads import run_chunks

CHUNKS = 4  # of rows; each has its own sums, added in a fixed order


@njit(cache=True, nogil=True)
def _compare(rendered, image, weight, smooth, slope, sums, chunk):
    """One share of the rows: `slope` (B, S, S, 3) gets weight * d length, `sums` (B, CHUNKS, 2) energy and weight."""
    b, share = chunk // CHUNKS, chunk % CHUNKS
    size = weight.shape[1]
    energy, total = 0.0, 0.0
    for row in range(share * size // CHUNKS, (share + 1) * size // CHUNKS):
        for column in range(weight.shape[2]):
            w = weight[b, row, column]
            if not w > 0:
                continue
            x = rendered[b, row, column, 0] - image[b, row, column, 0]
            y = rendered[b, row, column, 1] - image[b, row, column, 1]
            z = rendered[b, row, column, 2] - image[b, row, column, 2]
            length = math.sqrt(np.float64(x * x + y * y + z * z) + smooth * smooth)
            energy += w * (length - smooth)
            total += w
            pull = w / length
            slope[b, row, column, 0] = pull * x
            slope[b, row, column, 1] = pull * y
            slope[b, row, column, 2] = pull * z
    sums[b, share, 0] = energy
    sums[b, share, 1] = total


class Photometric(torch.autograd.Function):
    """(B, S, S, 3), (B, S, S, 3), (B, S, S), smooth -> (B,); gradient to the first alone."""

    @staticmethod
    def forward(ctx, rendered: Tensor, image: Tensor, weight: Tensor, smooth: float) -> Tensor:
        """(B,) energies, RGB units; arguments as of facefit.energies.photometric.photometric_energy, on the CPU."""
        slope, sums = torch.zeros_like(image), np.zeros((len(image), CHUNKS, 2))
        arrays = (tensor.detach().contiguous().numpy() for tensor in (rendered, image, weight))
        run_chunks(_compare, len(image) * CHUNKS, *arrays, float(smooth), slope.numpy(), sums)
        energy, total = torch.from_numpy(sums.sum(1)).to(rendered.dtype).unbind(1)
        scale = 1 / torch.where(total > 0, total, 1.0)
        ctx.save_for_backward(slope, scale)
        return energy * scale

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        """(B,) gradient of the energies -> (B, S, S, 3) that of `rendered`."""
        slope, scale = ctx.saved_tensors
        return slope * (grad * scale)[:, None, None, None], None, None, None
