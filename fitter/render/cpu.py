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

from fitter.parallel import run_chunks
from fitter.render import antialias_kernels
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

    def antialias(self, color: Tensor, rast: Tensor, clip: Tensor, faces: Tensor) -> Tensor:
        """As the contract; the outline is found even where faces are smaller than pixels (antialias_kernels)."""
        fits = color.dim() == 4 and color.shape[:3] == rast.shape[:3] and len(clip) == len(rast)
        _check(
            fits,
            f"color {tuple(color.shape)}, rast {tuple(rast.shape)} and clip {tuple(clip.shape)} do not fit; "
            "expected (B, S, S, C), (B, S, S, 4) and (B, V, 4)",
        )
        _check_cpu(color)
        indices = _indices(faces, clip.shape[1])
        return _Antialias.apply(color, rast.detach(), clip.to(color.dtype), indices, _neighbours(indices))


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, clip: Tensor, faces: np.ndarray, size: int) -> Tensor:
        batch, count = clip.shape[:2]
        array = clip.detach().contiguous().numpy()
        pos = np.empty((batch, count, 3))
        screen = np.empty((batch, count, 2))
        box = np.empty((batch, len(faces), 4), np.int32)
        rast = torch.zeros(batch, size, size, 4, dtype=clip.dtype)
        run_chunks(kernels.place, batch * kernels.CHUNKS, array, size, pos, screen)
        run_chunks(kernels.bound, batch * kernels.CHUNKS, pos, screen, faces, size, box)
        run_chunks(kernels.fill, batch * kernels.BANDS, pos, array, faces, box, rast.numpy())
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
        run_chunks(
            kernels.fill_backward, batch * kernels.CHUNKS, ctx.pos, ctx.faces, array, grad.contiguous().numpy(), buffers
        )
        run_chunks(kernels.gather_clip, batch * kernels.CHUNKS, buffers, out.numpy())
        return out, None, None


class _Interpolate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, attributes: Tensor, rast: Tensor, faces: np.ndarray) -> Tensor:
        attributes, rast = attributes.contiguous(), rast.contiguous()
        out = torch.empty(*rast.shape[:3], attributes.shape[2], dtype=attributes.dtype)
        bands = len(rast) * kernels.BANDS
        run_chunks(kernels.interpolate, bands, attributes.detach().numpy(), rast.detach().numpy(), faces, out.numpy())
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
        run_chunks(
            kernels.interpolate_backward, batch * chunks,
            values, points, ctx.faces, grad.contiguous().numpy(), to_values, to_rast, buffers, grad_rast.numpy(),
        )  # fmt: skip
        grad_attributes = None
        if to_values:
            grad_attributes = torch.empty_like(attributes)
            shared = buffers.reshape(groups, batch // groups * chunks, count, channels)
            run_chunks(kernels.gather, groups * chunks, shared, grad_attributes.numpy())
        return grad_attributes, grad_rast if to_rast else None, None


class _Antialias(torch.autograd.Function):
    @staticmethod
    def forward(ctx, color: Tensor, rast: Tensor, clip: Tensor, faces: np.ndarray, across: np.ndarray) -> Tensor:
        color, clip = color.contiguous(), clip.contiguous()
        batch, size = rast.shape[:2]
        array, points = clip.detach().numpy(), rast.contiguous().numpy()
        pos = np.empty((batch, clip.shape[1], 3))
        screen = np.empty((batch, clip.shape[1], 2))
        marks = np.zeros((batch, size, size, 2), np.uint8)
        run_chunks(kernels.place, batch * kernels.CHUNKS, array, size, pos, screen)
        run_chunks(antialias_kernels.mark, batch * antialias_kernels.CHUNKS, screen, pos, faces, across, marks)
        most = max(int(marks.sum((1, 2, 3), dtype=np.int64).max()), 1)
        pairs, share = np.empty((batch, most, 6), np.int32), np.empty((batch, most), array.dtype)
        found = np.empty(batch, np.int64)
        run_chunks(
            antialias_kernels.find, batch,
            screen, pos, faces, across, points, marks, antialias_kernels.WALK, pairs, share, found,
        )  # fmt: skip
        out = color.detach().clone()
        flat = (batch, size * size, -1)
        antialias_kernels.blend(color.detach().numpy().reshape(flat), pairs, share, found, out.numpy().reshape(flat))
        ctx.save_for_backward(color, clip)
        ctx.pairs = screen, pairs, share, found
        return out

    @staticmethod
    def backward(ctx, grad: Tensor):
        color, clip = (t.detach() for t in ctx.saved_tensors)
        flat = (len(color), color.shape[1] * color.shape[2], -1)
        to_color, to_clip = grad.clone(memory_format=torch.contiguous_format), torch.zeros_like(clip)
        antialias_kernels.blend_backward(
            color.numpy().reshape(flat), clip.numpy(), *ctx.pairs, color.shape[1],
            grad.contiguous().numpy().reshape(flat), to_color.numpy().reshape(flat), to_clip.numpy(),
        )  # fmt: skip
        return to_color, None, to_clip, None, None


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


_neighbour_cache: dict[int, tuple[np.ndarray, np.ndarray]] = {}


def _neighbours(faces: np.ndarray) -> np.ndarray:
    """The mesh's edge topology, computed once for each array that `_indices` keeps."""
    known = _neighbour_cache.get(id(faces))
    if known is None or known[0] is not faces:
        if len(_neighbour_cache) > 16:
            _neighbour_cache.clear()
        known = _neighbour_cache[id(faces)] = (faces, antialias_kernels.edge_neighbours(faces))
    return known[1]


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)


def _check_cpu(tensor: Tensor) -> None:
    if tensor.device.type != "cpu":
        raise ValueError(f"the cpu renderer was given a tensor on {tensor.device}; move it to the cpu")
