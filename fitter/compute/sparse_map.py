"""A fixed sparse linear map over points: subdivision, landmarks, points on triangles; fast both ways on the CPU."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

_TERMS_PER_CHUNK = 1 << 18  # below, handing work to a second thread costs more than it saves


@dataclass(frozen=True, eq=False)
class SparseMap:
    """(B, N, C) -> (B, M, C): output m is the sum of weight[k] * input[index[k]] for k in start[m]:start[m + 1].

    Attributes:
        start: (M + 1,) int32; index: (K,) int32; weight: (K,) float32.
        inputs: N.
    """

    start: np.ndarray
    index: np.ndarray
    weight: np.ndarray
    inputs: int

    @classmethod
    def from_rows(cls, index: np.ndarray, weight: np.ndarray, inputs: int) -> SparseMap:
        """Of M rows of K terms.

        Args:
            index: (M, K) integers below `inputs`, N. weight: (M, K); those of 0 are dropped.
        """
        used = weight != 0
        start = np.concatenate([[0], np.cumsum(used.sum(1))]).astype(np.int32)
        return cls(start, index[used].astype(np.int32), weight[used].astype(np.float32), inputs)

    @classmethod
    def identity(cls, points: int) -> SparseMap:
        """Every point as it is."""
        return cls.from_rows(np.arange(points)[:, None], np.ones((points, 1)), points)

    @property
    def outputs(self) -> int:
        """M, the number of points that come out."""
        return len(self.start) - 1

    @cached_property
    def row(self) -> np.ndarray:
        """(K,) the output that each weight belongs to."""
        return np.repeat(np.arange(self.outputs, dtype=np.int32), np.diff(self.start))

    @cached_property
    def transpose(self) -> SparseMap:
        """The map of gradients: (B, M, C) -> (B, N, C)."""
        order = np.argsort(self.index, kind="stable")
        start = np.concatenate([[0], np.cumsum(np.bincount(self.index, minlength=self.inputs))]).astype(np.int32)
        turned = SparseMap(start, self.row[order], self.weight[order], self.outputs)
        turned.__dict__["transpose"] = weakref.proxy(self)
        return turned

    def after(self, first: SparseMap) -> SparseMap:
        """The map that does `first` and then this one, in one step."""
        terms = np.diff(first.start)[self.index]  # of each of this map's terms
        which = np.repeat(np.arange(len(self.index)), terms)
        place = first.start[self.index][which] + np.arange(len(which)) - (np.cumsum(terms) - terms)[which]
        start = np.concatenate([[0], np.cumsum(np.bincount(self.row[which], minlength=self.outputs))]).astype(np.int32)
        return SparseMap(start, first.index[place], self.weight[which] * first.weight[place], first.inputs)

    def __call__(self, values: Tensor) -> Tensor:
        """(B, N, C) -> (B, M, C), differentiable. Raises ValueError for another N."""
        if values.ndim != 3 or values.shape[1] != self.inputs:
            raise ValueError(f"values have shape {tuple(values.shape)}; expected (B, {self.inputs}, C)")
        if values.device.type == "cpu":
            return _Apply.apply(values, self)
        return self.apply_torch(values)

    def apply_torch(self, values: Tensor) -> Tensor:
        """(B, N, C) -> (B, M, C): the plain twin of calling it, on any device."""
        device = values.device
        terms = values[:, torch.from_numpy(self.index).long().to(device)]
        terms = terms * torch.from_numpy(self.weight).to(values)[None, :, None]
        out = values.new_zeros(len(values), self.outputs, values.shape[2])
        return out.index_add(1, torch.from_numpy(self.row).long().to(device), terms)


class _Apply(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: Tensor, sparse: SparseMap) -> Tensor:
        ctx.sparse = sparse
        return _multiply(sparse, values)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        return _multiply(ctx.sparse.transpose, grad), None


def _multiply(sparse: SparseMap, values: Tensor) -> Tensor:
    multiply, run_chunks = load_kernel()
    batch, _, channels = values.shape
    out = torch.empty(batch, sparse.outputs, channels, dtype=values.dtype)
    chunks = max(1, len(sparse.index) // _TERMS_PER_CHUNK)
    arrays = values.detach().contiguous().numpy(), out.numpy()
    run_chunks(multiply, batch * chunks, sparse.start, sparse.index, sparse.weight, *arrays, chunks)
    return out


def load_kernel() -> tuple[Callable, Callable]:
    """The compiled product and what spreads it over threads. Loaded when first asked for: a model is read without."""
    from .sparse_kernel import multiply
    from .threads import run_chunks

    return multiply, run_chunks
