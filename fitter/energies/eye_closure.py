"""Eye and lip closure: how far two landmarks lie apart says more than where each of them lies."""

from __future__ import annotations

import torch
from torch import Tensor


def relative_offset_energy(
    projected: Tensor,
    observed: Tensor,
    pairs: tuple[tuple[int, int], ...] | Tensor,
    scale: Tensor,
    confidence: Tensor | None = None,
) -> Tensor:
    """Mean squared error of the offsets between paired landmarks, such as upper and lower lid.

    A common error of both landmarks (pose, identity, the detector's bias) cancels in their difference, so a blink or a
    closed mouth is seen even where the landmarks themselves are a few pixels off.

    Args:
        projected, observed: (B, L, 2) window pixels.
        pairs: K index pairs into the L landmarks, e.g. LID_PAIRS or INNER_LIP_PAIRS.
        scale: (B,) pixels > 0 that make the energy independent of the window, e.g. the distance of the outer eye
            corners.
        confidence: (B, L) in [0, 1]; a pair counts with the product of its two. None: all count.
    Returns:
        (B,) without unit: squared parts of `scale`.
    Raises:
        ValueError: shapes that do not fit.
    Source: Feng et al. 2021 (DECA), eye closure loss.
    """
    if projected.shape != observed.shape or projected.ndim != 3 or projected.shape[-1] != 2:
        raise ValueError(
            f"landmarks: projected {tuple(projected.shape)}, observed {tuple(observed.shape)}; expected both (B, L, 2)"
        )
    if scale.shape != projected.shape[:1]:
        raise ValueError(f"scale has shape {tuple(scale.shape)}; expected ({projected.shape[0]},)")
    first, second = _columns(pairs, projected.device)
    error = (projected[:, first] - projected[:, second]) - (observed[:, first] - observed[:, second])
    if confidence is None:
        weight = error.new_ones(error.shape[:2])
    else:
        if confidence.shape != projected.shape[:2]:
            raise ValueError(f"confidence has shape {tuple(confidence.shape)}; expected {tuple(projected.shape[:2])}")
        weight = confidence[:, first] * confidence[:, second]
    # where() and not only the product: a point that is left out may be NaN
    error = torch.where((weight > 0)[..., None], error, 0.0)
    total = weight.sum(1)
    mean = ((error * error).sum(-1) * weight).sum(1) / torch.where(total > 0, total, 1.0)
    return mean / (scale * scale)


_known: dict[tuple, tuple[Tensor, Tensor]] = {}


def _columns(pairs: tuple[tuple[int, int], ...] | Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """First and second of each pair on the device; sent there once, for every sending stops it."""
    if isinstance(pairs, Tensor):
        first, second = pairs.to(device).unbind(1)
        return first, second
    key = pairs, device
    if key not in _known:
        first, second = (torch.tensor(column, device=device) for column in zip(*pairs, strict=True))
        _known[key] = first, second
    return _known[key]
