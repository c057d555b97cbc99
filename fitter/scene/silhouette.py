"""The silhouette: where the face's surface turns away from the camera, and which point of it belongs to an outline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..anatomy.landmarks import CHIN, EAR_LOBES, EAR_TOPS, LEFT_SIDE, RIGHT_SIDE
from ..anatomy.parts import LABEL
from ..compute.derived import derived
from ..geometry.camera import project
from ..geometry.mesh_graph import mesh_edges
from ..model.face_model import FaceModel
from .scene import Scene

CROSSED = 2048  # edges that the silhouette crosses, at most: three times what a head has

REACH = 1 / 14  # of the window's side: an outline farther from any silhouette has none that belongs to it

AGREE = 0.7  # cosine between the directions of an outline and of the silhouette that belongs to it

SEEN = 0.75  # cosine to the line of sight: above a neck the jaw turns away from the camera at least so far

FAR = 0.15  # of that cosine that a crease may be deeper at the end of the search and lose against one in its middle

# What points of an outline above a neck count beside those against the background (docs/likeness.md): true surfaces of
# 60 rendered people and two scans turn away .5 to 1.1 px (of a 224 px window) beside the parser's border against the
# background, and have their crease 2 to 3 px beside it above the neck.
NECK = 0.1

UNDER = 12.0  # mm below the jaw where the neck begins

_LABELS = ("skin", "nose", "right_brow", "left_brow", "upper_lip", "lower_lip", "head")


@dataclass(frozen=True)
class OutlinePoints:
    """Points of the mesh, chosen for M points of an outline.

    Attributes:
        corners: (B, M, 3) vertex indices; bary: (B, M, 3) their weights.
        found: (B, M) 1 where there is such a point, 0 elsewhere.
    """

    corners: Tensor
    bary: Tensor
    found: Tensor

    def on(self, surface: Tensor) -> Tensor:
        """(B, V, 3) mm -> (B, M, 3) mm."""
        batch, count = self.found.shape
        corners = surface.gather(1, self.corners.reshape(batch, -1, 1).expand(-1, -1, 3))
        return (corners.reshape(batch, count, 3, 3) * self.bary[..., None]).sum(2)

    def __getitem__(self, index: Tensor) -> OutlinePoints:
        """Of some of the faces."""
        return OutlinePoints(self.corners[index], self.bary[index], self.found[index])


def silhouette_edges(model: FaceModel) -> Tensor:
    """(E, 2) the edges of face and skull, without ears, neck, eyeballs and the mouth's inside."""
    return derived(model, "silhouette edges", _silhouette_edges)


@torch.no_grad()
def outline_points(scene: Scene, outline: Tensor) -> OutlinePoints:
    """The points of the mesh where the picture should show an outline.

    Against the background a face ends where its surface turns away: on edges of the mesh that the silhouette crosses.
    Above a neck the jaw ends in a crease, from where the surface is seen again and which need not turn away: where it
    faces the camera least, along the outline's normal. On rendered people the parser's border lies at both, to half a
    pixel.

    Nothing here is differentiable, on purpose: the choice is made anew every few iterations and the gradient flows
    through the position of the chosen point.

    Args:
        outline: (B, M, 6) as in Observation, in the scene's window.
    """
    facing = -(scene.normals() * scene.surface()).sum(-1) / scene.surface().norm(dim=-1)  # > 0: turned to the camera
    silhouette, crease = _silhouette(scene, facing, outline), _crease(scene, facing, outline)
    against_neck = outline[..., 5] > 0
    return OutlinePoints(
        torch.where(against_neck[..., None], crease.corners, silhouette.corners),
        torch.where(against_neck[..., None], crease.bary, silhouette.bary),
        torch.where(against_neck, crease.found, silhouette.found),
    )


def outline_trust(outline: Tensor) -> Tensor:
    """(B, M) in [0, 1]: how much each point of an outline counts; 0 where there is none.

    Args:
        outline: (B, M, 6) as in Observation.
    """
    against_background, against_neck = outline[..., 4], outline[..., 5]
    return against_background + NECK * against_neck


