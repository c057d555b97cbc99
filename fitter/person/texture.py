"""One texture of a person from several photos.

Each photo is unwrapped (`facefit.output.texture`) and its light taken off (`facefit.output.albedo`). What is broad is
the mean of the photos, each brought to the same colour first, so that no seam is left where one photo ends; what is
fine comes from those that show a place best, so that it is not blurred by fits that differ by half a pixel.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy import ndimage

from ..anatomy.parts import LABEL
from ..fit.result import FitResult
from ..output import texture_kernels as kernels
from ..output.albedo import albedo_layer
from ..output.seen_pixels import seen_pixels
from ..output.shading import held_shading
from ..output.texture import Unwrapped, picture, unwrap_layers
from ..scene.part_picture import mesh_faces
from ..scene.scene import Scene
from ..vocabulary import TEXTURES

_BROAD = 0.012  # of the texture's side: standard deviation of the filter that splits broad from fine, about 5 mm
_CHOICE = 6.0  # power of a photo's weight for what is fine: the best one, unless two are alike
_FAINT = 1e-3  # weight that each photo has where it is filled, so that places that nobody shows are filled too


class Blend:
    """A texture that photos are added to one by one; the memory does not grow with them.

    Args:
        size: side in texels. kind: "photo" (in the light of the photo that `light` is of) or "albedo".
    Raises:
        ValueError: another kind.
    """

    def __init__(self, size: int, kind: str) -> None:
        if kind not in TEXTURES:
            raise ValueError(f"texture is {kind!r}; accepted: {', '.join(TEXTURES)}")
        self.size, self.kind = size, kind
        self.broad, self.fine = np.zeros((size, size, 3), np.float32), np.zeros((size, size, 3), np.float32)
        self.broad_weight, self.fine_weight = np.zeros((size, size), np.float32), np.zeros((size, size), np.float32)
        self.tone = np.zeros(3, np.float32)
        self.count = 0
        self.sharp = 0.0  # of the first photo
        self.layers: Unwrapped | None = None

    def add(self, result: FitResult) -> None:
        """A photo of the person, under what is shared."""
        layers = unwrap_layers(result.scene, seen_pixels(result), self.size)
        colour = albedo_layer(result.scene, layers)
        inside = layers.face >= 0
        broad = _smoothed(colour, inside, _BROAD * self.size)
        share = _smoothed(layers.confidence[..., None], inside, _BROAD * self.size)[..., 0]
        share = 1 - _bare(result.scene, layers) * (1 - share)  # an eye is all border, and has none of these
        # halfway between what a photo shows and what is filled lie shadows of hair and the fit's last errors; far from
        # both, on the back of the head or under a lid, the filled colour has its own fine parts
        fine = np.where(inside[..., None], colour - broad, 0) * (2 * share - 1)[..., None] ** 2
        sure = layers.confidence > 0.5
        seen = sure if sure.any() else inside
        tone = colour[seen].mean(0)  # white balance and exposure that the light did not take
        sharp = max(float(np.abs(fine[seen]).mean()) * _resolution(result), 1e-9)
        self.sharp = self.sharp or sharp
        choice = ((layers.confidence * share + _FAINT) * (sharp / self.sharp)) ** _CHOICE
        self.fine += choice[..., None] * (fine / np.maximum(tone, 0.02))
        self.fine_weight += choice
        weight = layers.confidence * share**2 + _FAINT
        self.broad += weight[..., None] * (broad / np.maximum(tone, 0.02))
        self.broad_weight += weight
        self.tone += tone
        self.count += 1
        self.layers = layers

    def picture(self, light: Scene) -> np.ndarray:
        """(size, size, 3) uint8. Args: light: the fit whose light a texture of kind "photo" has."""
        assert self.layers is not None
        mixed = self.broad / self.broad_weight[..., None] + self.fine / np.maximum(self.fine_weight, 1e-30)[..., None]
        mixed *= self.tone / self.count
        if self.kind == "photo":
            mixed *= _on_texels(light, held_shading(light), self.layers)
        return picture(np.clip(mixed, 0, 1).astype(np.float32), self.layers.face)


def blended_texture(results: Iterable[FitResult], light: Scene, size: int, kind: str) -> np.ndarray:
    """(size, size, 3) uint8 RGB, row 0 at v = 1: the texture of several photos of one person.

    Args:
        results: with their photos; they are used one after another. light: whose light kind "photo" has.
    """
    blend = Blend(size, kind)
    for result in results:
        blend.add(result)
    return blend.picture(light)


def _bare(scene: Scene, layers: Unwrapped) -> np.ndarray:
    """(T, T) in [0, 1]: skin without eyes, brows, nose and lips."""
    label = scene.model.vertex_label.cpu().numpy()
    bare = np.isin(label, [LABEL["skin"], LABEL["head"]]).astype(np.float32)
    return _on_texels(scene, np.repeat(bare[:, None], 3, 1), layers)[..., 0]


def _resolution(result: FitResult) -> float:
    """Pixels of the photo a millimetre of the face."""
    return float(result.camera.focal.mean()) / max(-float(result.parameters.translation[0, 2]), 1.0)


def _smoothed(colour: np.ndarray, inside: np.ndarray, deviation: float) -> np.ndarray:
    """(T, T, C) the mean around each texel over those that lie on the mesh."""
    share = ndimage.gaussian_filter(inside.astype(np.float32), deviation, truncate=2.5)
    out = np.empty_like(colour)
    for channel in range(colour.shape[2]):
        values = np.where(inside, colour[..., channel], 0)
        out[..., channel] = ndimage.gaussian_filter(values, deviation, truncate=2.5) / np.maximum(share, 1e-3)
    return out


def _on_texels(scene: Scene, values: np.ndarray, layers: Unwrapped) -> np.ndarray:
    """(V, 3) values of the vertices -> (T, T, 3)."""
    out = np.zeros((*layers.face.shape, 3), np.float32)
    kernels.over_rows(
        kernels.spread, len(out), layers.face, layers.bary, mesh_faces(scene.model), values.astype(np.float32), out
    )
    return out
