"""The outline: where the face's surface turns away from the camera against where a parser sees the face end."""

from __future__ import annotations

import torch
from torch import Tensor


def outline_energy(
    projected: Tensor, observed: Tensor, normal: Tensor, confidence: Tensor, slots: int, threshold: float = 3.0
) -> Tensor:
    """Mean squared distance across the outline, linear beyond a threshold: along it a point may slide.

    Args:
        projected: (B, M, 2) window pixels, the point of the mesh's silhouette that belongs to each observed point.
        observed: (B, M, 2) window pixels; normal: (B, M, 2) unit, across the outline.
        confidence: (B, M) in [0, 1]; 0 leaves a point out, whatever its position.
        slots: number of points of a face whose whole outline is seen; one of which half is seen counts half.
        threshold: pixels, > 0: where squares end and the pull stays the same (Huber).
    Returns:
        (B,) pixels^2; 0 where every confidence is 0.
    Raises:
        ValueError: shapes that do not fit, or a threshold or number of slots that is not positive.
    """
    if projected.shape != observed.shape or normal.shape != observed.shape or observed.shape[-1] != 2:
        raise ValueError(
            f"outlines: projected {tuple(projected.shape)}, observed {tuple(observed.shape)}, normal "
            f"{tuple(normal.shape)}; expected all (B, M, 2)"
        )
    if confidence.shape != observed.shape[:2]:
        raise ValueError(f"confidence has shape {tuple(confidence.shape)}; expected {tuple(observed.shape[:2])}")
    if not threshold > 0 or slots < 1:
        raise ValueError(f"threshold is {threshold} pixels, slots {slots}; accepted: > 0, 1 or more")
    # where() and not a product with the confidence: a point that is left out may be NaN and must not spread
    across = torch.where(confidence[..., None] > 0, (projected - observed) * normal, 0.0).sum(-1).abs()
    inner = across.clamp_max(threshold)
    return (inner * (2 * across - inner) * confidence).sum(1) / slots