def _silhouette(scene: Scene, facing: Tensor, outline: Tensor) -> OutlinePoints:
    edges, surface = silhouette_edges(scene.model), scene.surface()
    first, second = facing[:, edges[:, 0]], facing[:, edges[:, 1]]
    crossed = (first > 0) != (second > 0)
    # a fixed number, so that no device is asked how many there are
    flag, place = crossed.to(surface.dtype).topk(min(CROSSED, len(edges)), dim=1, sorted=False)
    ends = edges[place]  # (B, K, 2)
    first, second = first.gather(1, place), second.gather(1, place)
    share = first / torch.where(crossed.gather(1, place), first - second, 1.0)
    bary = torch.stack([1 - share, share, torch.zeros_like(share)], -1)
    candidates = OutlinePoints(torch.cat([ends, ends[..., :1]], -1), bary, flag)
    at = candidates.on(surface)
    pixels = project(at, scene.camera)
    # the normal of the silhouette is across the line of sight, so its direction in the picture is that of the outline
    beside = project(at + candidates.on(scene.normals()), scene.camera) - pixels
    beside = beside / beside.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    distance = torch.cdist(outline[..., :2], pixels, compute_mode="donot_use_mm_for_euclid_dist")
    agree = (outline[..., 2:4] @ beside.transpose(1, 2) > AGREE) & (flag[:, None] > 0)
    near, chosen = torch.where(agree, distance, torch.inf).min(-1)
    found = ((near < REACH * scene.size) & (outline[..., 4] > 0)).to(surface.dtype)
    corners, bary = (
        value.gather(1, chosen[..., None].expand(-1, -1, 3)) for value in (candidates.corners, candidates.bary)
    )
    return OutlinePoints(corners, bary, found)


def _crease(scene: Scene, facing: Tensor, outline: Tensor) -> OutlinePoints:
    size, reach = scene.size, int(REACH * scene.size)
    picture, rast = scene.interpolate(facing[..., None])[..., 0], scene.rast()
    along = torch.arange(-reach, reach + 1, device=facing.device)
    at = outline[..., None, :2] + along[:, None] * outline[..., None, 2:4]  # (B, M, K, 2)
    column, row = at.floor().long().clamp(0, size - 1).unbind(-1)
    face = torch.arange(len(facing), device=facing.device)[:, None, None]
    covered = rast[face, row, column, 3] > 0
    least = torch.where(covered, picture[face, row, column] + FAR * (along / reach) ** 2, torch.inf)
    value, chosen = least.min(-1)
    # at the end of the search it falls on: no crease was found
    inner = (chosen > 0) & (chosen < 2 * reach) & (value < SEEN)
    row, column = (place.gather(2, chosen[..., None])[..., 0] for place in (row, column))
    u, v, triangle = (rast[face[..., 0], row, column][..., k] for k in (0, 1, 3))
    corners = scene.model.faces[(triangle.long() - 1).clamp_min(0)]
    found = (inner & (outline[..., 5] > 0)).to(facing.dtype)
    return OutlinePoints(corners, torch.stack([u, v, 1 - u - v], -1), found)


def _silhouette_edges(model: FaceModel) -> Tensor:
    verts = model.verts.cpu().numpy()
    points = model.landmarks(model.verts[None])[0].cpu().numpy()
    allowed = np.isin(model.vertex_label.cpu().numpy(), [LABEL[name] for name in _LABELS])
    allowed &= ~ears(verts, points) & ~neck(verts, points)
    edges = mesh_edges(model.faces.cpu().numpy())
    inside = allowed[edges].all(1)
    if not inside.any():  # a model whose parts are not known
        inside[:] = True
    return torch.from_numpy(edges[inside]).to(model.device)


def ears(verts: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(V,) bool: the ears and what lies right around them, by some millimetres more than the landmarks beside them say.

    Args:
        verts: (V, 3) mm; points: (478, 3) mm, the landmarks on the same head.
    """
    sides = points[[RIGHT_SIDE, LEFT_SIDE]]
    side = abs(sides[:, 0]).mean()
    behind = verts[:, 2] < sides[:, 2].mean() + 4
    top, bottom = points[list(EAR_TOPS), 1].mean() + 8, points[list(EAR_LOBES), 1].mean() - 4
    level = (verts[:, 1] < top) & (verts[:, 1] > bottom)
    return (np.abs(verts[:, 0]) > side - 2.0) & behind & level


def neck(verts: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(V,) bool: more than UNDER below the line from the chin to the ears' lower ends, seen from the side.

    Args:
        verts: (V, 3) mm; points: (478, 3) mm, the landmarks on the same head.
    """
    chin, lobe = points[CHIN, 1:], points[list(EAR_LOBES), 1:].mean(0)  # y, z
    rise = (lobe[0] - chin[0]) / max(chin[1] - lobe[1], 1e-6)
    line = chin[0] + rise * (chin[1] - verts[:, 2]).clip(0)
    return verts[:, 1] < line - UNDER
