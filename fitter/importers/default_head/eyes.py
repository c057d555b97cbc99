"""Eyeballs of an adult's size, and the rims of the lids that lie on them for every identity and expression."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix

from ...geometry.unwrap import boundary_loops
from .head import Head
from .rings import grow_rings, neighbours, two_sides

RADIUS = 12.0  # mm; an adult's eyeball measures 24 mm across, whatever the size of the head
IRIS_RADIUS = 5.85  # mm; 11.7 mm across, which varies by less than half a millimetre between people
CORNEA = 0.8  # mm that the cornea's middle stands out of the sphere
PUPIL_RADIUS = 1.9  # mm, in daylight
SPREAD = 31.3  # mm of a pupil from the midline of the mean face, between the surveys' men and women
EYES = ("right_eye", "left_eye")

RIM, TEARS, MIDDLE, EDGE = range(4)  # rings of a lid's margin, from its end inside the eyeball to the edge that is seen
SUNK, FILM = -1.0, 0.15  # mm that the rim lies under the eyeball's surface, and that the next ring lies above it
HEIGHT = {RIM: SUNK, TEARS: FILM}
THICKNESS = 1.2  # mm that edge and skin of a lid stay above the eyeball at least
PLATE = 10  # rings of skin around the margin that follow it
HOLD = np.array([1.0, 1.0, 0.9, 0.75, 0.6, 0.45, 0.3, 0.2, 0.1, 0.05])  # share of a ring held to the eyeball's surface


@dataclass(frozen=True)
class Lids:
    """One eye's lids as rings of control vertices around its opening.

    Attributes:
        column: (PLATE, N) vertices, ring by ring outwards; column n of every ring lies behind that of the last ring.
            -1 where the skin's mesh is no longer as regular.
        upper, lower: the columns of the two lids from the nose outwards, without the corners.
        corners: the columns of the inner and the outer corner.
    """

    column: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    corners: tuple[int, int]


def angles(directions: np.ndarray) -> np.ndarray:
    """(N, 3) -> (N,) degrees to the optical axis."""
    return np.degrees(np.arccos(np.clip(directions[:, 2] / np.linalg.norm(directions, axis=1), -1, 1)))


def surface_radius(degrees: np.ndarray) -> np.ndarray:
    """(N,) angles to the optical axis -> (N,) mm from the centre to the eyeball's surface, cornea included."""
    limbus = np.degrees(np.arcsin(IRIS_RADIUS / RADIUS))
    return RADIUS + CORNEA * np.clip(1 - (degrees / limbus) ** 2, 0, 1)


def with_eyeballs(head: Head, matrix: csr_matrix) -> Head:
    """Round eyeballs behind the lids, each with a shift as its only identity: the one that its lids ask for.

    Args:
        matrix: (V, C) subdivision.
    """
    mean, identity, expression = head.mean.copy(), head.identity.copy(), head.expression.copy()
    centres = np.zeros((2, 3))
    for eye, (side, name, lids) in enumerate(zip((-1, 1), EYES, both_lids(head), strict=True)):
        mine = head.piece(name)
        tears, edge = lids.column[TEARS], lids.column[EDGE]
        centre = centres[eye] = np.array([side * SPREAD, *_behind(mean[tears], mean[mine].mean(0))[1:]])
        mean[mine] = centre + _ball(matrix, mine, head.base.verts)
        normal = mean[tears] - centre
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        # the shift that leaves the lids' margins nearest to the surface, sideways with the opening's middle
        along = np.einsum("icx,cx->ic", head.identity[:, tears], normal)
        sideways = head.identity[:, edge].mean(1)
        system = np.concatenate([normal, np.diag([2.0, 2.0, 0.3])])
        right = np.concatenate([along.T, (np.diag([2.0, 2.0, 0.3]) @ sideways.T)])
        identity[:, mine] = np.linalg.lstsq(system, right, rcond=None)[0].T[:, None]
        expression[:, mine] = 0  # gaze is a rotation
    return replace(head, mean=mean, identity=identity, expression=expression, eye_centre=centres)


def _behind(points: np.ndarray, start: np.ndarray) -> np.ndarray:
    """(3,) centre of a sphere of the eyeball's size that passes under points (N, 3), at the height of `start`."""
    centre = start.copy()
    upright = np.abs(points[:, 0] - np.median(points[:, 0])) < 6.0  # mm: the corners lie in front of the eyeball
    for _ in range(20):
        offset = points[upright] - centre
        length = np.linalg.norm(offset, axis=1)
        centre[2] += ((length - RADIUS - FILM) * offset[:, 2] / length).mean()
    return centre


