"""Rows of teeth of an adult's size: where maxilla and jaw have them, not where the lips go; tongue and cheeks around.

Widths and heights of crowns: Wheeler's Dental Anatomy, Physiology and Occlusion (Nelson and Ash 2010), rounded. How the
edges lie to the lips: 1 to 4 mm of the upper incisors reach below the upper lip at rest, overbite is 2 mm, overjet 3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...anatomy.landmarks import NOSE_BASE
from .head import Head
from .lips import find_lips
from .makehuman import BaseMesh
from .motion import jaw_motion, jaw_share

COLUMNS, ROWS = 43, 5  # of a row's control mesh: three steps a tooth, and two rows of gum, crown, edge and inner side
GUM_TOP, GUM, CROWN, EDGE, INSIDE = range(ROWS)

BELOW, BEHIND = 2.6, 5.2  # mm of the upper incisors' edge to the edge of the upper lip on the mean face
OVERBITE, OVERJET = 2.0, 3.0  # mm of the upper incisors' edge to the lower ones'
NOTCH, GAP, PAPILLA = 0.7, 0.6, 1.3  # mm between two teeth: of the edge, in depth, of the gum
OUT, RISE = 30.0, 9.0  # mm that the tongue's tip comes out, and up, over the lower teeth
STILL = 0.5  # mm; a jaw that moves less leaves the lips on both rows

UPPER_LIP_EDGE, CORNERS = 13, (61, 291)  # landmarks


@dataclass(frozen=True)
class Arch:
    """One row of teeth, from the middle outwards, mm.

    Attributes:
        width, depth: half axes of the ellipse on which the outer sides lie.
        teeth, crown: of each tooth its width along the row and the height of its crown; thick: from outside to inside.
        gum: its height, how far its end leans in, and how far the necks of the teeth do, so that a chin that is pressed
            onto the lower row does not meet it. up: 1 where gums are above the teeth.
    """

    width: float
    depth: float
    teeth: tuple[float, ...]
    crown: tuple[float, ...]
    thick: tuple[float, ...]
    gum: tuple[float, float, float]
    up: int


UPPER = Arch(
    width=29.0, depth=44.0, teeth=(8.5, 6.6, 7.6, 7.0, 6.8, 10.0, 9.5), crown=(10.8, 10.4, 11.6, 11.0, 10.5, 9.5, 9.0),
    thick=(5, 5, 6, 8.5, 9, 10, 10), gum=(6.0, 1.0, 0.0), up=1,
)  # fmt: skip
LOWER = Arch(
    width=27.0, depth=41.5, teeth=(5.3, 5.8, 6.8, 7.0, 7.1, 11.0, 10.5), crown=(9.0, 9.2, 10.0, 8.6, 8.0, 7.4, 7.0),
    thick=(5, 5, 6, 7.5, 8, 10, 10), gum=(3.5, 7.5, 2.5), up=-1,
)  # fmt: skip
ARCHES = {"upper_teeth": UPPER, "lower_teeth": LOWER}


def arch_points(arch: Arch) -> np.ndarray:
    """(ROWS, COLUMNS, 3) mm, right to left, the middle of the incisors' edges at the origin."""
    edges = np.concatenate([[0], np.cumsum(arch.teeth)])
    along = np.concatenate([np.linspace(a, b, 3, endpoint=False) for a, b in zip(edges[:-1], edges[1:], strict=True)])
    along = np.append(along, edges[-1])
    tooth = np.minimum(np.arange(len(along)) // 3, len(arch.teeth) - 1)
    turn = np.linspace(0, np.pi / 2, 400)
    curve = np.stack([arch.width * np.sin(turn), arch.depth * (np.cos(turn) - 1)], 1)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    t = np.interp(along, length, turn)
    x, z = arch.width * np.sin(t), arch.depth * (np.cos(t) - 1)
    outward = np.stack([np.sin(t) / arch.width, np.cos(t) / arch.depth], 1)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    crown, thick = np.array(arch.crown)[tooth], np.array(arch.thick)[tooth]
    between = np.arange(len(along)) % 3 == 0
    front = np.clip(1.5 - tooth / 2, 0, 1)  # incisors have an edge, molars a face
    lift = 0.25 * np.minimum(tooth, 3)
    height = np.stack([
        crown + arch.gum[0], crown - PAPILLA * between + 0.4, crown - PAPILLA * between - 0.5,
        lift + NOTCH * between, front * 0.75 * crown + (1 - front) * 1.0,
    ])  # fmt: skip
    out = np.stack([
        np.full(len(t), -arch.gum[1]), np.full(len(t), 0.1 - arch.gum[2]), -GAP * between, -0.5 - GAP * between, -thick,
    ])  # fmt: skip
    half = np.stack([x + out * outward[:, 0], arch.up * height, z + out * outward[:, 1]], -1)
    # the two halves share the column in the middle
    return np.concatenate([half[:, :0:-1] * [-1, 1, 1], half], 1)


def arch_quads(arch: Arch) -> np.ndarray:
    """(Q, 4) counter-clockwise seen from outside, into the points row by row."""
    number = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    quads = np.stack([number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]], -1).reshape(-1, 4)
    return quads if arch.up > 0 else quads[:, ::-1]


