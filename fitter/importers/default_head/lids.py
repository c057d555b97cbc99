"""Lids that meet at a whole blink, whoever's they are.

Mean and expressions add up in a linear model, so one blink closes one opening of the lids; wider eyes stay open,
narrower ones overlap. What is missing depends on the identity along a few directions only (how wide the lids are open,
and where). Correctives hold it: a displacement each, per activation of the blink and standard deviation along one such
direction.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .eyes import EDGE, EYES, PLATE, THICKNESS, Lids, above, both_lids
from .head import Head
from .rings import opposite

DIRECTIONS = 5  # of each eye
RISE = 0.9  # mm that the middle of the lower lid comes up
OVERLAP = 0.08  # mm of the upper lid over the lower one
FOLLOW = (1.0,) * (EDGE + 1) + (0.9, 0.75, 0.55, 0.35, 0.2, 0.08)  # how much of it each ring follows
BLINKS = {"right_eye": "eyeBlinkRight", "left_eye": "eyeBlinkLeft"}


def with_closing_lids(head: Head) -> Head:
    """The blinks of a head whose lids lie on its eyeballs, corrected; other expressions stay."""
    identity, expression = head.identity.copy(), head.expression.copy()
    corrective, directions, index = [], [], []
    for name, centre, lids in zip(EYES, head.eye_centre, both_lids(head), strict=True):
        number = head.names.index(BLINKS[name])
        unit = expression[number]
        _raise_lower(unit, head.mean, lids)
        partner = _partners(head.mean, lids)
        closed = head.mean + unit
        meet = _apart(closed, lids, partner)
        meet += OVERLAP * (_outward(closed, lids, centre) - [0.0, 1.0, 0.0])
        _follow(unit, lids, meet)
        for ring in range(EDGE, PLATE):
            mine = lids.column[ring, lids.upper]
            unit[mine] = above(head.mean[mine] + unit[mine], centre, THICKNESS) - head.mean[mine]
        # the same for every component: a few directions as correctives, the rest of it taken out of the component
        missing = np.stack([_apart(component, lids, partner) for component in identity])
        flat = missing.reshape(len(missing), -1)
        left, size, right = np.linalg.svd(flat, full_matrices=False)
        scores = left[:, :DIRECTIONS] * size[:DIRECTIONS]
        scale = np.linalg.norm(scores, axis=0)
        for k in range(DIRECTIONS):
            shape = np.zeros_like(head.mean)
            _follow(shape, lids, scale[k] * right[k].reshape(missing.shape[1:]))
            corrective.append(shape)
            directions.append(scores[:, k] / scale[k])
            index.append(number)
        rest = (flat - scores @ right[:DIRECTIONS]).reshape(missing.shape)
        for component, change in zip(identity, rest, strict=True):
            _follow(component, lids, change)
    return replace(
        head, identity=identity, expression=expression, corrective=np.stack(corrective),
        corrective_identity=np.stack(directions), corrective_expression=np.array(index),
    )  # fmt: skip


def _raise_lower(unit: np.ndarray, mean: np.ndarray, lids: Lids) -> None:
    """The lower lid comes up in its middle."""
    x = mean[lids.column[EDGE], 0]
    inner, outer = x[list(lids.corners)]
    lift = np.zeros((lids.column.shape[1], 3))
    lift[lids.lower, 1] = RISE * np.sin(np.pi * np.clip((x[lids.lower] - inner) / (outer - inner), 0, 1))
    for ring, share in enumerate(FOLLOW):
        unit[lids.column[ring, lids.lower]] += share * lift[lids.lower]


def _partners(mean: np.ndarray, lids: Lids) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each column of the upper lid the two of the lower one between which it comes to lie, and how far (0 to 1)."""
    chain = np.array([lids.corners[0], *lids.lower, lids.corners[1]])
    return opposite(np.abs(mean[lids.column[EDGE], 0]), lids.upper, chain)


def _apart(verts: np.ndarray, lids: Lids, partner: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """(EDGE + 1, U, 3) mm from the upper lid's margin to the lower one's, of vertices or displacements (C, 3)."""
    first, second, share = partner
    rings = lids.column[: EDGE + 1]
    below = (1 - share) * verts[rings[:, first]] + share * verts[rings[:, second]]
    return below - verts[rings[:, lids.upper]]


def _outward(verts: np.ndarray, lids: Lids, centre: np.ndarray) -> np.ndarray:
    normal = verts[lids.column[: EDGE + 1, lids.upper]] - centre
    return normal / np.linalg.norm(normal, axis=-1, keepdims=True)


def _follow(verts: np.ndarray, lids: Lids, change: np.ndarray) -> None:
    """Add a change (EDGE + 1, U, 3) of the upper lid's margin to (C, 3), in place; the skin above follows the edge."""
    for ring, share in enumerate(FOLLOW):
        verts[lids.column[ring, lids.upper]] += share * change[min(ring, EDGE)]
