"""The default head's painted masks and colours."""

from __future__ import annotations

import numpy as np

from ...anatomy.landmarks import CHIN, LEFT_BROW, LEFT_SIDE, LIPS_OUTER, NOSE_BASE, RIGHT_BROW, RIGHT_SIDE
from ...geometry.polygon import inside
from .. import skin
from .eyes import IRIS_RADIUS, MIDDLE, PUPIL_RADIUS, RADIUS, RIM, TEARS, angles, both_lids
from .geometry import TEETH, Geometry
from .head import Head
from .teeth import ARCHES, COLUMNS, GUM, GUM_TOP, ROWS

EYE_GROUPS = ("right_eye", "left_eye")
BAG_DEPTH = 45.0  # mm behind the lips at which hardly any light arrives in an open mouth
SHADED = 0.6  # share of it that is missing there


def eye_angles(geometry: Geometry, verts: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(V,) which eyeball (0, 1 right, 2 left) and (V,) angle to the optical axis in degrees, 180 elsewhere.

    Args:
        verts: (V, 3) mm; centres: (2, 3) mm of the eyeballs.
    """
    eyeball, angle = np.zeros(len(verts), np.uint8), np.full(len(verts), 180.0)
    for number, name in enumerate(EYE_GROUPS, 1):
        index = np.flatnonzero(geometry.vertex_group == name)
        eyeball[index] = number
        angle[index] = angles(verts[index] - centres[number - 1])
    return eyeball, angle


def soft(distance: np.ndarray, width: float) -> np.ndarray:
    """(V,) distances in mm -> 1 inside (distance < 0), 0 outside, a smooth step of `width` mm between."""
    return 1 / (1 + np.exp(np.clip(distance / (width / 4), -40, 40)))


def inside_loop(points: np.ndarray, loop: np.ndarray) -> np.ndarray:
    """Signed distance in mm of (V, 2) points to a closed polygon (N, 2), negative inside."""
    a, b = loop, np.roll(loop, -1, 0)
    ab = b - a
    t = np.clip(((points[:, None] - a) * ab).sum(-1) / (ab**2).sum(-1), 0, 1)
    distance = np.linalg.norm(points[:, None] - (a + t[..., None] * ab), axis=-1).min(1)
    return np.where(inside(points, loop), -distance, distance)


def paint_masks(head: Head, geometry: Geometry, points: np.ndarray) -> dict[str, np.ndarray]:
    """(V,) weights of each painted thing, from the landmarks (478, 3) on the mean face and the mesh's pieces."""
    group, verts = geometry.vertex_group, geometry.matrix @ head.mean
    shell = np.isin(group, ("skin", "neck"))
    _, angle = eye_angles(geometry, verts, head.eye_centre)
    front = shell & (verts[:, 2] > points[[RIGHT_SIDE, LEFT_SIDE], 2].mean() - 15)

    def region(loop: tuple[int, ...], grow: float, width: float) -> np.ndarray:
        distance = inside_loop(verts[:, :2], points[list(loop), :2])
        near = np.linalg.norm(verts[:, None] - points[list(loop)][None], axis=2).min(1) < 25
        return np.where(front & near, soft(distance - grow, width), 0)

    lips = region(LIPS_OUTER, 0.3, 1.5)
    lip_groove = np.linalg.norm(verts - points[[13, 14]].mean(0), axis=1)
    # inside the mouth opening the skin turns into the lips' wet side: the mouth piece near the lips keeps their colour
    mouth_piece = group == "mouth"
    depth = points[[13, 14], 2].mean() - verts[:, 2]
    wet = np.where(mouth_piece, soft(depth - 5.0, 4.0) * (lip_groove < 40), 0)
    lips = np.maximum(lips, wet)
    mouth_y = points[[13, 14], 1].mean()
    chin, nose_base = points[CHIN, 1], points[NOSE_BASE, 1]
    beard = np.where(front, soft(verts[:, 1] - (nose_base - 3), 6) * soft(-(verts[:, 1] - (chin - 18)), 8), 0)
    sides = np.abs(verts[:, 0]) / (abs(points[RIGHT_SIDE, 0]) * 0.9)
    cheek_line = mouth_y + 22 * np.clip(sides, 0, 1) ** 2 + 4
    beard *= np.where(np.abs(verts[:, 0]) > 32, soft(verts[:, 1] - cheek_line, 10), 1) * (1 - lips)
    cheeks = [points[[50, 205]].mean(0), points[[280, 425]].mean(0), points[4]]
    blush = sum(
        np.exp(-((np.linalg.norm(verts - c, axis=1) / r) ** 2)) for c, r in zip(cheeks, (22, 22, 14), strict=True)
    )
    lids = [points[[159, 145]].mean(0), points[[386, 374]].mean(0)]
    eyelid = sum(np.exp(-((np.linalg.norm((verts - c) * [0.7, 1.1, 0.5], axis=1) / 13) ** 2)) for c in lids)
    iris, pupil = (np.degrees(np.arcsin(r / RADIUS)) for r in (IRIS_RADIUS, PUPIL_RADIUS))
    gums, inside = _gums(head, geometry), np.isin(group, ("mouth", *TEETH)) + 0.5 * (group == "tongue")
    return {
        "skin": (shell * (1 - lips)).astype(float),
        "lips": lips,
        "right_brow": region(RIGHT_BROW, 0.5, 3.0),
        "left_brow": region(LEFT_BROW, 0.5, 3.0),
        "beard": beard,
        "blush": np.where(shell, np.clip(blush, 0, 1), 0),
        "eyelid": np.where(shell, np.clip(eyelid, 0, 1), 0),
        "right_iris": np.where(group == "right_eye", soft(angle - iris, 2), 0),
        "left_iris": np.where(group == "left_eye", soft(angle - iris, 2), 0),
        "pupil": np.where(np.isin(group, EYE_GROUPS), soft(angle - pupil, 2), 0),
        "sclera": np.isin(group, EYE_GROUPS).astype(float),
        "moist": np.maximum(_margins(head, geometry), _corners(head, geometry, verts, angle)),
        "mouth": np.where(mouth_piece, 1 - wet, 0),
        "tongue": (group == "tongue").astype(float),
        "teeth": np.isin(group, TEETH) * (1 - gums),
        "gums": gums,
        "shade": SHADED * inside * np.clip((depth - 6.0) / BAG_DEPTH, 0, 1) ** 0.7 * (1 - wet),
    }


def _gums(head: Head, geometry: Geometry) -> np.ndarray:
    """(V,) 1 on the rows of the arches' meshes that are gums."""
    rows = np.zeros(len(head.mean))
    for name in ARCHES:
        rows[head.piece(name)] = np.repeat(np.isin(np.arange(ROWS), (GUM_TOP, GUM)), COLUMNS)
    return geometry.matrix @ rows


def _margins(head: Head, geometry: Geometry) -> np.ndarray:
    """(V,) the lids' moist margins, up to the edge that is seen."""
    moist = np.zeros(len(head.mean))
    for lids in both_lids(head):
        moist[lids.column[[RIM, TEARS]]], moist[lids.column[MIDDLE]] = 1.0, 0.6
    return geometry.matrix @ moist


def _corners(head: Head, geometry: Geometry, verts: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """(V,) where the white of the eyes is pink: towards both corners."""
    out = np.zeros(len(verts))
    for name, centre in zip(EYE_GROUPS, head.eye_centre, strict=True):
        mine = geometry.vertex_group == name
        sideways = np.abs(verts[mine, 0] - centre[0]) / RADIUS
        out[mine] = 0.55 * np.clip((sideways - 0.55) / 0.35, 0, 1) * (angle[mine] > 35)
    return out


def plain_colours(geometry: Geometry, verts: np.ndarray) -> np.ndarray:
    """(V, 3) in [0, 1] of vertices (V, 3) mm: skin, dark irises, dark mouth, enough for the detector to find a face."""
    colours = np.tile([0.75, 0.60, 0.50], (len(verts), 1))
    centres = np.stack([verts[geometry.vertex_group == name].mean(0) for name in EYE_GROUPS])
    _, angle = eye_angles(geometry, verts, centres)
    colours[np.isin(geometry.vertex_group, EYE_GROUPS)] = skin.SCLERA
    colours[angle < 26] = skin.IRIS
    colours[angle < 10] = skin.PUPIL
    colours[geometry.vertex_group == "mouth"] = skin.MOUTH
    return colours