def with_teeth(base: BaseMesh) -> BaseMesh:
    """The base mesh with these rows in the place of MakeHuman's bands. In its targets a new vertex follows the nearest
    old one."""
    old = np.unique(base.quads[np.isin(base.group, tuple(ARCHES))])
    stay = np.setdiff1d(np.arange(len(base.verts)), old)
    number = np.full(len(base.verts), -1)
    number[stay] = np.arange(len(stay))
    keep = ~np.isin(base.group, tuple(ARCHES))
    verts, ids = [base.verts[stay]], [base.vertex_ids[stay]]
    quads, group = [number[base.quads[keep]]], [base.group[keep]]
    uv, uv_quads = [base.uv], [base.uv_quads[keep]]
    grid = np.stack(np.meshgrid(np.linspace(0, 1, COLUMNS), np.linspace(0, 1, ROWS)), -1).reshape(-1, 2)
    for name, arch in ARCHES.items():
        mine = np.unique(base.quads[base.group == name])
        place = base.verts[mine]
        edge = place[:, 1].min() if arch.up > 0 else place[:, 1].max()
        points = arch_points(arch).reshape(-1, 3) + [0, edge, place[:, 2].max()]
        nearest = np.linalg.norm(points[:, None] - place[None], axis=2).argmin(1)
        count, uv_count = sum(map(len, verts)), sum(map(len, uv))
        verts.append(points)
        ids.append(base.vertex_ids[mine][nearest])
        quads.append(arch_quads(arch) + count)
        group.append(np.full(len(quads[-1]), name, dtype=base.group.dtype))
        uv.append(grid if arch.up < 0 else grid * [1, -1] + [0, 1])
        uv_quads.append(arch_quads(arch) + uv_count)
    return replace(
        base, verts=np.concatenate(verts), vertex_ids=np.concatenate(ids), quads=np.concatenate(quads),
        group=np.concatenate(group), uv=np.concatenate(uv), uv_quads=np.concatenate(uv_quads), cut=number[base.cut],
        cut_above=number[base.cut_above],
    )  # fmt: skip


