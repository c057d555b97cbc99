"""The GPU backend: nvdiffrast (Laine et al. 2020) behind the Renderer contract.

nvdiffrast puts row 0 at y_ndc = -1; negating y of clip space on the way in puts it on top, and autograd negates the
gradient on the way out. u, v, depth and face index do not change by that.

Two differences to the CPU backend remain. nvdiffrast snaps vertices to a subpixel grid, so a pixel centre that almost
lies on an edge may go to the other face. And its antialias looks for the outline only among the edges of the faces that
pixel centres hit: where faces are as small as pixels it misses most of the silhouette gradient that the CPU finds.
"""

from __future__ import annotations

import weakref

import nvdiffrast.torch as dr
import torch
from torch import Tensor


class NvdiffrastRenderer:
    """The contract of facefit.render.Renderer on CUDA tensors, float32."""

    name = "nvdiffrast"

    def __init__(self, device: torch.device | str = "cuda") -> None:
        self.device = torch.device(device)
        self._context = dr.RasterizeCudaContext(device=self.device)
        self._converted: dict[int, tuple[weakref.ref, int, Tensor]] = {}
        self._topologies: dict[int, tuple[weakref.ref, object]] = {}

    def rasterize(self, clip: Tensor, faces: Tensor, size: int) -> Tensor:
        """As the contract. Raises: ValueError for tensors that are not float32 on this device."""
        self._check(clip)
        rast, _ = dr.rasterize(
            self._context, _flip(clip), self._triangles(faces), resolution=[size, size], grad_db=False
        )
        return rast

    def interpolate(self, attributes: Tensor, rast: Tensor, faces: Tensor) -> Tensor:
        """As the contract. Raises: ValueError for tensors that are not float32 on this device."""
        self._check(attributes)
        values, _ = dr.interpolate(attributes.contiguous(), rast.contiguous(), self._triangles(faces))
        return values

    def antialias(self, color: Tensor, rast: Tensor, clip: Tensor, faces: Tensor) -> Tensor:
        """As the contract, but for outlines of faces as small as pixels. Raises: ValueError for tensors that are not
        float32 on this device."""
        self._check(color)
        triangles = self._triangles(faces)
        return dr.antialias(
            color.contiguous(), rast.contiguous(), _flip(clip), triangles, topology_hash=self._topology(triangles)
        )

    def _triangles(self, faces: Tensor) -> Tensor:
        """int32 on this device, converted once per tensor."""
        key = id(faces)
        known = self._converted.get(key)
        if known is None or known[0]() is not faces or known[1] != faces._version:
            if faces.dim() != 2 or faces.shape[1] != 3 or faces.is_floating_point():
                raise ValueError(
                    f"faces have shape {tuple(faces.shape)} and type {faces.dtype}; expected (F, 3) integers"
                )
            # a copy even where nothing changes, or the entry would keep its own key alive
            triangles = faces.detach().to(self.device, torch.int32, copy=True).contiguous()
            reference = weakref.ref(faces, lambda _: self._forget(key))
            known = self._converted[key] = (reference, faces._version, triangles)
        return known[2]

    def _topology(self, triangles: Tensor) -> object:
        """nvdiffrast's edge table, built once per mesh."""
        key = id(triangles)
        known = self._topologies.get(key)
        if known is None or known[0]() is not triangles:
            known = (weakref.ref(triangles), dr.antialias_construct_topology_hash(triangles))
            self._topologies[key] = known
        return known[1]

    def _forget(self, key: int) -> None:
        gone = self._converted.pop(key, None)
        if gone is not None:
            self._topologies.pop(id(gone[2]), None)

    def _check(self, tensor: Tensor) -> None:
        if tensor.device.type != self.device.type or tensor.dtype != torch.float32:
            raise ValueError(
                f"the nvdiffrast renderer was given {tensor.dtype} on {tensor.device}; expected torch.float32 on "
                f"{self.device}"
            )


def _flip(clip: Tensor) -> Tensor:
    """(B, V, 4) clip space with y negated; OpenGL's row 0 is the lowest, ours the highest."""
    # not a product with a tensor from the host: sending one stops the device
    return torch.cat([clip[..., :1], -clip[..., 1:2], clip[..., 2:]], -1)
