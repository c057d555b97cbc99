"""The textured head from any side, as a viewer without lights of its own would show it."""

from __future__ import annotations

import itertools

import numpy as np
import torch

from ..geometry.camera import Camera
from ..model.face_model import FaceModel
from ..render.view import make_window, view
from ..scene.part_picture import mesh_faces
from . import texture_kernels as kernels

_DISTANCE = 900.0  # mm from the head
_FINER = 2  # rendered at so many times the size, and averaged
SURROUND = 0.92  # grey around the head, in [0, 1]
BACKGROUND = round(255 * SURROUND)


def textured_view(
    model: FaceModel, verts: np.ndarray, texture: np.ndarray, yaw: float = 0.0, size: int = 256, height: float = 270.0
) -> np.ndarray:
    """(size, size, 3) uint8: the head on grey.

    Args:
        verts: (V, 3) mm in model space (upright, facing +z).
        texture: (T, T, 3) uint8, row 0 at v = 1; or (V, 3) colours of the vertices in [0, 1].
        yaw: degrees that the head is turned to its left, the viewer's right.
        size: of the picture in pixels; height: mm that fit into it, from below the chin to above the skull.
    """
    angle = np.radians(yaw)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    middle = np.array([0.0, -20.0, -50.0])  # mm: of a head, where the origin is between the eyes
    placed = (verts - middle) @ turn.T - np.array([0, 0, _DISTANCE])
    pixels = size * _FINER
    focal = _DISTANCE * pixels / height
    camera = Camera(torch.full((1, 2), focal), torch.full((1, 2), pixels / 2))
    seen = view(placed, mesh_faces(model), camera, make_window((0.0, 0.0), pixels, pixels))
    picture = np.full((pixels, pixels, 3), BACKGROUND, np.float32)
    if texture.ndim == 2:
        colours = seen.interpolate_seen(texture, mesh_faces(model))
    else:
        uv = seen.interpolate_seen(model.uv.cpu().numpy(), model.uv_faces.cpu().numpy())
        colours = np.zeros((len(uv), 3), np.float32)
        kernels.pick(texture, uv[:, 0] * len(texture), (1 - uv[:, 1]) * len(texture), colours)
    picture[seen.seen] = colours * 255
    # slices: numpy's mean over two axes of five takes ten times as long
    total = np.zeros((size, size, 3), np.float32)
    for row, column in itertools.product(range(_FINER), repeat=2):
        total += picture[row::_FINER, column::_FINER]
    return (total / _FINER**2 + 0.5).astype(np.uint8)