def with_teeth_in_place(head: Head, weights: np.ndarray) -> Head:
    """Both rows and the tongue where maxilla and jaw have them, the lower row rigid in every expression; lips and
    cheeks make room on their inner side.

    The bones themselves are not seen. Their place in a person is told from the upper lip, the corners of the mouth and
    the base of the nose together, so that a lip which is long or thick shows less of the teeth, as on people. Teeth
    meet at rest, so both rows have this one shift.

    Args:
        weights: (478, C) of the landmarks.
    """
    mean, identity, expression = head.mean.copy(), head.identity.copy(), head.expression.copy()
    bone = 0.6 * weights[UPPER_LIP_EDGE] + 0.25 * weights[list(CORNERS)].mean(0) + 0.15 * weights[NOSE_BASE]
    used = np.flatnonzero(bone)
    shift = np.einsum("c,icx->ix", bone[used], head.identity[:, used])
    edge = weights[UPPER_LIP_EDGE] @ head.mean * [0, 1, 1] - [0, BELOW, BEHIND]
    for name, arch in ARCHES.items():
        mine = head.piece(name)
        at = edge if arch.up > 0 else edge + [0, OVERBITE, -OVERJET]
        mean[mine] = at + arch_points(arch).reshape(-1, 3)
        identity[:, mine] = shift[:, None]
    tongue = head.piece("tongue")
    mean[tongue] = _tongue(head.mean[tongue], edge)
    identity[:, tongue] = shift[:, None]
    inner = head.only("mouth")
    mean[inner] = _room(mean[inner], edge)
    near = np.union1d(inner, find_lips(head).column)
    upper, lower = (head.piece(name) for name in ARCHES)
    share = jaw_share(head.mean, head.unit("jawOpen"), lower)[tongue, None]
    for name, unit in zip(head.names, expression, strict=True):
        rotation, move = jaw_motion(head.mean[lower], (head.mean + unit)[lower])
        whole = mean @ rotation.T + move - mean
        unit[upper], unit[lower], unit[tongue] = 0, whole[lower], share * whole[tongue]
        if name == "tongueOut":
            unit[tongue] += _stuck_out(mean[tongue])
        if np.abs(unit[lower]).max() < STILL and np.abs(unit[near]).max() > 0:
            mine = inner if "Roll" in name else near  # a lip that is rolled in lies between the teeth
            unit[mine] = _room(mean[mine] + unit[mine], edge) - mean[mine]
    return replace(head, mean=mean, identity=identity, expression=expression)


def _tongue(points: np.ndarray, edge: np.ndarray) -> np.ndarray:
    """Between the lower teeth, its tip behind the incisors and below their edge."""
    low, high = points.min(0), points.max(0)
    tip = edge + [0, OVERBITE - 4.0, -OVERJET - 7.0]
    x = points[:, 0] * (LOWER.width - 8.0) / high[0]
    y = low[1] - 2.0 + (points[:, 1] - low[1]) * (tip[1] + 1.0 - low[1] + 2.0) / (high[1] - low[1])
    return np.stack([x, y, points[:, 2] + tip[2] - high[2]], 1)


def _stuck_out(points: np.ndarray) -> np.ndarray:
    """(N, 3) mm that the tongue (N, 3) moves out between the teeth: its tip the most."""
    low, high = points[:, 2].min(), points[:, 2].max()
    along = np.clip((points[:, 2] - low) / (high - low), 0, 1)[:, None]
    return along**2 * [0, 0, OUT] + along**1.5 * [0, RISE, 0]


def _room(points: np.ndarray, edge: np.ndarray) -> np.ndarray:
    """Points (N, 3) of the mouth's lining that lie inside the rows of teeth moved out in front of them."""
    centre = edge[2] - UPPER.depth
    high = edge[1] + UPPER.crown[0] + 7.0
    low = edge[1] + OVERBITE - LOWER.crown[0] - 7.0
    flat = np.stack([points[:, 0] / (UPPER.width + 1.2), (points[:, 2] - centre) / (UPPER.depth + 1.2)], 1)
    reach = np.linalg.norm(flat, axis=1)
    band = np.clip((high - points[:, 1]) / 4, 0, 1) * np.clip((points[:, 1] - low) / 4, 0, 1)
    vestibule = np.clip((points[:, 2] - centre) / 10, 0, 1) * np.clip((reach - 0.72) / 0.1, 0, 1) * band
    grow = 1 + vestibule * np.maximum(1 / np.maximum(reach, 1e-6) - 1, 0)
    return np.stack([points[:, 0] * grow, points[:, 1], centre + (points[:, 2] - centre) * grow], 1)
