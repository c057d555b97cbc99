"""Closing lids: where a mask shows less of an eye than the detector's outline, the lids' landmarks come closer.

A landmark detector sees lids that are nearly closed about twice as far open as they are, and PRDL cannot correct it
when little or nothing of the eye is left in the masks: a part without pixels has no weight. How much of the outline the
mask fills says it directly.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..anatomy.landmarks import (
    LEFT_EYE,
    LEFT_INNER_CORNER,
    LEFT_LID_PAIRS,
    LEFT_OUTER_CORNER,
    RIGHT_EYE,
    RIGHT_INNER_CORNER,
    RIGHT_LID_PAIRS,
    RIGHT_OUTER_CORNER,
)
from ..anatomy.parts import MASKS
from ..geometry.polygon import polygon_area
from .observation import Observation

# Mean distance of the lids by the distance of the eye's corners. Wider open than OPEN, the detector is right about the
# lids and a mask that is smaller is a mask that is wrong; from NARROW on the mask alone decides; between, both.
OPEN, NARROW = 0.30, 0.20

# Share of the eye's landmarks on hair, glasses or other things beyond which its mask says nothing.
COVERED = 0.25

_EYES = (
    ("right_eye", RIGHT_EYE, RIGHT_LID_PAIRS, (RIGHT_OUTER_CORNER, RIGHT_INNER_CORNER)),
    ("left_eye", LEFT_EYE, LEFT_LID_PAIRS, (LEFT_OUTER_CORNER, LEFT_INNER_CORNER)),
)


def lids_by_masks(observation: Observation) -> Observation:
    """The observation with the upper lids' landmarks moved towards the lower ones by what the eyes' masks say.

    Eyes that are wide open, covered, or as large in the mask as in the outline stay as they are.
    """
    points = observation.landmarks.clone()
    hidden = observation.part_masks[:, MASKS.index("hair") :].amax(1)
    for name, loop, pairs, corners in _EYES:
        upper, lower = (torch.tensor(side, device=points.device) for side in zip(*pairs, strict=True))
        outline = observation.landmarks[:, list(loop)]
        width = (points[:, corners[0]] - points[:, corners[1]]).norm(dim=-1).clamp_min(1e-6)
        opening = (points[:, upper] - points[:, lower]).norm(dim=-1).mean(1) / width
        mask = observation.part_masks[:, MASKS.index(name)].flatten(1).sum(1)
        filled = (mask / polygon_area(outline).clamp_min(1.0)).clamp(0, 1)
        trust = ((OPEN - opening) / (OPEN - NARROW)).clamp(0, 1)
        trust = torch.where(_at(hidden, outline).mean(1) > COVERED, 0.0, trust)
        share = (1 - trust * (1 - filled))[:, None, None]
        points[:, upper] = torch.lerp(points[:, lower], points[:, upper], share)
    return replace(observation, landmarks=points)


def _at(picture: Tensor, points: Tensor) -> Tensor:
    """(B, S, S), (B, N, 2) pixels -> (B, N) the pixels that the points lie in; 1 outside."""
    size = picture.shape[-1]
    column, row = points.floor().long().unbind(-1)
    inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    value = picture.flatten(1).gather(1, row.clamp(0, size - 1) * size + column.clamp(0, size - 1))
    return torch.where(inside, value, 1.0)
