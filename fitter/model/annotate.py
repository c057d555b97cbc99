"""Algorithm 1 of the PRDL paper made general: look at renders of a mesh as one looks at photos, and carry what is seen,
landmarks and parts, back to the surface by vote. It needs nothing of the mesh but vertices, triangles and colours.

Source: Wang et al. 2024, supplement B, Algorithm 1; here with k = 1, z-buffer visibility, many shapes and lights.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..anatomy.landmarks import FACE_OVAL, LANDMARKS, LIPS_INNER, MIRROR
from ..anatomy.parts import LABEL
from ..geometry.camera import Camera, project, to_clip_space
from ..geometry.mesh_graph import largest_piece
from ..geometry.rotation import rotation_matrix
from ..render import load_renderer
from .array_table import PART_LABELS

logger = logging.getLogger(__name__)

PICTURE = 512  # pixels

FOCAL = 1.9  # of the picture's side: about 30 degrees, a portrait

DISTANCE = 620.0  # mm

BACKGROUND = np.array([0.55, 0.57, 0.60])

RIM = 3  # pixels: how far beside the rim of an opening a detector may put a landmark

STEP = 8.0  # mm of depth between two neighbouring pixels that make a rim


@dataclass(frozen=True)
class Subject:
    """One mesh to look at: (V, 3) vertices in model space (mm) and (V, 3) colours in [0, 1]."""

    verts: np.ndarray
    colours: np.ndarray


@dataclass(frozen=True)
class Picture:
    """A render and what is behind each of its pixels.

    Attributes:
        image: (S, S, 3) uint8; rast: (S, S, 4) as facefit.render; points: (V, 3) camera space mm; pixels: (V, 2);
        normals: (V, 3) camera space; yaw: degrees, positive when the subject looks to the viewer's right.
    """

    image: np.ndarray
    rast: np.ndarray
    points: np.ndarray
    pixels: np.ndarray
    normals: np.ndarray
    yaw: float


def turned(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """Degrees -> (3, 3) rotation: yaw about y (positive: the nose to the viewer's right), then pitch about x (positive:
    the nose down), then roll about z."""

    def matrix(axis: int, degrees: float) -> torch.Tensor:
        rotvec = torch.zeros(1, 3, dtype=torch.float64)
        rotvec[0, axis] = np.radians(degrees)
        return rotation_matrix(rotvec)[0]

    return (matrix(2, roll) @ matrix(0, pitch) @ matrix(1, yaw)).numpy()


def photograph(
    subject: Subject,
    faces: np.ndarray,
    yaw: float = 0.0,
    pitch: float = 0.0,
    roll: float = 0.0,
    light: Sequence[float] = (0.2, 0.4, 1.0),
    size: int = PICTURE,
    distance: float = DISTANCE,
    focal: float = FOCAL,
) -> Picture:
    """Render a subject under an ambient and one directional light on a plain background.

    Args: light: direction towards the light, camera space. distance: mm; focal: of the picture's side.
    """
    rotation = turned(yaw, pitch, roll)
    points = subject.verts @ rotation.T + [0, 0, -distance]
    # the face, not the origin between the eyes, in the middle of the picture
    points = points - rotation @ np.array([0.0, -25.0, 30.0])
    camera = Camera(torch.full((1, 2), focal * size), torch.full((1, 2), size / 2))
    tensor = torch.from_numpy(points).float()[None]
    triangles = torch.from_numpy(np.ascontiguousarray(faces)).long()
    renderer = load_renderer("cpu")
    rast = renderer.rasterize(to_clip_space(tensor, camera, size), triangles, size)
    normals = vertex_normals(points, faces)
    direction = np.asarray(light, float) / np.linalg.norm(light)
    shade = 0.55 + 0.5 * np.maximum(normals @ direction, 0)
    colour = torch.from_numpy(np.clip(subject.colours * shade[:, None], 0, 1)).float()[None]
    image = renderer.interpolate(colour, rast, triangles)[0].numpy()
    rast = rast[0].numpy()
    image[rast[..., 3] == 0] = BACKGROUND
    return Picture(
        image=(image * 255 + 0.5).astype(np.uint8),
        rast=rast,
        points=points,
        pixels=project(tensor, camera)[0].numpy(),
        normals=normals,
        yaw=yaw,
    )


def vertex_normals(verts: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 3) area-weighted unit normals."""
    a, b, c = (verts[faces[:, k]] for k in range(3))
    cross = np.cross(b - a, c - a)
    out = np.stack([np.bincount(faces.ravel(), np.repeat(cross[:, k], 3), minlength=len(verts)) for k in range(3)], 1)
    return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)


