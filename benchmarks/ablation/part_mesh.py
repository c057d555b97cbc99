"""The parts of a model as coarse triangle meshes of their own, for losses that draw silhouettes.

A model's triangles are smaller than the pixels of a small window, and its parts end between its vertices. Here each
part is meshed anew: vertices on its exact border and over its inside, a few millimetres apart, joined by Delaunay over
the cylinder around the head. An eye is the opening between its lids, as in facefit.scene.part_points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import Delaunay, cKDTree
from torch import Tensor

from facefit.anatomy.landmarks import LEFT_LOWER_LID, LEFT_UPPER_LID, RIGHT_LOWER_LID, RIGHT_UPPER_LID
from facefit.anatomy.parts import LABEL, PARTS
from facefit.compute.derived import derived
from facefit.geometry.mesh_graph import mesh_edges
from facefit.geometry.triangles import vertex_normals
from facefit.model.face_model import FaceModel
from facefit.scene.part_points import BEYOND, PartPoints

SPACING = {"nose": 4.0, "upper_lip": 3.0, "lower_lip": 3.0, "right_brow": 3.0, "left_brow": 3.0, "skin": 7.0}  # mm
AXIS = 60.0  # mm behind the face's front: where the cylinder's axis stands
FACING = 0.2  # cosine between normal and cylinder beyond which a surface is no front (inner lips, nostrils)


@dataclass(frozen=True)
class PartMesh:
    """Triangles of the parts.

    Attributes:
        points: their vertices as points of the model, N of them.
        triangles: (T, 3) indices into the points. part: (T,) index into PARTS, ascending.
    """

    points: PartPoints
    triangles: Tensor
    part: Tensor

    @property
    def label(self) -> Tensor:
        """(T,) facefit.anatomy.parts.LABELS."""
        return torch.tensor([LABEL[name] for name in PARTS])[self.part]


def part_mesh(model: FaceModel) -> PartMesh:
    """The model's part mesh, made once per model. Deterministic."""
    return derived(model, "part mesh", _make)


def _make(model: FaceModel) -> PartMesh:
    verts, faces = model.verts.numpy().astype(np.float64), model.faces.numpy()
    weight = model.part_weight.numpy()
    normal = vertex_normals(verts, faces)
    axis = np.array([0.0, 0.0, verts[:, 2].max() - AXIS - 40])
    known = _labelled_samples(verts, faces, weight)
    corners, bary, label, triangles, part = [], [], [], [], []
    count = 0
    for name, spacing in SPACING.items():
        index, share = _candidates(faces, weight, LABEL[name])
        at = (verts[index] * share[..., None]).sum(1)
        outward = at - axis
        outward[:, 1] = 0
        outward /= np.linalg.norm(outward, axis=1, keepdims=True)
        front = ((normal[index] * share[..., None]).sum(1) * outward).sum(1) > FACING
        index, share, at = index[front], share[front], at[front]
        kept = _thinned(at, spacing)  # the border comes first
        index, share, at = index[kept], share[kept], at[kept]
        around = np.arctan2(at[:, 0] - axis[0], at[:, 2] - axis[2]) * 80  # mm along the cylinder, about
        found = Delaunay(np.stack([around, at[:, 1]], 1)).simplices
        found = found[_inside(at[found], LABEL[name], spacing, known)]
        corners.append(index)
        bary.append(share)
        label.append(np.full(len(index), LABEL[name]))
        triangles.append(found + count)
        part.append(np.full(len(found), PARTS.index(name)))
        count += len(index)
    blend, blend_weight, blend_label, lid_triangles, lid_part = _lids(count)
    every = np.concatenate([*triangles, lid_triangles])
    which = np.concatenate([*part, lid_part])
    order = np.argsort(which, kind="stable")
    points = PartPoints(
        corners=torch.from_numpy(np.concatenate(corners)).long(),
        bary=torch.from_numpy(np.concatenate(bary)).float(),
        blend=torch.from_numpy(blend).long(),
        blend_weight=torch.from_numpy(blend_weight).float(),
        label=torch.from_numpy(np.concatenate([*label, blend_label])).long(),
    )
    return PartMesh(points, torch.from_numpy(every[order]).long(), torch.from_numpy(which[order]).long())


