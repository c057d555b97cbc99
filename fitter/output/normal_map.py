"""Relief as pictures: a tangent-space normal map, and heights along the normals.

Normal maps are those of glTF: red along columns, green up the picture, blue out of the surface, each from -1 to 1; the
texels' tangents are those of the layout, as programs make them (MikkTSpace) where a file has none.
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

from ..geometry.triangles import vertex_normals
from ..model.face_model import FaceModel
from ..scene.part_picture import mesh_faces
from .relief import Relief
from .texture import texels

UNIT, SCALE, OFFSET = "0.1 mm", 0.001, -32.768  # of a 16-bit height: SCALE * value + OFFSET of UNIT
_MIDDLE, _TENTHS = 32768, 10.0
_FLAT = np.array((0.0, 0.0, 1.0))
_GUTTER = 8  # texels painted around the skin, so that filtering does not mix in what lies beside it


def normal_map(relief: Relief, size: int, model: FaceModel, smooth: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """(size, size, 3) uint8: how the refined skin is turned against a mesh.

    Args:
        model: whose mesh and layout that is. smooth: (V, 3) mm, its vertices without the relief, model space.
        moved: (V, 3) mm, with what the mesh has of the relief itself.
    """
    grid = relief.grid
    face, bary = texels(model, relief.size)
    face, bary = np.maximum(face[grid.inside], 0), bary[grid.inside]
    corners = mesh_faces(model)[face]
    rest, base = (
        _unit(np.einsum("nk,nkc->nc", bary, vertex_normals(verts, mesh_faces(model))[corners]))
        for verts in (smooth, moved)
    )
    wanted = _unit(rest - relief.slope)
    # the tangents of the layout, square to the normals that a program shades with
    along, up = grid.axes()
    along = _unit(along - (along * base).sum(1, keepdims=True) * base)
    up = up - (up * base).sum(1, keepdims=True) * base
    up = _unit(up - (up * along).sum(1, keepdims=True) * along)
    turned = np.stack([(wanted * axis).sum(1) for axis in (along, up, base)], 1)
    return coded(grid.picture(_unit(turned)), grid.inside, size)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def coded(normals: np.ndarray, inside: np.ndarray, size: int) -> np.ndarray:
    """Unit normals (G, G, 3), those `inside` (G, G) counting -> (size, size, 3) uint8, flat elsewhere."""
    distance, place = ndimage.distance_transform_edt(~inside, return_indices=True)
    near = (distance <= _GUTTER)[..., None]
    whole = np.where(near, normals[tuple(place)], _FLAT) if inside.any() else np.broadcast_to(_FLAT, normals.shape)
    fine = np.stack([_grown(whole[..., k], size) for k in range(3)], -1)
    fine /= np.linalg.norm(fine, axis=2, keepdims=True)
    return np.clip(np.rint((fine + 1) * 127.5), 0, 255).astype(np.uint8)


def height_map(relief: Relief, size: int) -> np.ndarray:
    """(size, size) float32 mm along the normals of the mesh, 0 where nothing is known."""
    return _grown(relief.grid.picture(relief.height), size)


def heights_as_numbers(height: np.ndarray) -> np.ndarray:
    """(T, T) mm -> uint16, as SCALE and OFFSET say."""
    return np.clip(np.rint(height * _TENTHS / SCALE) + _MIDDLE, 0, 65535).astype(np.uint16)


def _grown(layer: np.ndarray, size: int) -> np.ndarray:
    """(G, G) -> (size, size) float32."""
    picture = Image.fromarray(layer.astype(np.float32))
    return np.asarray(picture if len(layer) == size else picture.resize((size, size), Image.Resampling.BILINEAR))