def surface_points(pixels: np.ndarray, rast: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) pixels -> (N,) face index, -1 where the surface is not seen, and (N, 3) barycentric weights."""
    size = rast.shape[0]
    column, row = np.floor(pixels[:, 0]).astype(int), np.floor(pixels[:, 1]).astype(int)
    inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    sample = rast[np.clip(row, 0, size - 1), np.clip(column, 0, size - 1)]
    face = np.where(inside, sample[:, 3].astype(int) - 1, -1)
    bary = np.stack([sample[:, 0], sample[:, 1], 1 - sample[:, 0] - sample[:, 1]], 1)
    return face, bary


def to_rims(pixels: np.ndarray, picture: Picture, faces: np.ndarray) -> np.ndarray:
    """Points that fell into an opening, or beside an edge onto what lies behind, go back to the rim.

    The corner of an open mouth is the place: one pixel beside it the surface lies three centimetres deeper.

    Args:
        pixels: (N, 2). faces: (F, 3).
    Returns:
        (N, 2): where the surface within RIM pixels lies more than STEP in front, the nearest pixel that shows it.
    """
    rast, size = picture.rast, picture.rast.shape[0]
    bary = np.stack([rast[..., 0], rast[..., 1], 1 - rast[..., 0] - rast[..., 1]], -1)
    corner = faces[np.maximum(rast[..., 3].astype(int) - 1, 0)]
    depth = np.where(rast[..., 3] > 0, -(picture.points[corner][..., 2] * bary).sum(-1), np.inf)
    y, x = np.mgrid[-RIM : RIM + 1, -RIM : RIM + 1].reshape(2, -1)
    order = np.argsort(x * x + y * y, kind="stable")
    order = order[(x * x + y * y)[order] <= RIM * RIM]
    offset = np.stack([x[order], y[order]], 1)
    near = pixels[:, None] + offset  # nearest first, itself before all
    column, row = np.clip(np.floor(near).astype(int), 0, size - 1).transpose(2, 0, 1)
    around = depth[row, column]
    front = around.min(1, keepdims=True)
    moved = np.take_along_axis(near, (around <= front + STEP / 2).argmax(1)[:, None, None], 1)[:, 0]
    fallen = np.isfinite(around[:, 0]) & (around[:, 0] > front[:, 0] + STEP)
    return np.where(fallen[:, None], moved, pixels)


def annotate_landmarks(
    reference: np.ndarray,
    faces: np.ndarray,
    looks: Iterable[tuple[Subject, dict]],
    detector,
    symmetry: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Where MediaPipe's landmarks lie on a mesh.

    Args:
        reference: (V, 3) neutral mesh, mm. faces: (F, 3).
        looks: subjects (same triangles) and the view's keyword arguments for `photograph`. Views with `opened` true
            count for the inner lips, the others for everything else.
        detector: facefit.observe.faces.LandmarkDetector.
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
        for k in np.flatnonzero(use):
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
    if np.isnan(points).any():
        lost = np.flatnonzero(np.isnan(points).any(1)).tolist()
        raise ValueError(f"landmarks {lost} were seen in none of {views} views")
    return _nearest_on_surface(points, voted, reference, faces)


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
    import trimesh

    centre = reference[faces].mean(1)
    face, bary = np.zeros(len(points), int), np.zeros((len(points), 3))
    for k, point in enumerate(points):
        own = centre[np.unique(voted[k])] if voted[k] else centre[[np.linalg.norm(centre - point, axis=1).argmin()]]
        reach = np.linalg.norm(centre[:, None] - own[None], axis=2).min(1) if len(own) < 64 else None
        near = np.flatnonzero(reach < 4.0) if reach is not None else np.arange(len(faces))
        triangles = reference[faces[near]]
        closest = trimesh.triangles.closest_point(triangles, np.tile(point, (len(near), 1)))
        best = int(np.linalg.norm(closest - point, axis=1).argmin())
        face[k] = near[best]
        b = trimesh.triangles.points_to_barycentric(triangles[[best]], closest[[best]])[0]
        b = np.clip(b, 0, 1)
        bary[k] = b / b.sum()
    return face, bary


def annotate_parts(
    count: int,
    faces: np.ndarray,
    looks: Iterable[tuple[Subject, dict]],
    detector,
    segmenter,
    labels: Sequence[int],
    symmetry: np.ndarray | None = None,
    swap: dict[int, int] | None = None,
) -> np.ndarray:
    """Algorithm 1: each labelled pixel votes for the visible vertices next to it.

    Args:
        count: number of vertices V.
        segmenter: facefit.observe.segment.contract.PartSegmenter, run on the whole render.
        labels: label numbers that are counted. swap: label -> label of its mirror image.
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
    """Frontal and turned views of the closed mouth for all landmarks, of the open mouth for the inner lips."""
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
    detector,
    segmenter,
    symmetry: np.ndarray,
    known: np.ndarray,
) -> np.ndarray:
    """The parts of a mesh: by vote of segmented renders where it is skin, by its label where it is known.

    Args:
        looks: as `annotate_landmarks`; what only the opened mouth shows is voted on in its views.
        known: (V,) label of facefit.anatomy.parts.LABELS of what needs no vote (eyeballs, teeth, the mouth's lining), else
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


def ears(verts: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(V,) bool: the ears and what lies right around them; points are the 478 landmarks on the same head."""
    side = abs(points[[234, 454], 0]).mean()
    behind = verts[:, 2] < points[[234, 454], 2].mean() + 4
    level = (verts[:, 1] < points[[162, 389], 1].mean() + 8) & (verts[:, 1] > points[[58, 288], 1].mean() - 4)
    return (np.abs(verts[:, 0]) > side - 2.0) & behind & level


