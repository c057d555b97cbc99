"""Intersection over union of face parts."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ..anatomy.parts import LABEL, MASKS, MERGED, PARTS


def part_iou(
    predicted: np.ndarray | Tensor,
    target: np.ndarray | Tensor,
    *,
    valid: np.ndarray | None = None,
    target_only: bool = False,
) -> dict[str, float | None]:
    """Intersection over union of each part (Wang et al. 2024, sec. 5.2), and of parts that some data sets merge.

    Args:
        predicted, target: label pictures (H, W) as in facefit.anatomy.parts.LABELS, or masks (10, H, W) (channels as in
            MASKS; above 0.5 is inside). Masks do not hold the inside of the mouth, so that `mouth` is the lips there.
        valid: (H, W) bool; pixels that count. Default: all.
        target_only: leave out a part that the target does not have, instead of scoring it 0.
    Returns:
        one number per name in PARTS and MERGED; None where there is nothing to compare.
    Raises:
        ValueError: the pictures differ in size, or are neither labels nor masks.
    """
    first, second = _parts(predicted, "predicted"), _parts(target, "target")
    shape = first["nose"].shape
    if second["nose"].shape != shape:
        raise ValueError(f"predicted is {shape} pixels, target {second['nose'].shape}; they must be of one size")
    if valid is not None and np.shape(valid) != shape:
        raise ValueError(f"valid is {np.shape(valid)} pixels; expected {shape}")
    scores: dict[str, float | None] = {}
    for name in (*PARTS, *MERGED):
        a, b = (_union(parts, MERGED.get(name, (name,))) for parts in (first, second))
        if valid is not None:
            a, b = a & valid, b & valid
        union = int((a | b).sum())
        absent = union == 0 or (target_only and not b.any())
        scores[name] = None if absent else float((a & b).sum() / union)
    return scores


def mean_iou(scores: dict[str, float | None], names: tuple[str, ...] = PARTS) -> float | None:
    """The mean over those of `names` that have a score; None where none has."""
    found = [score for score in map(scores.get, names) if score is not None]
    return float(np.mean(found)) if found else None


def _parts(picture: np.ndarray | Tensor, what: str) -> dict[str, np.ndarray]:
    value = picture.detach().cpu().numpy() if isinstance(picture, Tensor) else np.asarray(picture)
    if value.ndim == 2:
        return {name: value == LABEL[name] for name in (*PARTS, "mouth_inside")}
    if value.ndim == 3 and value.shape[0] in (len(PARTS), len(MASKS)):
        return {name: value[channel] > 0.5 for channel, name in enumerate(PARTS)}
    raise ValueError(f"{what} has shape {value.shape}; expected labels (H, W) or masks ({len(MASKS)}, H, W)")


def _union(parts: dict[str, np.ndarray], names: tuple[str, ...]) -> np.ndarray:
    out = np.zeros(parts["nose"].shape, bool)
    for name in names:
        if name in parts:
            out |= parts[name]
    return out
