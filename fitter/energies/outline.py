"""The outline: where the face's surface turns away from the camera against where a parser sees the face end."""

from __future__ import annotations

import torch
from torch import Tensor


def outline_energy(
    projected: Tensor,
    observed: Tensor,
    normal: Tensor,
    found: Tensor,
    used: Tensor,
    missed: float,
    threshold: float = 3.0,
) -> Tensor:
    """Mean squared distance across the outline, linear beyond a threshold: along it a point may slide.

    Args:
        projected: (B, M, 2) window pixels, the point of the mesh's silhouette that belongs to each observed point.
        observed: (B, M, 2) window pixels; normal: (B, M, 2) unit, across the outline.
        found: (B, M) in [0, 1], how much an observed point counts for which the mesh has one; 0 elsewhere, whatever
            `projected` is there.
        used: (B, M) in [0, 1], the same of all points that were observed, found or not.
        missed: pixels, > 0: what a used point costs that was not found, as if it lay so far off. Without it a mesh that
            meets less of the outline would cost less, and each new choice would look like a step back.
        threshold: pixels, > 0: where squares end and the pull stays the same (Huber).
    Returns:
        (B,) pixels^2, the sum over the points by M: half of an outline counts half; 0 where none is used.
    Raises:
        ValueError: shapes that do not fit, or a distance that is not positive.
    """
    if projected.shape != observed.shape or normal.shape != observed.shape or observed.shape[-1] != 2:
        raise ValueError(
            f"outlines: projected {tuple(projected.shape)}, observed {tuple(observed.shape)}, normal "
            f"{tuple(normal.shape)}; expected all (B, M, 2)"
        )
    if found.shape != observed.shape[:2] or used.shape != observed.shape[:2]:
        raise ValueError(f"found {tuple(found.shape)}, used {tuple(used.shape)}; expected {tuple(observed.shape[:2])}")
    if not threshold > 0 or not missed > 0:
        raise ValueError(f"threshold is {threshold} pixels, missed {missed}; accepted: > 0")
    # where() and not a product: a point that is left out may be NaN and must not spread
    across = torch.where(found[..., None] > 0, (projected - observed) * normal, 0.0).sum(-1).abs()
    inner, most = across.clamp_max(threshold), min(missed, threshold)
    lost = most * (2 * missed - most) * (used - found)
    return (inner * (2 * across - inner) * found + lost).sum(1) / observed.shape[1]
