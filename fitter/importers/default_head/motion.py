"""What moves with the jaw, and expressions brought over from another head."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ...errors import ModelError
from .head import Head
from .lips import LOWER_EDGE, UPPER_EDGE, find_lips

BLINKS = ("eyeBlinkLeft", "eyeBlinkRight")

STRONGER = {"mouthPucker": 1.35}  # a kiss narrows the mouth by a quarter

# A share of another unit that belongs to a unit as people do it: a broad smile parts the lips and shows upper teeth, a
# jaw that opens does not draw the upper lip down over them, and a tongue needs an open mouth.
WITH = {
    "jawOpen": {"mouthUpperUpLeft": 0.25, "mouthUpperUpRight": 0.25},
    "tongueOut": {"jawOpen": 0.3},
    "mouthSmileLeft": {"mouthUpperUpLeft": 0.35, "mouthLowerDownLeft": 0.25},
    "mouthSmileRight": {"mouthUpperUpRight": 0.35, "mouthLowerDownRight": 0.25},
}


def jaw_motion(points: np.ndarray, moved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rigid motion, rotation (3, 3) and shift (3,) mm, closest to what moves (N, 3) points to (N, 3)."""
    middle, there = points.mean(0), moved.mean(0)
    u, _, vt = np.linalg.svd((points - middle).T @ (moved - there))
    rotation = (u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt).T
    return rotation, there - rotation @ middle


def jaw_share(mean: np.ndarray, opened: np.ndarray, lower_teeth: np.ndarray) -> np.ndarray:
    """(C,) in [0, 1]: how much of the jaw's motion each vertex takes part in.

    Args:
        mean: (C, 3) mm; opened: (C, 3) what `jawOpen` does; lower_teeth: their vertices.
    """
    rotation, shift = jaw_motion(mean[lower_teeth], (mean + opened)[lower_teeth])
    whole = mean @ rotation.T + shift - mean
    return np.clip((opened * whole).sum(1) / np.maximum((whole**2).sum(1), 1e-9), 0, 1)


def with_motion(head: Head, path: Path) -> Head:
    """The skin and the jaw moved as a file of `training.head_motion` says; blinks stay, whose lids are this mesh's own.

    Args:
        path: .npz with `names` (E,), `vertex_ids` (N,) of the base mesh, `skin` (E, N, 3) mm and `jaw` (E, 3, 4), the
            rigid motion of the lower teeth.
    Raises:
        ModelError: another file.
    """
    with np.load(path) as data:
        if not {"names", "vertex_ids", "skin", "jaw"} <= set(data.files):
            raise ModelError(f"{path}: expected names, vertex_ids, skin and jaw of training.head_motion")
        names, ids, skin, jaw = (data[key] for key in ("names", "vertex_ids", "skin", "jaw"))
    place = {int(v): k for k, v in enumerate(head.base.vertex_ids)}
    shell = head.piece("skin", "neck", "mouth")
    lower = head.piece("lower_teeth")
    if set(head.base.vertex_ids[shell].tolist()) != set(ids.tolist()):
        raise ModelError(f"{path}: made for another base mesh")
    rows = np.array([place[int(v)] for v in ids])
    expression = head.expression.copy()
    for name, moved, rigid in zip(names.tolist(), skin.astype(float), jaw.astype(float), strict=True):
        if name in BLINKS:
            continue
        unit = expression[head.names.index(name)]
        whole = head.mean @ rigid[:, :3].T + rigid[:, 3] - head.mean
        unit[rows] = moved
        unit[lower] = whole[lower]
    return replace(head, expression=expression)


def with_ranges(head: Head) -> Head:
    """Units as far as people move: those of WITH with their shares of others, those of STRONGER, and `mouthClose` so
    far that the lips over an open jaw lie as they do at rest."""
    expression = head.expression.copy()
    for name, factor in STRONGER.items():
        expression[head.names.index(name)] *= factor
    for name, shares in WITH.items():
        for other, share in shares.items():
            expression[head.names.index(name)] += share * head.unit(other)
    opened, closing = expression[head.names.index("jawOpen")], expression[head.names.index("mouthClose")]
    lips = find_lips(head)
    upper = lips.column[UPPER_EDGE, lips.upper[len(lips.upper) // 2]]
    lower = lips.column[LOWER_EDGE, lips.lower[len(lips.lower) // 2]]
    closing *= (opened[upper, 1] - opened[lower, 1]) / (closing[lower, 1] - closing[upper, 1])
    return replace(head, expression=expression)
