"""The CPU backend: nvdiffrast's contract in numba. It is the meaning of "correct" for the other backends.

float32 or float64 (numba compiles each once and caches it). The same input gives the same bits, whatever the number of
threads. Faces with a vertex behind the camera are drawn where they are in front of it. Points with z / w outside
[-1, 1] are not drawn. A face with a NaN or infinite vertex, or without area on the screen, is not drawn.
"""

from __future__ import annotations

import weakref

import numpy as np
import torch
from torch import Tensor

from fitter.render import raster_kernels as kernels


class CpuRenderer:
    """The contract of fitter.render.Renderer on CPU tensors."""

    name = "cpu"

    def rasterize(self, clip: Tensor, faces: Tensor, size: int) -> Tensor:
        _check(clip.dim() == 3 and clip.shape[2] == 4, f"clip has shape {tuple(clip.shape)}; expected (B, V, 4)")
        _check(size >= 1, f"size is {size} pixels; expected at least 1")
        _check_cpu(clip)
        return _Rasterize.apply(clip, _indices(faces, clip.shape[1]), size)

    def interpolate(self, attributes: Tensor, rast: Tensor, faces: Tensor) -> Tensor:
        batch = rast.shape[0]
        _check(
            attributes.dim() == 3 and attributes.shape[0] in (1, batch),
            f"attributes have shape {tuple(attributes.shape)}; expected ({batch}, N, C) or (1, N, C)",
        )
        _check_cpu(attributes)
        return _Interpolate.apply(attributes, rast.to(attributes.dtype), _indices(faces, attributes.shape[1]))


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, clip: Tensor, faces: np.ndarray, size: int) -> Tensor:
        batch, count = clip.shape[:2]
        array = clip.detach().contiguous().numpy()
        pos = np.empty((batch, count, 3))
        screen = np.zeros((batch, count, 2))
        box = np.empty((batch, len(faces), 4), np.int32)
        rast = torch.zeros(batch, size, size, 4, dtype=clip.dtype)
        kernels.place(array, size, pos, screen)
        kernels.bound(pos, screen, faces, size, box)
        kernels.fill(pos, array, faces, box, rast.numpy())
        ctx.save_for_backward(rast)
        ctx.pos, ctx.faces = pos, faces
        return rast

    @staticmethod
    def backward(ctx, grad: Tensor):
        (rast,) = ctx.saved_tensors
        batch, count = ctx.pos.shape[:2]
        array = rast.detach().numpy()
        buffers = np.zeros((batch, kernels.CHUNKS, count, 3), array.dtype)
        out = torch.empty(batch, count, 4, dtype=rast.dtype)
        kernels.fill_backward(ctx.pos, ctx.faces, array, grad.contiguous().numpy(), buffers)
        kernels.gather_clip(buffers, out.numpy())
        return out, None, None


class _Interpolate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, attributes: Tensor, rast: Tensor, faces: np.ndarray) -> Tensor:
        attributes, rast = attributes.contiguous(), rast.contiguous()
        out = torch.empty(*rast.shape[:3], attributes.shape[2], dtype=attributes.dtype)
        kernels.interpolate(attributes.detach().numpy(), rast.detach().numpy(), faces, out.numpy())
        ctx.save_for_backward(attributes, rast)
        ctx.faces = faces
        return out

    @staticmethod
    def backward(ctx, grad: Tensor):
        attributes, rast = ctx.saved_tensors
        to_values, to_rast = ctx.needs_input_grad[:2]
        values, points = attributes.detach().numpy(), rast.detach().numpy()
        batch, (groups, count, channels) = len(points), values.shape
        chunks = kernels.CHUNKS
        buffers = np.zeros((batch, chunks, count, channels) if to_values else (1, 1, 1, 1), values.dtype)
        grad_rast = torch.zeros(rast.shape if to_rast else (1, 1, 1, 1), dtype=rast.dtype)
        kernels.interpolate_backward(
            values, points, ctx.faces, grad.contiguous().numpy(), to_values, to_rast, buffers, grad_rast.numpy()
        )
        grad_attributes = None
        if to_values:
            grad_attributes = torch.empty_like(attributes)
            shared = buffers.reshape(groups, batch // groups * chunks, count, channels)
            kernels.gather(shared, grad_attributes.numpy())
        return grad_attributes, grad_rast if to_rast else None, None


_index_cache: dict[int, tuple[weakref.ref, int, np.ndarray, int]] = {}


def _indices(faces: Tensor, count: int) -> np.ndarray:
    """(F, 3) integers -> contiguous int32 array, checked against `count` vertices; converted once per tensor."""
    key = id(faces)
    known = _index_cache.get(key)
    if known is not None and known[0]() is faces and known[1] == faces._version:
        array, largest = known[2:]
    else:
        shaped = faces.dim() == 2 and faces.shape[1] == 3 and not faces.is_floating_point()
        _check(shaped, f"faces have shape {tuple(faces.shape)} and type {faces.dtype}; expected (F, 3) integers")
        _check_cpu(faces)
        array = np.array(faces.detach().numpy(), np.int32, order="C")
        largest = int(array.max(initial=-1))
        _check(int(array.min(initial=0)) >= 0, "faces hold a negative vertex index")
        reference = weakref.ref(faces, lambda _: _index_cache.pop(key, None))
        _index_cache[key] = (reference, faces._version, array, largest)
    _check(largest < count, f"faces refer to vertex {largest}; there are {count} vertices")
    return array


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)


def _check_cpu(tensor: Tensor) -> None:
    if tensor.device.type != "cpu":
        raise ValueError(f"the cpu renderer was given a tensor on {tensor.device}; move it to the cpu")
