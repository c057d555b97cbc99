"""The Renderer contract (rasterize, interpolate, antialias: the three primitives of nvdiffrast) and its backends.

The meaning is nvdiffrast's (Laine et al. 2020, Modular Primitives for High-Performance Differentiable Rendering), with
one difference: row 0 of an image is its **top**. Clip space is OpenGL's, so y_ndc = +1 is row 0; pixel (row, column)
has its centre at ((column + 0.5) * 2 / size - 1, 1 - (row + 0.5) * 2 / size) in ndc.

`rast` is (B, S, S, 4): u, v, z / w, face index + 1, all zero where no face is seen. u is the perspective-correct
barycentric weight of a face's vertex 0, v that of vertex 1, 1 - u - v that of vertex 2. Both sides of a face are drawn.

Backends are imported when asked for: neither numba nor nvdiffrast is loaded by `import facefit.render`.
"""

from __future__ import annotations

import importlib.util
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from ..errors import FaceFitError
from ..vocabulary import RENDERERS

NVDIFFRAST_INSTALL = "pip install setuptools wheel ninja && pip install --no-build-isolation git+https://github.com/NVlabs/nvdiffrast.git"


@runtime_checkable
class Renderer(Protocol):
    """Three differentiable primitives. All tensors float32 on one device, batch first; faces are integers."""

    name: str

    def rasterize(self, clip: Tensor, faces: Tensor, size: int) -> Tensor:
        """Which face each pixel sees, and where on it.

        Args:
            clip: (B, V, 4) clip space.
            faces: (F, 3) vertex indices.
            size: side S of the square image in pixels.
        Returns:
            (B, S, S, 4) rast. Gradients flow from u and v to x, y and w of `clip`; not from z / w.
        """
        ...

    def interpolate(self, attributes: Tensor, rast: Tensor, faces: Tensor) -> Tensor:
        """Per-vertex values at the seen points.

        Args:
            attributes: (B, N, C), or (1, N, C) shared by the batch.
            rast: (B, S, S, 4).
            faces: (F, 3) indices into `attributes`; the rasterized faces, or others of the same order (`uv_faces`).
        Returns:
            (B, S, S, C), 0 where no face is seen. Gradients flow to `attributes` and to u, v of `rast`.
        """
        ...

    def antialias(self, color: Tensor, rast: Tensor, clip: Tensor, faces: Tensor) -> Tensor:
        """Blend neighbouring pixels across silhouette edges, which gives the silhouette its gradient.

        Args:
            color: (B, S, S, C) the shaded image.
            rast, clip, faces: what was rasterized: (B, S, S, 4), (B, V, 4), (F, 3).
        Returns:
            (B, S, S, C). Gradients flow to `color` and to x, y and w of the silhouette edges' vertices.
        """
        ...


def load_renderer(name: str = "auto", device: torch.device | str = "cpu") -> Renderer:
    """The backend of that name, on that device. `auto` is nvdiffrast where the device is CUDA and it is installed.

    Raises:
        ValueError: an unknown name.
        FaceFitError: the backend asked for cannot run here; the message has the command that installs it.
    """
    device = torch.device(device)
    if name not in RENDERERS:
        raise ValueError(f"renderer is {name!r}; accepted: {', '.join(RENDERERS)}")
    if name == "auto":
        usable = device.type == "cuda" and torch.cuda.is_available() and _installed("nvdiffrast")
        name = "nvdiffrast" if usable else "cpu"
    if name == "nvdiffrast":
        if device.type != "cuda" or not torch.cuda.is_available():
            raise FaceFitError(
                f"renderer nvdiffrast needs an NVIDIA GPU; the device is {device} and CUDA is "
                f"{'available' if torch.cuda.is_available() else 'not available'}. Use --renderer cpu, or --device cuda"
            )
        if not _installed("nvdiffrast"):
            raise FaceFitError(f"renderer nvdiffrast is not installed; install it with: {NVDIFFRAST_INSTALL}")
        from .nvdiffrast import NvdiffrastRenderer

        return NvdiffrastRenderer(device)
    from .cpu import CpuRenderer

    return CpuRenderer()


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
