"""Distance of landmarks as a share of the eye distance."""

from __future__ import annotations

import torch
from torch import Tensor

from ..anatomy.landmarks import OUTER_EYE_CORNERS


def landmark_error(projected: Tensor, observed: Tensor, confidence: Tensor | None = None) -> Tensor:
    """Mean distance of projected and detected landmarks by the distance of the observed outer eye corners.

    Args:
        projected, observed: (B, 478, 2) pixels of the same picture, MediaPipe's order.
        confidence: (B, 478); points with 0 are left out. Default: all count.
    Returns:
        (B,) fraction of the inter-ocular distance (0.02 is 2 %).
    Raises:
        ValueError: the landmark sets differ in shape.
    """
    if projected.shape != observed.shape or projected.ndim != 3:
        raise ValueError(f"projected is {tuple(projected.shape)}, observed {tuple(observed.shape)}; expected (B, L, 2)")
    right, left = (observed[:, index] for index in OUTER_EYE_CORNERS)
    distance = (projected - observed).norm(dim=-1)
    used = torch.ones_like(distance) if confidence is None else (confidence > 0).to(distance)
    mean = (distance * used).sum(1) / used.sum(1).clamp_min(1)
    return mean / (right - left).norm(dim=-1).clamp_min(1e-9)
