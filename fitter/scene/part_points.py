"""The points on the mesh that stand for its parts in PRDL, where they are now, and which of them are seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..anatomy.landmarks import LEFT_LOWER_LID, LEFT_UPPER_LID, RIGHT_LOWER_LID, RIGHT_UPPER_LID
from ..anatomy.parts import LABEL
from ..compute.derived import derived
from ..compute.sparse_map import SparseMap
from ..energies.prdl.farthest_point import farthest_points
from ..energies.prdl.rows import GRID
from ..model.face_model import FaceModel

# Candidates per part, evenly over the surface; `thin_evenly` takes those that lie evenly in the picture.
POINTS = {"nose": 600, "upper_lip": 350, "lower_lip": 350, "right_brow": 250, "left_brow": 250, "skin": 4000}
KEPT = 0.5  # share of the visible candidates of a part that is taken
ACROSS = 7  # points from the upper to the lower lid
BETWEEN = 3  # points per stretch between two lid landmarks
BEYOND = 0.06  # of the opening, above and below the lid landmarks: the masks are that much taller (segment_polygons)
DEPTH_TOLERANCE = 6.0  # mm behind the z-buffer that still counts as seen


@dataclass(frozen=True)
class PartPoints:
    """Points of the parts of one model.

    The points of skin, nose, brows and lips lie on triangles. An eye's points fill the opening between its lids: they
    are blends of lid landmarks, so the lids move them; points on the eyeball would not know of a blink.

    Attributes:
        corners: (P, 3) vertex indices; bary: (P, 3). Points on the surface.
        blend: (Q, 4) landmark indices; blend_weight: (Q, 4). Points between the lids.
        label: (P + Q,) facefit.anatomy.parts.LABELS.
    """

    corners: Tensor
    bary: Tensor
    blend: Tensor
    blend_weight: Tensor
    label: Tensor

    def positions(self, verts: Tensor, landmarks: Tensor) -> Tensor:
        """(B, V, 3) vertices and (B, L, 3) landmarks of the same space -> (B, P + Q, 3)."""
        if verts.device.type == "cpu":
            counts = verts.shape[1], landmarks.shape[1]
            to_surface, to_lids = derived(self, ("sparse maps", *counts), lambda own: own._maps(*counts))
            return torch.cat([to_surface(verts), to_lids(landmarks)], 1)
        surface = (verts[:, self.corners] * self.bary[None, :, :, None]).sum(2)
        lids = (landmarks[:, self.blend] * self.blend_weight[None, :, :, None]).sum(2)
        return torch.cat([surface, lids], 1)

    def _maps(self, verts: int, landmarks: int) -> tuple[SparseMap, SparseMap]:
        surface = SparseMap.from_rows(self.corners.numpy(), self.bary.numpy(), verts)
        return surface, SparseMap.from_rows(self.blend.numpy(), self.blend_weight.numpy(), landmarks)


def part_points(model: FaceModel) -> PartPoints:
    """The model's part points, made once per model. Deterministic."""
    return derived(model, "part points", make_part_points)


def make_part_points(model: FaceModel) -> PartPoints:
    """The model's part points, made anew; see `part_points`. POINTS says how many a part has at most."""
    faces = model.faces.cpu().numpy()
    verts = model.verts.cpu().numpy()
    weight = model.part_weight.cpu().numpy()
    corners, bary, label = [], [], []
    for name, count in POINTS.items():
        number = LABEL[name]
        touching = (weight[faces, number] > 0.2).any(1)
        grid = _triangle_grid(2 if name == "skin" else 5)
        f = np.repeat(faces[touching], len(grid), 0)
        b = np.tile(grid, (int(touching.sum()), 1))
        inside = (weight[f] * b[:, :, None]).sum(1).argmax(1) == number
        f, b = f[inside], b[inside]
        if len(f) == 0:
            continue
        if len(f) > count:
            a, c, d = (verts[f[:, k]] for k in range(3))
            area = np.linalg.norm(np.cross(c - a, d - a), axis=1)
            # systematic sampling by area: as even as random, and the same each time
            at = (np.arange(count) + 0.5) / count * area.sum()
            chosen = np.searchsorted(np.cumsum(area), at)
            f, b = f[chosen], b[chosen]
        corners.append(f)
        bary.append(b)
        label.append(np.full(len(f), number))
    blend, blend_weight, blend_label = _lid_blends()
    device = model.device
    return PartPoints(
        corners=torch.from_numpy(np.concatenate(corners)).long().to(device),
        bary=torch.from_numpy(np.concatenate(bary)).float().to(device),
        blend=torch.from_numpy(blend).long().to(device),
        blend_weight=torch.from_numpy(blend_weight).float().to(device),
        label=torch.from_numpy(np.concatenate([*label, blend_label])).long().to(device),
    )


