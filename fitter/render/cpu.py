"""The CPU backend: nvdiffrast's contract in numba. It is the meaning of "correct" for the other backends.

float32 or float64 (numba compiles each once and caches it). The same input gives the same bits, whatever the number of
threads. Faces with a vertex behind the camera are drawn where they are in front of it. Points with z / w outside
[-1, 1] are not drawn. A face with a NaN or infinite vertex, or without area on the screen, is not drawn.
"""

from __future__ import annotations

import weakref
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..compute.derived import derived
from ..compute.threads import run_chunks
from . import antialias_kernels
from . import raster_kernels as kernels


class CpuRenderer:
    """The contract of facefit.render.Renderer on CPU tensors."""

    name = "cpu"

    def rasterize(self, clip: Tensor, faces: Tensor, size: int) -> Tensor:
        """As the contract. Raises: ValueError for shapes that do not fit, or tensors that are not on the CPU."""
        _check(clip.dim() == 3 and clip.shape[2] == 4, f"clip has shape {tuple(clip.shape)}; expected (B, V, 4)")
        _check(size >= 1, f"size is {size} pixels; expected at least 1")
        _check_cpu(clip)
        return _Rasterize.apply(clip, _indices(faces, clip.shape[1]), size)

    def interpolate(self, attributes: Tensor, rast: Tensor, faces: Tensor) -> Tensor:
        """As the contract. Raises: ValueError for shapes that do not fit, or tensors that are not on the CPU."""
        batch = rast.shape[0]
        _check(
            attributes.dim() == 3 and attributes.shape[0] in (1, batch),
            f"attributes have shape {tuple(attributes.shape)}; expected ({batch}, N, C) or (1, N, C)",
        )
        _check_cpu(attributes)
        return _Interpolate.apply(attributes, rast.to(attributes.dtype), _indices(faces, attributes.shape[1]))

    def antialias(self, color: Tensor, rast: Tensor, clip: Tensor, faces: Tensor) -> Tensor:
        """As the contract; the outline is found even where faces are smaller than pixels (antialias_kernels).

        Raises:
            ValueError: shapes that do not fit, or tensors that are not on the CPU.
        """
        fits = color.dim() == 4 and color.shape[:3] == rast.shape[:3] and len(clip) == len(rast)
        _check(
            fits,
            f"color {tuple(color.shape)}, rast {tuple(rast.shape)} and clip {tuple(clip.shape)} do not fit; "
            "expected (B, S, S, C), (B, S, S, 4) and (B, V, 4)",
        )
        _check_cpu(color)
        indices = _indices(faces, clip.shape[1])
        return _Antialias.apply(color, rast.detach(), clip.to(color.dtype), indices, _edges(indices))


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, clip: Tensor, faces: np.ndarray, size: int) -> Tensor:
        batch = len(clip)
        placed = _place(clip, faces, size)
        rast = torch.zeros(batch, size, size, 4, dtype=clip.dtype)
        run_chunks(
            kernels.fill, batch * kernels.BANDS,
            placed.pos, placed.depth, placed.clip, faces, placed.box, placed.order, placed.counts, rast.numpy(),
        )  # fmt: skip
        ctx.save_for_backward(rast)
        ctx.pos, ctx.faces = placed.pos, faces
        return rast

    @staticmethod
    def backward(ctx, grad: Tensor):
        (rast,) = ctx.saved_tensors
        batch, count = ctx.pos.shape[:2]
        array = rast.detach().numpy()
        buffers = np.zeros((batch, kernels.CHUNKS, count, 3), array.dtype)
        run_chunks(
            kernels.fill_backward, batch * kernels.CHUNKS, ctx.pos, ctx.faces, array, grad.contiguous().numpy(), buffers
        )
        out = torch.zeros(batch, count, 4, dtype=rast.dtype)
        out[..., [0, 1, 3]] = torch.from_numpy(buffers.sum(1))  # z gets none
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
            shared = buffers.reshape(groups, batch // groups * chunks, count, channels)
            grad_attributes = torch.from_numpy(shared.sum(1))
        return grad_attributes, grad_rast if to_rast else None, None


class _Antialias(torch.autograd.Function):
    @staticmethod
    def forward(ctx, color: Tensor, rast: Tensor, clip: Tensor, faces: np.ndarray, edges: _Edges) -> Tensor:
        color, clip = color.contiguous(), clip.contiguous()
        batch, size = rast.shape[:2]
        placed, points = _place(clip, faces, size), rast.contiguous().numpy()
        marks = np.zeros((batch, size, size, 2), bool)
        topology = edges.across, edges.sense
        run_chunks(
            antialias_kernels.mark, batch * antialias_kernels.CHUNKS,
            placed.screen, placed.area, edges.unique, *topology, marks,
        )  # fmt: skip
        marked = np.flatnonzero(marks)
        bounds = np.searchsorted(marked, np.arange(batch + 1) * marks[0].size)
        pairs, share = np.empty((len(marked), 6), np.int32), np.empty(len(marked), placed.clip.dtype)
        found = np.empty(batch, np.int64)
        run_chunks(
            antialias_kernels.find, batch,
            placed.screen, placed.area, faces, *topology, points, marked, bounds, antialias_kernels.WALK, pairs, share,
            found,
        )  # fmt: skip
        out = color.detach().clone()
        flat, blended = (batch, size * size, -1), (pairs, share, bounds, found)
        antialias_kernels.blend(color.detach().numpy().reshape(flat), *blended, out.numpy().reshape(flat))
        ctx.save_for_backward(color, clip)
        ctx.pairs = placed.screen, *blended
        return out

    @staticmethod
    def backward(ctx, grad: Tensor):
        color, clip = (t.detach() for t in ctx.saved_tensors)
        screen, pairs, share, bounds, found = ctx.pairs
        flat = (len(color), color.shape[1] * color.shape[2], -1)
        to_color, to_clip = grad.clone(memory_format=torch.contiguous_format), torch.zeros_like(clip)
        antialias_kernels.blend_backward(
            color.numpy().reshape(flat), clip.numpy(), screen, pairs, share, bounds, found, color.shape[1],
            grad.contiguous().numpy().reshape(flat), to_color.numpy().reshape(flat), to_clip.numpy(),
        )  # fmt: skip
        return to_color, None, to_clip, None, None


def _indices(faces: Tensor, count: int) -> np.ndarray:
    """(F, 3) integers -> contiguous int32 array, checked against `count` vertices; converted once per tensor."""
    array, largest = derived(faces, ("indices", faces._version), _converted)
    _check(largest < count, f"faces refer to vertex {largest}; there are {count} vertices")
    return array


def _converted(faces: Tensor) -> tuple[np.ndarray, int]:
    """The checked array, and the largest index in it."""
    shaped = faces.dim() == 2 and faces.shape[1] == 3 and not faces.is_floating_point()
    _check(shaped, f"faces have shape {tuple(faces.shape)} and type {faces.dtype}; expected (F, 3) integers")
    _check_cpu(faces)
    array = np.array(faces.detach().numpy(), np.int32, order="C")
    _check(int(array.min(initial=0)) >= 0, "faces hold a negative vertex index")
    return array, int(array.max(initial=-1))


class _Edges(NamedTuple):
    """The edges of a mesh, as facefit.render.antialias_kernels wants them."""

    across: np.ndarray
    sense: np.ndarray
    unique: np.ndarray


def _edges(faces: np.ndarray) -> _Edges:
    """Computed once for each array that `_indices` keeps."""
    return derived(faces, "edges", _found_edges)


def _found_edges(faces: np.ndarray) -> _Edges:
    across = antialias_kernels.edge_neighbours(faces)
    senses = antialias_kernels.edge_senses(faces, across)
    return _Edges(across, senses, antialias_kernels.unique_edges(faces, across))


class _Placed(NamedTuple):
    """Vertices and faces on the screen: see the kernels `place` and `bound`."""

    clip: np.ndarray
    pos: np.ndarray
    screen: np.ndarray
    depth: np.ndarray
    area: np.ndarray
    box: np.ndarray
    order: np.ndarray
    counts: np.ndarray


_last_placed: tuple | None = None


def _place(clip: Tensor, faces: np.ndarray, size: int) -> _Placed:
    """Remembers its last answer: `antialias` asks for what `rasterize` has just computed."""
    global _last_placed
    known = _last_placed  # once: another thread may put its own in between
    if known is not None:
        reference, version, others, side, placed = known
        if reference() is clip and version == clip._version and others is faces and side == size:
            return placed
    (batch, count), triangles = clip.shape[:2], len(faces)
    placed = _Placed(
        clip.detach().contiguous().numpy(), np.empty((batch, count, 3)), np.empty((batch, count, 2)),
        np.empty((batch, count)), np.empty((batch, triangles)), np.empty((batch, triangles, 4), np.int32),
        np.empty((batch, triangles), np.int32), np.empty((batch, kernels.CHUNKS, 2), np.int64),
    )  # fmt: skip
    array, pos, screen, depth, *of_faces = placed
    run_chunks(kernels.place, batch * kernels.CHUNKS, array, size, pos, screen, depth)
    run_chunks(kernels.bound, batch * kernels.CHUNKS, pos, screen, faces, size, *of_faces)
    _last_placed = weakref.ref(clip, _forget), clip._version, faces, size, placed
    return placed


def _forget(reference: weakref.ref) -> None:
    global _last_placed
    known = _last_placed
    if known is not None and known[0] is reference:
        _last_placed = None


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)


def _check_cpu(tensor: Tensor) -> None:
    if tensor.device.type != "cpu":
        raise ValueError(f"the cpu renderer was given a tensor on {tensor.device}; move it to the cpu")