def _candidates(faces: np.ndarray, weight: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """(K, 3) vertices and (K, 3) their shares: first points of the part's border on the edges, then its vertices."""
    others = np.delete(weight, number, 1).max(1)
    lead = weight[:, number] - others  # > 0 inside the part
    edges = mesh_edges(faces)
    first, second = lead[edges[:, 0]], lead[edges[:, 1]]
    crossed = (first > 0) != (second > 0)
    edges, first, second = edges[crossed], first[crossed], second[crossed]
    along = first / (first - second)
    border = np.stack([edges[:, 0], edges[:, 1], edges[:, 1]], 1)
    border_share = np.stack([1 - along, along, np.zeros_like(along)], 1)
    inside = np.flatnonzero(lead > 0)
    inner = np.repeat(inside[:, None], 3, 1)
    share = np.concatenate([border_share, np.tile([1.0, 0.0, 0.0], (len(inside), 1))])
    return np.concatenate([border, inner]), share


def _thinned(at: np.ndarray, spacing: float) -> np.ndarray:
    """Indices of points no two of which lie closer than `spacing`; earlier ones win."""
    neighbours = cKDTree(at).query_ball_point(at, spacing)
    free = np.ones(len(at), bool)
    kept = []
    for index, near in enumerate(neighbours):
        if free[index]:
            kept.append(index)
            free[near] = False
    return np.array(kept)


def _labelled_samples(verts: np.ndarray, faces: np.ndarray, weight: np.ndarray) -> tuple[cKDTree, np.ndarray]:
    """Points all over the mesh, and their labels."""
    share = np.array([(i, j, 4 - i - j) for i in range(5) for j in range(5 - i)]) / 4.0
    at = np.einsum("ks,fsd->fkd", share, verts[faces]).reshape(-1, 3)
    label = np.einsum("ks,fsl->fkl", share, weight[faces]).argmax(-1).reshape(-1)
    return cKDTree(at), label


def _inside(corners: np.ndarray, number: int, spacing: float, known: tuple[cKDTree, np.ndarray]) -> np.ndarray:
    """(T,) bool: triangles (T, 3, 3) that lie on their part: centre and edge middles do, and no edge is long."""
    tree, label = known
    good = np.ones(len(corners), bool)
    for share in ([1, 1, 1], [4, 4, 1], [4, 1, 4], [1, 4, 4]):
        at = (corners * (np.array(share) / sum(share))[None, :, None]).sum(1)
        distance, nearest = tree.query(at)
        good &= (label[nearest] == number) & (distance < spacing)
    edge = np.linalg.norm(corners - np.roll(corners, 1, 1), axis=2).max(1)
    return good & (edge < 4 * spacing)


def _lids(first: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Blends of lid landmarks on a grid of 3 rows from the upper to the lower lid, and its triangles, from vertex
    `first` on."""
    index, weight, label, triangles, part = [], [], [], [], []
    for name, upper, lower in (
        ("right_eye", RIGHT_UPPER_LID, RIGHT_LOWER_LID), ("left_eye", LEFT_UPPER_LID, LEFT_LOWER_LID),
    ):  # fmt: skip
        base = first + len(index)
        for top, bottom in zip(upper, lower, strict=True):
            for down in (-BEYOND, 0.5, 1 + BEYOND):
                index.append([top, top, bottom, bottom])
                weight.append([1 - down, 0.0, down, 0.0])
                label.append(LABEL[name])
        for column in range(len(upper) - 1):
            for row in range(2):
                a = base + 3 * column + row
                triangles += [[a, a + 1, a + 3], [a + 1, a + 4, a + 3]]
                part += [PARTS.index(name)] * 2
    return np.array(index), np.array(weight), np.array(label), np.array(triangles), np.array(part)
