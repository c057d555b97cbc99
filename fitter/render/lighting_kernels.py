"""The fused CPU passes of facefit.render.lighting: vertex normals and SH shading with their gradients (numba).

Each vertex gathers from its faces through a list made once per mesh, so nothing is scattered and the result does not
depend on the number of threads.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numba import njit
from torch import Tensor

from ..compute.chunks import span
from ..compute.derived import derived
from ..compute.threads import run_chunks
from .harmonics import SH0, SH1, SH2, SH2_XX, SH2_ZZ

CHUNKS = 4


def _incidence(faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Faces of each vertex: those of v are items[start[v] : start[v + 1]]."""
    start = np.zeros(count + 1, np.int32)
    np.cumsum(np.bincount(faces.reshape(-1), minlength=count), out=start[1:])
    items = (np.argsort(faces.reshape(-1), kind="stable") // 3).astype(np.int32)
    return start, items


@njit(cache=True, nogil=True)
def _face_areas(all_verts, faces, all_areas, chunk):
    b, first, last = span(faces.shape[0], CHUNKS, chunk)
    verts, areas = all_verts[b], all_areas[b]
    for f in range(first, last):
        i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, ay, az = verts[j, 0] - verts[i, 0], verts[j, 1] - verts[i, 1], verts[j, 2] - verts[i, 2]
        bx, by, bz = verts[k, 0] - verts[i, 0], verts[k, 1] - verts[i, 1], verts[k, 2] - verts[i, 2]
        areas[f, 0] = ay * bz - az * by
        areas[f, 1] = az * bx - ax * bz
        areas[f, 2] = ax * by - ay * bx


@njit(cache=True, nogil=True)
def _unit_sums(all_areas, start, items, all_normals, all_lengths, chunk):
    b, first, last = span(all_normals.shape[1], CHUNKS, chunk)
    areas, normals, lengths = all_areas[b], all_normals[b], all_lengths[b]
    for v in range(first, last):
        x, y, z = 0.0, 0.0, 0.0
        for at in range(start[v], start[v + 1]):
            f = items[at]
            x += areas[f, 0]
            y += areas[f, 1]
            z += areas[f, 2]
        length = math.sqrt(x * x + y * y + z * z)
        inverse = 1.0 / length if length != 0.0 else 0.0
        normals[v, 0], normals[v, 1], normals[v, 2] = x * inverse, y * inverse, z * inverse
        lengths[v] = length


@njit(cache=True, nogil=True)
def _to_sums(all_grad, all_normals, all_lengths, all_sums, chunk):
    """d unit normal -> d sum of areas: the part across the normal, over the length."""
    b, first, last = span(all_normals.shape[1], CHUNKS, chunk)
    grad, normals, lengths, sums = all_grad[b], all_normals[b], all_lengths[b], all_sums[b]
    for v in range(first, last):
        along = grad[v, 0] * normals[v, 0] + grad[v, 1] * normals[v, 1] + grad[v, 2] * normals[v, 2]
        inverse = 1.0 / lengths[v] if lengths[v] != 0.0 else 0.0
        for c in range(3):
            sums[v, c] = (grad[v, c] - along * normals[v, c]) * inverse


@njit(cache=True, nogil=True)
def _to_faces(faces, all_sums, all_pulls, chunk):
    """d sum of areas -> d area: a face is in the sums of its three vertices."""
    b, first, last = span(faces.shape[0], CHUNKS, chunk)
    sums, pulls = all_sums[b], all_pulls[b]
    for f in range(first, last):
        i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
        for c in range(3):
            pulls[f, c] = sums[i, c] + sums[j, c] + sums[k, c]


@njit(cache=True, nogil=True)
def _to_verts(all_verts, faces, start, items, all_pulls, all_out, chunk):
    b, first, last = span(all_verts.shape[1], CHUNKS, chunk)
    verts, pulls, out = all_verts[b], all_pulls[b], all_out[b]
    for v in range(first, last):
        x, y, z = 0.0, 0.0, 0.0
        for at in range(start[v], start[v + 1]):
            f = items[at]
            i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
            if v == j:
                j, k = k, i
            elif v == k:
                j, k = i, j
            # area = i x j + j x k + k x i, so d area . g = d i . ((j - k) x g)
            gx, gy, gz = pulls[f, 0], pulls[f, 1], pulls[f, 2]
            ex, ey, ez = verts[j, 0] - verts[k, 0], verts[j, 1] - verts[k, 1], verts[j, 2] - verts[k, 2]
            x += ey * gz - ez * gy
            y += ez * gx - ex * gz
            z += ex * gy - ey * gx
        out[v, 0], out[v, 1], out[v, 2] = x, y, z


@njit(cache=True, nogil=True)
def _shade_points(all_albedo, all_normals, all_sh, all_out, chunk):
    b, first, last = span(all_albedo.shape[1], CHUNKS, chunk)
    albedo, normals, sh, out = all_albedo[b], all_normals[b], all_sh[b], all_out[b]
    for n in range(first, last):
        x, y, z = normals[n, 0], normals[n, 1], normals[n, 2]
        h4, h5, h6 = SH2 * x * y, SH2 * y * z, SH2_ZZ * (3.0 * z * z - 1.0)
        h7, h8 = SH2 * x * z, SH2_XX * (x * x - y * y)
        for c in range(3):
            light = SH0 * sh[0, c] + SH1 * (y * sh[1, c] + z * sh[2, c] + x * sh[3, c])
            light += h4 * sh[4, c] + h5 * sh[5, c] + h6 * sh[6, c] + h7 * sh[7, c] + h8 * sh[8, c]
            out[n, c] = albedo[n, c] * light


@njit(cache=True, nogil=True)
def _shade_points_backward(all_albedo, all_normals, all_sh, all_grad, all_to_albedo, all_to_normals, all_to_sh, chunk):
    b, first, last = span(all_albedo.shape[1], CHUNKS, chunk)
    albedo, normals, sh, grad = all_albedo[b], all_normals[b], all_sh[b], all_grad[b]
    to_albedo, to_normals, to_sh = all_to_albedo[b], all_to_normals[b], all_to_sh[b, chunk % CHUNKS]
    h = np.empty(9)
    total = np.zeros((9, 3))
    # bounds that the compiler does not know, or it unrolls 27 times
    bands, channels = sh.shape
    for n in range(first, last):
        x, y, z = normals[n, 0], normals[n, 1], normals[n, 2]
        h[0], h[1], h[2], h[3] = SH0, SH1 * y, SH1 * z, SH1 * x
        h[4], h[5], h[6] = SH2 * x * y, SH2 * y * z, SH2_ZZ * (3.0 * z * z - 1.0)
        h[7], h[8] = SH2 * x * z, SH2_XX * (x * x - y * y)
        gx, gy, gz = 0.0, 0.0, 0.0
        for c in range(channels):
            light = 0.0
            g = grad[n, c] * albedo[n, c]
            for k in range(bands):
                light += h[k] * sh[k, c]
                total[k, c] += h[k] * g
            to_albedo[n, c] = grad[n, c] * light
            gx += g * (SH1 * sh[3, c] + SH2 * (y * sh[4, c] + z * sh[7, c]) + 2.0 * SH2_XX * x * sh[8, c])
            gy += g * (SH1 * sh[1, c] + SH2 * (x * sh[4, c] + z * sh[5, c]) - 2.0 * SH2_XX * y * sh[8, c])
            gz += g * (SH1 * sh[2, c] + SH2 * (y * sh[5, c] + x * sh[7, c]) + 6.0 * SH2_ZZ * z * sh[6, c])
        to_normals[n, 0], to_normals[n, 1], to_normals[n, 2] = gx, gy, gz
    for k in range(bands):
        for c in range(channels):
            to_sh[k, c] = total[k, c]


def _mesh(faces: Tensor, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """int32 faces and the faces of each of `count` vertices; computed once per tensor."""
    return derived(faces, ("incidence", faces._version, count), lambda own: _incident(own, count))


def _incident(faces: Tensor, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    array = np.array(faces.detach().numpy(), np.int32, order="C")
    if array.size and (array.min() < 0 or array.max() >= count):
        raise ValueError(f"faces refer to vertices {array.min()} to {array.max()}; there are {count} vertices")
    return array, *_incidence(array, count)


class VertexNormals(torch.autograd.Function):
    """(B, V, 3), (F, 3) -> (B, V, 3); see facefit.render.lighting.vertex_normals."""

    @staticmethod
    def forward(ctx, verts: Tensor, faces: Tensor) -> Tensor:
        """(B, V, 3) vertices and (F, 3) faces -> (B, V, 3) unit normals, 0 for a vertex without faces or area."""
        verts = verts.contiguous()
        batch, count = verts.shape[:2]
        mesh = _mesh(faces, count)
        array = verts.detach().numpy()
        normals = torch.empty_like(verts)
        lengths = np.empty((batch, count), array.dtype)
        areas = np.empty((batch, len(mesh[0]), 3), array.dtype)
        triangles, start, items = mesh
        run_chunks(_face_areas, batch * CHUNKS, array, triangles, areas)
        run_chunks(_unit_sums, batch * CHUNKS, areas, start, items, normals.numpy(), lengths)
        ctx.save_for_backward(verts, normals)
        ctx.mesh, ctx.lengths = mesh, lengths
        return normals

    @staticmethod
    def backward(ctx, grad: Tensor):
        """(B, V, 3) gradient of the normals -> (B, V, 3) that of the vertices."""
        verts, normals = ctx.saved_tensors
        out = torch.empty_like(verts)
        array = verts.detach().numpy()
        chunks, sums = len(array) * CHUNKS, np.empty_like(array)
        run_chunks(_to_sums, chunks, grad.contiguous().numpy(), normals.detach().numpy(), ctx.lengths, sums)
        pulls = np.empty((len(array), len(ctx.mesh[0]), 3), array.dtype)
        run_chunks(_to_faces, chunks, ctx.mesh[0], sums, pulls)
        run_chunks(_to_verts, chunks, array, *ctx.mesh, pulls, out.numpy())
        return out, None


class Shade(torch.autograd.Function):
    """(B, N, 3), (B, N, 3), (B, 9, 3) -> (B, N, 3); see facefit.render.lighting.shade."""

    @staticmethod
    def forward(ctx, albedo: Tensor, normals: Tensor, sh: Tensor) -> Tensor:
        """(B, N, 3) albedo, (B, N, 3) unit normals and (B, 9, 3) light -> (B, N, 3) colours, not clamped."""
        albedo, normals, sh = albedo.contiguous(), normals.contiguous(), sh.contiguous()
        out = torch.empty_like(albedo)
        arrays = (albedo.detach().numpy(), normals.detach().numpy(), sh.detach().numpy())
        run_chunks(_shade_points, len(albedo) * CHUNKS, *arrays, out.numpy())
        ctx.save_for_backward(albedo, normals, sh)
        return out

    @staticmethod
    def backward(ctx, grad: Tensor):
        """(B, N, 3) gradient of the colours -> those of albedo, normals and light, in their shapes."""
        albedo, normals, sh = (t.detach() for t in ctx.saved_tensors)
        to_albedo, to_normals = torch.empty_like(albedo), torch.empty_like(normals)
        to_sh = torch.empty(len(sh), CHUNKS, 9, 3, dtype=sh.dtype)
        run_chunks(
            _shade_points_backward, len(albedo) * CHUNKS,
            albedo.numpy(), normals.numpy(), sh.numpy(), grad.contiguous().numpy(),
            to_albedo.numpy(), to_normals.numpy(), to_sh.numpy(),
        )  # fmt: skip
        return to_albedo, to_normals, to_sh.sum(1)
