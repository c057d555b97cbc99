"""Algorithm 1 of the PRDL paper made general: look at renders of a mesh as one looks at photos, and carry what is seen,
landmarks and parts, back to the surface by vote. It needs nothing of the mesh but vertices, triangles and colours.

Source: Wang et al. 2024, supplement B, Algorithm 1; here with k = 1, z-buffer visibility, many shapes and lights.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.spatial import cKDTree

from ..anatomy.landmarks import FACE_OVAL, LANDMARKS, LIPS_INNER, MIRROR
from ..anatomy.parts import LABEL, PART_LABELS
from ..geometry.closest_point import ClosestPoint
from ..geometry.mesh_graph import largest_piece
from ..geometry.triangles import triangle_weights, vertex_normals
from ..observe.faces import LandmarkDetector
from ..observe.segment.contract import PartSegmenter
from .photograph import Picture, Subject, photograph, surface_points

logger = logging.getLogger(__name__)

RIM = 3  # pixels: how far beside the rim of an opening a detector may put a landmark

STEP = 8.0  # mm of depth between two neighbouring pixels that make a rim


def to_rims(pixels: np.ndarray, picture: Picture, faces: np.ndarray) -> np.ndarray:
    """Points that fell into an opening, or beside an edge onto what lies behind, go back to the rim.

    The corner of an open mouth is the place: one pixel beside it the surface lies three centimetres deeper.

    Args:
        pixels: (N, 2) of the picture. faces: (F, 3).
    Returns:
        (N, 2): where the surface within RIM pixels lies more than STEP in front, the nearest pixel that shows it.
    """
    size = picture.rast.shape[0]
    y, x = np.mgrid[-RIM : RIM + 1, -RIM : RIM + 1].reshape(2, -1)
    order = np.argsort(x * x + y * y, kind="stable")
    order = order[(x * x + y * y)[order] <= RIM * RIM]
    offset = np.stack([x[order], y[order]], 1)
    near = pixels[:, None] + offset  # nearest first, itself before all
    column, row = np.clip(np.floor(near).astype(int), 0, size - 1).transpose(2, 0, 1)
    rast = picture.rast[row, column]
    bary = np.stack([rast[..., 0], rast[..., 1], 1 - rast[..., 0] - rast[..., 1]], -1)
    corner = faces[np.maximum(rast[..., 3].astype(int) - 1, 0)]
    around = np.where(rast[..., 3] > 0, -(picture.points[corner, 2] * bary).sum(-1), np.inf)
    front = around.min(1, keepdims=True)
    moved = np.take_along_axis(near, (around <= front + STEP / 2).argmax(1)[:, None, None], 1)[:, 0]
    fallen = np.isfinite(around[:, 0]) & (around[:, 0] > front[:, 0] + STEP)
    return np.where(fallen[:, None], moved, pixels)


def annotate_landmarks(
    reference: np.ndarray,
    faces: np.ndarray,
    looks: Iterable[tuple[Subject, dict]],
    detector: LandmarkDetector,
    symmetry: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Where MediaPipe's landmarks lie on a mesh.

    Args:
        reference: (V, 3) neutral mesh, mm. faces: (F, 3).
        looks: subjects (same triangles) and the view's keyword arguments for `photograph`. Views with `opened` true
            count for the inner lips, the others for everything else.
        symmetry: (V,) mirror map; given, the result is symmetric.
    Returns:
        (478,) face index and (478, 3) barycentric weights.
    Raises:
        ValueError: a landmark was seen in no view.
    """
    inner = np.isin(np.arange(LANDMARKS), LIPS_INNER)
    outline = np.isin(np.arange(LANDMARKS), FACE_OVAL)
    votes: list[list[np.ndarray]] = [[] for _ in range(LANDMARKS)]
    voted: list[list[int]] = [[] for _ in range(LANDMARKS)]
    views = missed = 0
    for subject, view in looks:
        view = dict(view)
        opened = view.pop("opened", False)
        picture = photograph(subject, faces, **view)
        found = detector.detect(picture.image)
        views += 1
        if not found:
            missed += 1
            continue
        # the mouth alone is open; elsewhere a surface that turns away falls as steeply as a rim
        at_rims = to_rims(found[0].landmarks, picture, faces)
        face, bary = surface_points(np.where(inner[:, None], at_rims, found[0].landmarks), picture.rast)
        at = (reference[faces[face]] * bary[:, :, None]).sum(1)
        facing = picture.normals[faces[face]].mean(1)[:, 2]
        use = (face >= 0) & (facing > np.where(outline, 0.02, 0.25)) & (inner == opened)
        use &= ~outline | (abs(picture.yaw) < 12)
        for k in np.flatnonzero(use).tolist():
            votes[k].append(at[k])
            voted[k].append(int(face[k]))
    logger.info("landmarks: a face was found in %d of %d views", views - missed, views)
    points = np.full((LANDMARKS, 3), np.nan)
    for k in range(LANDMARKS):
        if votes[k]:
            points[k] = _robust_mean(np.stack(votes[k]))
    if symmetry is not None:
        mirrored = points[MIRROR] * [-1, 1, 1]
        points = np.where(np.isnan(points), mirrored, points)
        points = np.where(np.isnan(mirrored), points, (points + mirrored) / 2)
        centre = reference[faces].mean(1)
        nearest = cKDTree(centre)
        twins = [nearest.query(centre[voted[k]] * [-1, 1, 1])[1].tolist() if voted[k] else [] for k in MIRROR]
        voted = [own + twin for own, twin in zip(voted, twins, strict=True)]
    if np.isnan(points).any():
        lost = np.flatnonzero(np.isnan(points).any(1)).tolist()
        raise ValueError(f"landmarks {lost} were seen in none of {views} views")
    face, bary = _nearest_on_surface(points, voted, reference, faces)
    return (face, bary) if symmetry is None else on_both_sides(face, bary, faces, symmetry)


