"""The texture of one mesh in another one's UV layout, through the closest points of the two surfaces."""

from __future__ import annotations

import numpy as np

from ..anatomy.parts import LABEL
from ..geometry.closest_point import ClosestPoint
from ..geometry.triangles import triangle_normals, triangle_weights
from ..model.face_model import FaceModel
from ..output import texture_kernels as kernels
from ..output.texture import fill_gutter, texels
from ..render.view_kernels import vertex_picture
from .regions import BALLS, NONE, SKIN, Regions
from .surface_fit import FACING, GroupedSurface

NEAR, FAR = 4.0, 12.0  # mm to the other surface over which its colour gives way to the model's own skin

FLAT = np.array([1.0, 1.0, 0.1])  # how much apart in depth counts inside the mouth


def transfer(
    image: np.ndarray, source: FaceModel, source_verts: np.ndarray, source_regions: Regions, target: FaceModel,
    target_verts: np.ndarray, target_regions: Regions, size: int,
) -> np.ndarray:  # fmt: skip
    """Repaint a texture.

    Args:
        image: (H, W, 3) uint8 in the source's layout, row 0 at v = 1; or (V, 3) uint8 colours of its vertices.
        source_verts: (V, 3) and target_verts: (V', 3) mm in one space, lying on one another.
        size: side of the new texture.
    Returns:
        (size, size, 3) uint8. Lips are taken from lips, eyeballs from eyeballs and so on; where the source has nothing
        within FAR mm that faces the same way (shoulders, for a mask), the target's mean albedo, as bright as the
        texture's skin.
    """
    texel_face, texel_bary = texels(target, size)
    faces, source_faces = target.faces.cpu().numpy(), source.faces.cpu().numpy()
    known = texel_face >= 0
    face, bary = texel_face[known], texel_bary[known].astype(np.float64)
    points = np.einsum("nk,nkx->nx", bary, target_verts[faces[face]])
    group = _paint_groups(target, target_regions, all_balls=True)[face]
    source_groups = _paint_groups(source, source_regions)
    surface = GroupedSurface(source_verts, source_faces, source_groups)
    distance, closest, found = surface(points, group)
    inside = group == NONE
    front = np.flatnonzero((source_groups == NONE) & (triangle_normals(source_verts[source_faces])[:, 2] > FACING))
    if inside.any() and len(front):
        # two models' teeth do not lie on one another: what is seen at the same place from the front
        distance[inside], flat, there = ClosestPoint(source_verts * FLAT, source_faces[front])(points[inside] * FLAT)
        closest[inside], found[inside] = flat / FLAT, front[there]
    share = triangle_weights(closest, source_verts[source_faces[found]])
    if image.ndim == 2:
        colour = np.einsum("nk,nkc->nc", share, image[source_faces[found]] / 255.0)
    else:
        uv = source.uv.cpu().double().numpy()[source.uv_faces.cpu().numpy()[found]]
        at = np.einsum("nk,nkc->nc", share, uv)
        colour = _bilinear(image, at[:, 0] * image.shape[1], (1 - at[:, 1]) * image.shape[0])
    out = albedo_texture(target, texel_face, texel_bary)
    own = out[known]
    facing = (triangle_normals(target_verts[faces])[face] * triangle_normals(source_verts[source_faces])[found]).sum(1)
    trust = (np.clip((FAR - distance) / (FAR - NEAR), 0, 1) * np.clip(facing / FACING, 0, 1))[:, None]
    skin = (target.vertex_label.cpu().numpy()[faces[face, 0]] == LABEL["skin"]) & (trust[:, 0] == 1)
    if skin.any():  # teeth keep their colour
        gain = colour[skin].mean(0) / np.maximum(own[skin].mean(0), 1e-3)
        own = np.where((group == NONE)[:, None], own, own * gain)
    out[known] = trust * colour + (1 - trust) * own
    return (fill_gutter(np.clip(out, 0, 1), known) * 255 + 0.5).astype(np.uint8)


def _paint_groups(model: FaceModel, where: Regions, all_balls: bool = False) -> np.ndarray:
    """(F,) what takes its colour from what: the regions, with the mouth's inside and other hidden sides of the skin as
    skin, so that NONE is teeth, lashes and the like; `all_balls`: what lies inside an eyeball as the eyeball."""
    first = model.faces.cpu().numpy()[:, 0]
    group = np.where((where.face == NONE) & where.skin[first], SKIN, where.face)
    ball = model.eyeball.cpu().numpy()[first]
    return np.where(ball > 0, np.array([NONE, *BALLS])[ball], group) if all_balls else group


def albedo_texture(model: FaceModel, texel_face: np.ndarray, texel_bary: np.ndarray) -> np.ndarray:
    """(S, S, 3) float32 in [0, 1]: the model's mean albedo, 0 outside the islands.

    Args:
        texel_face: (S, S) triangle of each texel or -1; texel_bary: (S, S, 3) where in it.
    """
    mean = model.albedo_mean.cpu().numpy().clip(0, 1)
    return vertex_picture(texel_face, texel_bary, model.faces.cpu().numpy(), mean)


def _bilinear(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(N, 3) in [0, 1] at pixels (x, y), centres at +0.5, clamped to the border."""
    out = np.zeros((len(x), 3), np.float32)
    kernels.pick(image, x, y, out)
    return out
