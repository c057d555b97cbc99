"""The texture that a file carries: the photo's, or the skin's own colour."""

from __future__ import annotations

import numpy as np

from ..compute.derived import derived
from ..fit.result import FitResult
from ..model.face_model import FaceModel
from ..render.view_kernels import vertex_picture
from ..scene.part_picture import mesh_faces
from ..vocabulary import TEXTURES
from .albedo import albedo_layer
from .texture import picture, texels, unwrapped


def vertex_texture(model: FaceModel, colours: np.ndarray, size: int = 1024) -> np.ndarray:
    """(V, 3) colours in [0, 1] of a model's vertices -> (size, size, 3) uint8, as `texture_picture`."""
    face, bary = texels(model, size)
    return picture(vertex_picture(face, bary, mesh_faces(model), np.clip(colours, 0, 1)), face)


def texture_picture(result: FitResult, size: int = 1024, kind: str = "photo") -> np.ndarray:
    """(size, size, 3) uint8 RGB, row 0 at v = 1, made once and read only.

    Args:
        size: in texels, 16 to 8192.
        kind: "photo" (`facefit.output.texture`) or "albedo" (`facefit.output.albedo`).
    Raises:
        ValueError: another kind or size, or a mesh behind the camera.
    """
    if kind not in TEXTURES:
        raise ValueError(f"texture is {kind!r}; accepted: {', '.join(TEXTURES)}")
    return derived(result, ("texture picture", size, kind), lambda own: _picture(own, size, kind))


def _picture(result: FitResult, size: int, kind: str) -> np.ndarray:
    layers = unwrapped(result, size)
    made = picture(layers.photo if kind == "photo" else albedo_layer(result.sighting.scene, layers), layers.face)
    made.setflags(write=False)
    return made