def contour_rows(
    verts: np.ndarray, faces: np.ndarray, landmark_points: np.ndarray, allowed: np.ndarray, per_row: int = 24
) -> tuple[np.ndarray, np.ndarray]:
    """For each landmark of the face outline, the row of vertices across the cheek along which it may march.

    A row runs from in front of the landmark to behind it in the plane through the landmark, the middle of the face and
    the viewing axis, on the allowed part of the surface (Zhu et al. 2015, landmark marching).

    Args:
        verts: (V, 3) neutral mm; landmark_points: (478, 3) on it; allowed: (V,) bool, skin without ears.
    Returns:
        (R, per_row) vertex indices, front to back, -1 pads; (R,) landmark numbers.
    """
    middle = landmark_points[[1, 152, 10]].mean(0)
    normals = vertex_normals(verts, faces)
    rows, numbers = [], []
    for k in FACE_OVAL:
        outward = landmark_points[k, :2] - middle[:2]
        outward /= np.linalg.norm(outward)
        across = np.array([-outward[1], outward[0]])
        offset = verts[:, :2] - landmark_points[k, :2]
        along, beside = offset @ outward, offset @ across
        depth = landmark_points[k, 2] - verts[:, 2]
        near = allowed & (np.abs(beside) < 2.5) & (along > -22) & (along < 14) & (depth > -30) & (depth < 32)
        near &= normals[:, 2] > -0.75
        candidates = np.flatnonzero(near)
        if len(candidates) == 0:
            continue
        order = candidates[np.argsort(depth[candidates])]
        # evenly from front to back
        pick = np.unique(np.linspace(0, len(order) - 1, min(per_row, len(order))).round().astype(int))
        row = np.full(per_row, -1)
        row[: len(pick)] = order[pick]
        rows.append(row)
        numbers.append(k)
    return np.array(rows), np.array(numbers)
