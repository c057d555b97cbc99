"""Lips that touch at rest, whoever's they are, and where their edges are."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...geometry.unwrap import boundary_loops
from .head import Head
from .rings import grow_rings, neighbours, opposite, two_sides

SEAM = 0  # ring where the skin of the lips ends in the mouth
UPPER_EDGE, LOWER_EDGE = 2, 1  # rings that touch at rest, as far as that is seen from in front
INNER = 4  # rings of them that lie on the teeth
OVERLAP = 0.9  # mm of the lips behind their edges, so that nothing is seen between them on any face at rest


@dataclass(frozen=True)
class Lips:
    """The lips as rings of control vertices around the mouth.

    Attributes:
        column: (INNER, N) rings outwards.
        upper, lower: their columns from the right corner of the mouth to the left one, without the corners.
        corners: the columns of the right and the left corner.
    """

    column: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    corners: tuple[int, int]

    def chain(self, side: np.ndarray) -> np.ndarray:
        """The columns of one side with both corners."""
        return np.array([self.corners[0], *side, self.corners[1]])


def find_lips(head: Head) -> Lips:
    """See Lips."""
    quads, group, verts = head.base.quads, head.base.group, head.base.verts
    mouth = quads[group == "mouth"]
    skin = set(head.piece("skin").tolist())
    loops = boundary_loops(np.concatenate([mouth[:, [0, 1, 2]], mouth[:, [0, 2, 3]]]))
    loop = next(loop for loop in loops if set(loop.tolist()) <= skin)
    around = {v: ways & skin for v, ways in neighbours(quads[np.isin(group, ("skin", "mouth"))]).items()}
    column = grow_rings(loop, around, verts, INNER)
    edge = verts[column[LOWER_EDGE]]
    corners = int(edge[:, 0].argmin()), int(edge[:, 0].argmax())
    return Lips(column, *two_sides(edge, *corners), corners)


def with_closed_lips(head: Head) -> Head:
    """Behind their edges the lips overlap a little, in the mean; components that would part them there do not."""
    mean, identity = head.mean.copy(), head.identity.copy()
    lips = find_lips(head)
    seam = lips.column[SEAM]
    first, second, share = opposite(mean[seam, 0], lips.lower, lips.chain(lips.upper))
    lower = seam[lips.lower]
    above = (1 - share) * mean[seam[first]] + share * mean[seam[second]]
    reach = np.abs(mean[seam[list(lips.corners)], 0]).mean()
    taper = np.clip(2.5 * (1 - np.abs(mean[lower, 0]) / reach), 0, 1)  # in the corners they touch anyhow
    mean[lower, 1] += taper * np.maximum(above[:, 1] + OVERLAP - mean[lower, 1], 0)
    moved = (1 - share) * identity[:, seam[first]] + share * identity[:, seam[second]]
    identity[:, lower, 1] += taper * (moved[:, :, 1] - identity[:, lower, 1])
    return replace(head, mean=mean, identity=identity)