def on_both_sides(
    face: np.ndarray, bary: np.ndarray, faces: np.ndarray, symmetry: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The left landmarks where the right ones are: at a crease, such as where the lobe of the ear hangs, two mirrored
    points may be nearest to two surfaces. A triangle without a mirror image keeps its landmark."""
    triangle = {tuple(sorted(corners)): n for n, corners in enumerate(faces.tolist())}
    face, bary = face.copy(), bary.copy()
    for left, right in enumerate(MIRROR.tolist()):
        corners = symmetry[faces[face[right]]]
        found = triangle.get(tuple(sorted(corners.tolist())))
        if right < left and found is not None:
            order = [corners.tolist().index(corner) for corner in faces[found].tolist()]
            face[left], bary[left] = found, bary[right][order]
    return face, bary


def _robust_mean(points: np.ndarray) -> np.ndarray:
    """Mean with Cauchy weights around the median: a wrong look must not drag the point."""
    centre = np.median(points, 0)
    for _ in range(5):
        weight = 1 / (1 + ((points - centre) ** 2).sum(1) / 4.0)  # 2 mm
        centre = (points * weight[:, None]).sum(0) / weight.sum()
    return centre


def _nearest_on_surface(
    points: np.ndarray, voted: list[list[int]], reference: np.ndarray, faces: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The mean of points on a curved surface lies off it; go back to it, among triangles near those that were voted."""
    centre = reference[faces].mean(1)
    tree = cKDTree(centre)
    face, bary = np.zeros(len(points), int), np.zeros((len(points), 3))
    for k, point in enumerate(points):
        own = np.unique(voted[k]) if voted[k] else [tree.query(point)[1]]
        few = len(own) < 64
        near = np.unique(np.concatenate(tree.query_ball_point(centre[own], 4.0))) if few else np.arange(len(faces))
        _, closest, best = ClosestPoint(reference, faces[near])(point[None])
        face[k] = near[best[0]]
        bary[k] = triangle_weights(closest, reference[faces[face[k]]][None])[0]
    return face, bary


def annotate_parts(
    count: int,
    faces: np.ndarray,
    looks: Iterable[tuple[Subject, dict]],
    detector: LandmarkDetector,
    segmenter: PartSegmenter,
    labels: Sequence[int],
    symmetry: np.ndarray | None = None,
    swap: dict[int, int] | None = None,
) -> np.ndarray:
    """Algorithm 1: each labelled pixel votes for the visible vertices next to it.

    Args:
        count: number of vertices V. faces: (F, 3).
        looks: as `annotate_landmarks`. segmenter: run on the whole render.
        labels: label numbers that are counted.
        symmetry: (V,) mirror map; given, the votes are symmetric. swap: label -> label of its mirror image.
    Returns:
        (V, len(labels)) share of a vertex's votes that each label got; rows of zeros where it was never seen.
    """
    votes = np.zeros((count, max(labels) + 1))
    for subject, view in looks:
        view = {k: v for k, v in view.items() if k != "opened"}
        picture = photograph(subject, faces, **view)
        found = detector.detect(picture.image)
        if not found:
            continue
        segmentation = segmenter.segment(picture.image.astype(np.float32) / 255, found[0].landmarks)
        face, u, v = picture.rast[..., 3].astype(int) - 1, picture.rast[..., 0], picture.rast[..., 1]
        seen = face >= 0
        label = np.where(np.isin(segmentation.labels, labels), segmentation.labels, 0)[seen]
        for corner, weight in enumerate((u, v, 1 - u - v)):
            # each pixel's vote is shared among its triangle's corners: the share of a part then crosses one half where
            # the part ends, between the vertices, and not only at them
            slot = faces[face[seen], corner] * votes.shape[1] + label
            votes += np.bincount(slot, weight[seen], minlength=votes.size).reshape(votes.shape)
    if symmetry is not None:
        mirrored = votes[symmetry]
        for a, b in (swap or {}).items():
            mirrored[:, a] = votes[symmetry][:, b]
        votes = votes + mirrored
    share = votes / np.maximum(votes.sum(1, keepdims=True), 1)
    return share[:, list(labels)]


def neutral_looks(verts: np.ndarray, opened: np.ndarray, colours: list[np.ndarray]) -> list[tuple[Subject, dict]]:
    """Frontal and turned views of the closed mouth for all landmarks, of the open mouth for the inner lips.

    Args:
        verts, opened: (V, 3) mm, mouth closed and open; colours: each (V, 3) in [0, 1], all are looked at.
    Returns:
        what `annotate_landmarks` takes.
    """
    looks = []
    lights = ((0.3, 0.5, 1), (-0.5, 0.3, 1), (0, 0.8, 0.6))
    for k, yaw in enumerate((0, -10, 10, -25, 25, -40, 40, 0, 0)):
        for colour in colours:
            pitch = {7: 15, 8: -15}.get(k, 0)
            looks.append((Subject(verts, colour), {"yaw": yaw, "pitch": pitch, "light": lights[k % 3]}))
            looks.append(
                (Subject(opened, colour), {"yaw": yaw, "pitch": pitch, "light": lights[k % 3], "opened": True})
            )
    return looks


def part_weights(
    verts: np.ndarray,
    faces: np.ndarray,
    looks: Sequence[tuple[Subject, dict]],
    detector: LandmarkDetector,
    segmenter: PartSegmenter,
    symmetry: np.ndarray,
    known: np.ndarray,
) -> np.ndarray:
    """The parts of a mesh: by vote of segmented renders where it is skin, by its label where it is known.

    Args:
        verts: (V, 3) mm; faces: (F, 3); symmetry: (V,) mirror map.
        looks: as `annotate_landmarks`; what only the opened mouth shows is voted on in its views.
        known: (V,) label of anatomy.parts.LABELS of what needs no vote (eyeballs, teeth, the mouth's lining), else
            0.
    Returns:
        (V, 11) share of each label 0 to 10.
    """
    names = ("skin", "nose", "right_eye", "left_eye", "right_brow", "left_brow", "upper_lip", "lower_lip")
    wanted = [LABEL[n] for n in names]
    swap = {}
    for part in ("eye", "brow"):
        swap[LABEL[f"right_{part}"]], swap[LABEL[f"left_{part}"]] = LABEL[f"left_{part}"], LABEL[f"right_{part}"]
    near = {"size": 640, "focal": 3.0}
    closed = [(s, {**v, **near}) for s, v in looks if not v.get("opened")]
    opened = [(s, {**v, **near}) for s, v in looks if v.get("opened") and abs(v["yaw"]) < 15]
    share = annotate_parts(len(verts), faces, closed, detector, segmenter, wanted, symmetry, swap)
    share_open = annotate_parts(len(verts), faces, opened, detector, segmenter, wanted, symmetry, swap)
    share = np.where((share.sum(1) > 0)[:, None], share, share_open)
    weight = np.zeros((len(verts), PART_LABELS))
    weight[:, wanted] = share
    weight[(vertex_normals(verts, faces)[:, 2] < -0.2) | (known > 0)] = 0
    weight[:, LABEL["head"]] = np.clip(1 - weight.sum(1), 0, 1)

    # specks: only a part's largest connected piece is the part (all skin hangs together around the nose)
    for number in wanted:
        mine = weight.argmax(1) == number
        if mine.any():
            stray = mine & ~largest_piece(mine, faces)
            weight[stray] = 0
            weight[stray, LABEL["skin" if number != LABEL["skin"] else "head"]] = 1
    weight[known > 0] = np.eye(PART_LABELS)[known[known > 0]]
    return weight
