"""PRDL's Triton kernels, loaded where a fit runs them: only machines with an NVIDIA GPU have Triton."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from .triton import PrdlTriton


def fused(device: torch.device) -> bool:
    """Whether PRDL runs in Triton there."""
    return device.type == "cuda" and importlib.util.find_spec("triton") is not None


def load_prdl_triton() -> type[PrdlTriton]:
    """Energy and gradient in one pass over the points."""
    from .triton import PrdlTriton

    return PrdlTriton


def load_farthest_of_rows() -> Callable:
    """Farthest point sampling of many groups at once: energies.prdl.farthest_triton.farthest_of_rows."""
    from .farthest_triton import farthest_of_rows

    return farthest_of_rows
