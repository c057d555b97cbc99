"""Landmarks of lids and inner lips on the edges of the mesh that they are the landmarks of.

Found by looking, they lie a millimetre or two beside the edge, above on the upper lid and below on the lower one, and a
closed eye would have a gap between them. How far beside the detector sees them is the calibration's to say.
"""

from __future__ import annotations

import numpy as np

from ...anatomy.landmarks import INNER_LIP_PAIRS, LEFT_LID_PAIRS, RIGHT_LID_PAIRS
from .eyes import EDGE, Lids
from .geometry import Geometry
from .lips import LOWER_EDGE, UPPER_EDGE, Lips

LID_PAIRS = (RIGHT_LID_PAIRS, LEFT_LID_PAIRS)


class EdgePath:
    """A line of edges of the fine mesh along a ring of control vertices (N,), which follow each other."""

    def __init__(self, geometry: Geometry, faces_of: dict[tuple[int, int], int], ring: np.ndarray) -> None:
        points = [int(geometry.vertex_point[v]) for v in ring]
        nodes = points[:1]
        for b, pair in zip(points[1:], np.stack([ring[:-1], ring[1:]], 1), strict=True):
            # the middle of the edge between two control vertices is what both weigh most in
            shares = geometry.matrix[:, pair].min(1).toarray().ravel()
            nodes += [int(shares.argmax()), b]
        self.nodes, self.faces, self._faces_of = np.array(nodes), geometry.faces, faces_of

    def at_x(self, verts: np.ndarray, x: float) -> tuple[int, float]:
        """Segment and how far along it (0 to 1) the path of the vertices (V, 3) comes to x mm."""
        along = verts[self.nodes, 0]
        sign = 1 if along[-1] > along[0] else -1
        at = float(np.interp(sign * x, np.maximum.accumulate(sign * along), np.arange(len(along))))
        first = min(int(at), len(along) - 2)
        return first, at - first

    def nearest(self, verts: np.ndarray, point: np.ndarray) -> tuple[int, float]:
        """The same, of the place nearest to a point (3,)."""
        a, b = verts[self.nodes[:-1]], verts[self.nodes[1:]]
        share = np.clip(((point - a) * (b - a)).sum(1) / np.maximum(((b - a) ** 2).sum(1), 1e-12), 0, 1)
        best = int(np.linalg.norm(a + share[:, None] * (b - a) - point, axis=1).argmin())
        return best, float(share[best])

    def position(self, verts: np.ndarray, place: tuple[int, float]) -> np.ndarray:
        """(3,) mm."""
        first, share = place
        return (1 - share) * verts[self.nodes[first]] + share * verts[self.nodes[first + 1]]

    def landmark(self, place: tuple[int, float]) -> tuple[int, np.ndarray]:
        """A triangle that has the segment, and barycentric weights (3,)."""
        first, share = place
        a, b = int(self.nodes[first]), int(self.nodes[first + 1])
        face = self._faces_of[min(a, b), max(a, b)]
        bary = np.zeros(3)
        bary[list(self.faces[face]).index(a)], bary[list(self.faces[face]).index(b)] = 1 - share, share
        return face, bary


def face_of_edges(faces: np.ndarray) -> dict[tuple[int, int], int]:
    """(a, b), a < b -> the number of a triangle with that edge."""
    out: dict[tuple[int, int], int] = {}
    for number, (a, b, c) in enumerate(faces.tolist()):
        for i, j in ((a, b), (b, c), (c, a)):
            out[min(i, j), max(i, j)] = number
    return out


def on_edges(
    face: np.ndarray, bary: np.ndarray, geometry: Geometry, verts: np.ndarray, closed: np.ndarray,
    lids: tuple[Lids, Lids], lips: Lips,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Landmarks (478,), (478, 3) with those of lids and inner lips moved onto the edges, sideways where they were.

    Args:
        verts: (V, 3) mm at rest; closed: with both eyes shut, when the two of a pair of the lids are one point.
    """
    face, bary = face.copy(), bary.copy()
    points = (verts[geometry.faces[face]] * bary[:, :, None]).sum(1)
    faces_of = face_of_edges(geometry.faces)

    def put(landmark: int, path: EdgePath, place: tuple[int, float]) -> None:
        face[landmark], bary[landmark] = path.landmark(place)

    for eye, pairs in zip(lids, LID_PAIRS, strict=True):
        ring = eye.column[EDGE]
        chains = [ring[[eye.corners[0], *side, eye.corners[1]]] for side in (eye.upper, eye.lower)]
        upper, lower = (EdgePath(geometry, faces_of, chain) for chain in chains)
        for above, below in pairs:
            place = lower.at_x(verts, points[[above, below], 0].mean())
            put(below, lower, place)
            put(above, upper, upper.nearest(closed, lower.position(closed, place)))
    upper = EdgePath(geometry, faces_of, lips.column[UPPER_EDGE, lips.chain(lips.upper)])
    lower = EdgePath(geometry, faces_of, lips.column[LOWER_EDGE, lips.chain(lips.lower)])
    for above, below in INNER_LIP_PAIRS:
        x = points[[above, below], 0].mean()
        put(above, upper, upper.at_x(verts, x))
        put(below, lower, lower.at_x(verts, x))
    return face, bary