def _ball(matrix: csr_matrix, mine: np.ndarray, base: np.ndarray) -> np.ndarray:
    """(N, 3) control vertices, about the centre, whose subdivision is closest to the eyeball's surface. The mesh is
    finest at the edges of pupil and iris."""
    rows = np.flatnonzero(np.diff(matrix[:, mine].indptr))
    own = matrix[rows][:, mine].toarray()
    sphere = own @ (base[mine] - base[mine].mean(0))
    direction = sphere / np.linalg.norm(sphere, axis=1, keepdims=True)
    degrees = angles(direction)
    pupil, iris = (np.degrees(np.arcsin(r / RADIUS)) for r in (PUPIL_RADIUS, IRIS_RADIUS))
    placed = np.interp(degrees, [0, 11, 24, 40, 67, 90, 180], [0, pupil, iris - 1.2, iris + 2.5, 60, 90, 180])
    around = direction[:, :2] / np.maximum(np.linalg.norm(direction[:, :2], axis=1, keepdims=True), 1e-9)
    tilt = np.radians(placed)[:, None]
    target = np.concatenate([np.sin(tilt) * around, np.cos(tilt)], 1) * surface_radius(placed)[:, None]
    return np.linalg.lstsq(own, target, rcond=None)[0]


def both_lids(head: Head) -> tuple[Lids, Lids]:
    """The right eye's and the left eye's."""
    quads = head.base.quads[np.isin(head.base.group, ("skin", "neck", "mouth"))]
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    around, verts = neighbours(quads), head.base.verts
    eyes = [verts[head.piece(name)].mean(0) for name in EYES]
    loops = boundary_loops(triangles)
    nearest = [min(loops, key=lambda loop: np.linalg.norm(verts[loop].mean(0) - eye)) for eye in eyes]
    right, left = (_lids(np.asarray(loop), around, verts, side) for loop, side in zip(nearest, (-1, 1), strict=True))
    return right, left


def _lids(loop: np.ndarray, around: dict[int, set[int]], verts: np.ndarray, side: int) -> Lids:
    column = grow_rings(loop, around, verts, PLATE)
    edge = verts[column[EDGE]]
    corners = int((side * edge[:, 0]).argmin()), int((side * edge[:, 0]).argmax())
    return Lids(column, *two_sides(edge, *corners), corners)


def with_lids_on_eyeballs(head: Head) -> Head:
    """The lids' margins end under the eyeball's surface and stay there: for the mean, each component and expression.

    The skin around follows a component only along the surface, the less the further away.
    """
    mean, identity, expression = head.mean.copy(), head.identity.copy(), head.expression.copy()
    for name, centre, lids in zip(EYES, head.eye_centre, both_lids(head), strict=True):
        shift = identity[:, head.piece(name)[0]]
        for ring, height in HEIGHT.items():
            mean[lids.column[ring]] = on_surface(mean[lids.column[ring]], centre, height)
        mean[lids.column[MIDDLE]] = (mean[lids.column[TEARS]] + mean[lids.column[EDGE]]) / 2
        for ring in range(PLATE):
            mine = lids.column[ring][lids.column[ring] >= 0]
            normal = mean[mine] - centre
            normal /= np.linalg.norm(normal, axis=1, keepdims=True)
            along = np.einsum("icx,cx->ic", identity[:, mine] - shift[:, None], normal)
            identity[:, mine] -= HOLD[ring] * along[..., None] * normal
            if ring > EDGE:
                continue
            for unit in expression:
                moved = mean[mine] + unit[mine]
                if np.abs(unit[mine]).max() > 0:
                    if ring in HEIGHT:
                        moved = on_surface(moved, centre, HEIGHT[ring])
                    unit[mine] = above(moved, centre, HEIGHT.get(ring, THICKNESS / 2)) - mean[mine]
    return replace(head, mean=mean, identity=identity, expression=expression)


def on_surface(points: np.ndarray, centre: np.ndarray, height: float) -> np.ndarray:
    """Points (N, 3) moved along their rays from the centre to `height` mm above the eyeball's surface."""
    offset = points - centre
    length = np.linalg.norm(offset, axis=1, keepdims=True)
    return centre + offset / length * (surface_radius(angles(offset))[:, None] + height)


def above(points: np.ndarray, centre: np.ndarray, height: float) -> np.ndarray:
    """Points (N, 3), those that lie less than `height` mm above the eyeball's surface moved out to it."""
    offset = points - centre
    length = np.linalg.norm(offset, axis=1, keepdims=True)
    return centre + offset / length * np.maximum(length, surface_radius(angles(offset))[:, None] + height)
