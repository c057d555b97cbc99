"""What one photo gives to the texture of a person: colours without its light, and how well it shows each place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..anatomy.parts import LABEL
from ..fit.result import FitResult
from ..output.albedo import albedo_layer
from ..output.doubtful_skin import clear_of_occluders
from ..output.seen_pixels import seen_pixels
from ..output.texture import Unwrapped, unwrap_layers
from ..render.view_kernels import vertex_picture
from ..scene.part_picture import mesh_faces
from ..scene.scene import Scene

BROAD = 0.012  # of the texture's side: standard deviation of the filter that splits broad from fine, about 5 mm
MILLIMETRE = 0.0024  # of the texture's side

_COARSE = 3.0  # larger texels that a standard deviation has at least
_FAINT = 0.02  # how far a photo is asked beside an occluder, where another one knows more
_FEATURES = (
    ("right_eye", "right_brow"), ("left_eye", "left_brow"), ("nose",), ("upper_lip", "lower_lip", "mouth_inside"),
)  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """One photo, unwrapped to T x T texels.

    Attributes:
        layers: as `facefit.output.texture` makes them.
        colour: (T, T, 3) float32, of the skin itself (`facefit.output.albedo`).
        confidence: (T, T) float32 in [0, 1]: how far a texel comes from the photo.
        quality: (T, T) float32: by confidence and by how the surface faces the camera; eyes with their brows, nose
            and mouth have one for all their texels, so that none is put together of two photos.
    """

    layers: Unwrapped
    colour: np.ndarray
    confidence: np.ndarray
    quality: np.ndarray


def photo_layer(result: FitResult, size: int) -> Layer:
    """The layer of a fit with its photo."""
    scene = result.scene
    layers = unwrap_layers(scene, seen_pixels(result), size)
    colour = albedo_layer(scene, layers)
    confidence = layers.confidence * _unshaded(result, layers)
    facing = on_texels(scene, _facing(scene)[:, None], layers)[..., 0]
    quality = smoothed(confidence[..., None], layers.face >= 0, MILLIMETRE * size)[..., 0] * facing
    for names in _FEATURES:
        label = np.isin(scene.model.vertex_label.cpu().numpy(), [LABEL[name] for name in names])
        own = on_texels(scene, label[:, None], layers)[..., 0]
        if own.sum() < 1:
            continue
        mean = float((own * quality).sum() / own.sum())
        share = np.clip(2 * smoothed(own[..., None], layers.face >= 0, 2 * MILLIMETRE * size)[..., 0], 0, 1)
        quality += share * (mean * np.clip(2 * confidence, 0, 1) - quality)
    return Layer(layers, colour, confidence, quality)


def _facing(scene: Scene) -> np.ndarray:
    """(V,) cosine between the normal and the way to the camera, at least 0."""
    verts, normals = scene.verts_in("camera"), scene.normals()[0].double().cpu().numpy()
    away = -verts / np.linalg.norm(verts, axis=1, keepdims=True)
    return np.clip((normals * away).sum(1), 0, 1).astype(np.float32)


def _unshaded(result: FitResult, layers: Unwrapped) -> np.ndarray:
    """(T, T) float32: _FAINT at glasses and whatever else lies over the face, 1 well away from it."""
    clear = clear_of_occluders(result)
    if clear is None:
        return np.ones(layers.face.shape, np.float32)
    return on_texels(result.scene, np.maximum(clear, _FAINT)[:, None], layers)[..., 0]


def smoothed(colour: np.ndarray, inside: np.ndarray, deviation: float) -> np.ndarray:
    """(T, T, C) the mean around each texel over those that lie on the mesh. What is smooth is made of larger texels."""
    step = max(int(deviation / _COARSE), 1)
    while len(colour) % step:
        step -= 1
    share = ndimage.gaussian_filter(reduced(inside, step), deviation / step, truncate=2.5)
    out = np.empty(colour.shape, np.float32)
    for channel in range(colour.shape[2]):
        values = reduced(np.where(inside, colour[..., channel], 0), step)
        mean = ndimage.gaussian_filter(values, deviation / step, truncate=2.5) / np.maximum(share, 1e-3)
        out[..., channel] = mean if step == 1 else ndimage.zoom(mean, step, order=1, mode="nearest", grid_mode=True)
    return out


def reduced(picture: np.ndarray, step: int) -> np.ndarray:
    """(T, T) -> (T // step, T // step) float32 means."""
    size = len(picture) // step * step
    return picture[:size, :size].reshape(size // step, step, size // step, step).mean((1, 3), dtype=np.float32)


def on_texels(scene: Scene, values: np.ndarray, layers: Unwrapped) -> np.ndarray:
    """(V, C) values of the vertices -> (T, T, C) float32."""
    return vertex_picture(layers.face, layers.bary, mesh_faces(scene.model), values)
