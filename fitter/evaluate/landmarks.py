"""Landmarks of the fitted mesh against points in the photo that someone clicked, or another detector found."""

from __future__ import annotations

import numpy as np
import torch

from ..anatomy.landmarks import (
    FACE_OVAL,
    IBUG68,
    IRISES,
    LANDMARKS,
    LANDMARKS7,
    LEFT_BROW,
    LEFT_EYE,
    LIPS_INNER,
    LIPS_OUTER,
    NOSE,
    OUTER_EYE_CORNERS,
    RIGHT_BROW,
    RIGHT_EYE,
)
from ..scene.scene import Scene

_SETS = {len(numbers): tuple(numbers) for numbers in (range(LANDMARKS), range(IRISES.start), IBUG68, LANDMARKS7)}

_GROUPS = {
    "eyes": {*RIGHT_EYE, *LEFT_EYE}, "brows": {*RIGHT_BROW, *LEFT_BROW}, "nose": set(NOSE) | {1, 4, 5, 195, 197},
    "lips": {*LIPS_OUTER, *LIPS_INNER}, "contour": set(FACE_OVAL),
}  # fmt: skip


def landmark_scores(scene: Scene, truth: np.ndarray) -> dict[str, float | None]:
    """Mean distance of the mesh's landmarks to points in the photo, as a fraction of the outer eye corners' distance.

    Args:
        truth: (478, 2), (468, 2), (68, 2) or (7, 2) photo pixels, further columns unused; NaN leaves a point out.
    Returns:
        `all`, `inner` (without the contour of the face), and each group that has points.
    Raises:
        ValueError: another number of points, or eye corners that are missing.
    """
    if len(truth) not in _SETS:
        raise ValueError(f"{len(truth)} points; accepted: {', '.join(map(str, _SETS))}")
    numbers, truth = _SETS[len(truth)], truth[:, :2]
    with torch.no_grad():
        at = scene.landmarks()[0].double().numpy()
    place = {number: k for k, number in enumerate(numbers)}
    right, left = (truth[place[corner]] for corner in OUTER_EYE_CORNERS)
    scale = float(np.linalg.norm(right - left))
    if not scale > 0:
        raise ValueError("the outer eye corners are missing or coincide; they are the unit of the error")
    error = np.linalg.norm(at[list(numbers)] - truth, axis=1) / scale
    known = np.isfinite(error)
    outline = np.isin(numbers, FACE_OVAL)

    def mean(chosen: np.ndarray) -> float | None:
        chosen = chosen & known
        return float(error[chosen].mean()) if chosen.any() else None

    scores = {"all": mean(known), "inner": mean(~outline)}
    return scores | {name: mean(np.isin(numbers, list(group))) for name, group in _GROUPS.items()}