def _triangle_grid(steps: int) -> np.ndarray:
    """(steps^2, 3) barycentric centres of a triangle's equal sub-triangles."""
    rows = []
    for i in range(steps):
        for j in range(steps - i):
            rows.append([(i + 1 / 3) / steps, (j + 1 / 3) / steps])
            if i + j < steps - 1:
                rows.append([(i + 2 / 3) / steps, (j + 2 / 3) / steps])
    uv = np.array(rows)
    return np.concatenate([uv, 1 - uv.sum(1, keepdims=True)], 1)


def _lid_blends() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    index, weight, label = [], [], []
    for name, upper, lower in (
        ("right_eye", RIGHT_UPPER_LID, RIGHT_LOWER_LID), ("left_eye", LEFT_UPPER_LID, LEFT_LOWER_LID),
    ):  # fmt: skip
        for k in range(len(upper) - 1):
            for s in np.linspace(0, 1, BETWEEN, endpoint=False):
                for t in np.linspace(-BEYOND, 1 + BEYOND, ACROSS):
                    index.append([upper[k], upper[k + 1], lower[k], lower[k + 1]])
                    weight.append([(1 - s) * (1 - t), s * (1 - t), (1 - s) * t, s * t])
                    label.append(LABEL[name])
    return np.array(index), np.array(weight), np.array(label)


@torch.no_grad()
def thin_evenly(keep: Tensor, label: Tensor, pixels: Tensor, share: float = KEPT) -> Tensor:
    """Of the points that count, those that lie evenly in the picture, as the pixels of a mask do.

    Points even on the surface crowd where the surface turns away; the mean distance to them is then not the mean
    distance to the pixels they cover, and at 45 degrees of yaw the skin's would differ by 20 pixels.

    Args:
        keep: (B, N) bool; label: (N,) facefit.anatomy.parts.LABELS; pixels: (B, N, 2) window pixels.
        share: of a part's points that stays, in (0, 1].
    Returns:
        (B, N) bool, a subset of `keep` by farthest point sampling part by part.
    """
    out = torch.zeros_like(keep)
    # on a grid: which of two points is the farther one must not hang on rounding
    places = (pixels.cpu().double() * GRID).round().numpy()
    numbers, kept = label.cpu().numpy(), keep.cpu().numpy()
    for face in range(len(keep)):
        for number in np.unique(numbers):
            index = np.flatnonzero(kept[face] & (numbers == number))
            if len(index) == 0:
                continue
            count = max(1, round(share * len(index)))
            chosen = index[farthest_points(np.ascontiguousarray(places[face, index]), count)]
            out[face, torch.from_numpy(chosen).to(out.device)] = True
    return out


def visible_points(points: Tensor, pixels: Tensor, rast: Tensor, depth: Tensor) -> Tensor:
    """Which points the mesh itself does not hide.

    Args:
        points: (B, N, 3) camera space mm; pixels: (B, N, 2) window pixels.
        rast: (B, S, S, 4) of the mesh; depth: (B, S, S) mm in front of the camera where it is covered.
    Returns:
        (B, N) bool: not more than DEPTH_TOLERANCE behind what the pixel shows. A point whose pixel the mesh does not
        cover (just outside its silhouette) is seen; outside the window nothing is.
    """
    size = rast.shape[1]
    column, row = pixels.floor().long().unbind(-1)
    inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    face = torch.arange(len(points), device=points.device)[:, None]
    row, column = row.clamp(0, size - 1), column.clamp(0, size - 1)
    covered = rast[face, row, column, 3] > 0
    front = depth[face, row, column]
    return inside & (~covered | (-points[..., 2] <= front + DEPTH_TOLERANCE))


def rasterized_depth(rast: Tensor, near: float = 10.0, far: float = 100_000.0) -> Tensor:
    """(B, S, S, 4) rast of geometry.camera.to_clip_space -> (B, S, S) mm in front of the camera (junk where empty)."""
    return 2 * far * near / (far + near - rast[..., 2] * (far - near))
