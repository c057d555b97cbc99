"""One texture of a person from several photos.

Each photo is unwrapped and its light taken off (`facefit.person.texture_layer`), and laid on those before it
(`facefit.person.texture_alignment`). What is broad is the mean of the photos, each brought to the same colour first, so
that no seam is left where one photo ends; what is fine comes from the one that shows a place best: two at once would
show two brows.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..anatomy.parts import LABEL
from ..fit.result import FitResult
from ..output.shading import held_shading
from ..output.texture import Unwrapped, picture
from ..scene.scene import Scene
from ..vocabulary import TEXTURES
from .texture_alignment import motion, moved
from .texture_layer import BROAD, on_texels, photo_layer, smoothed

_CHOICE = 24.0  # power of a photo's quality for what is fine: of two that differ by a tenth the better one counts 10
_FAINT = 1e-3  # of a photo's quality where it is filled, so that places that nobody shows are filled too
_FILLED = 0.15  # weight of the mean of what photos are filled with: what one photo shows half ends without a seam


class Blend:
    """A texture that photos are added to one by one, the best one first; the memory does not grow with them.

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
        self.filled, self.filled_weight = np.zeros_like(self.broad), np.zeros_like(self.broad_weight)
        self.known = np.zeros((size, size), np.float32)
        self.best = np.full((size, size), -np.inf, np.float32)  # logarithm that `fine_weight` is relative to
        self.tone = np.zeros(3, np.float32)
        self.count = 0
        self.sharp = 0.0  # of the first photo
        self.layers: Unwrapped | None = None

    def add(self, result: FitResult) -> None:
        """A photo of the person, under what is shared."""
        layer = photo_layer(result, self.size)
        colour, confidence, quality, layers = layer.colour, layer.confidence, layer.quality, layer.layers
        inside = layers.face >= 0
        if self.count:
            by = motion(self._mixed(), self.known, colour, confidence)
            if by is not None:
                colour, confidence, quality = (moved(each, by, inside) for each in (colour, confidence, quality))
        broad = smoothed(colour, inside, BROAD * self.size)
        share = smoothed(confidence[..., None], inside, BROAD * self.size)[..., 0]
        share = 1 - _bare(result.scene, layers) * (1 - share)  # an eye is all border, and has none of these
        # halfway between what a photo shows and what is filled lie shadows of hair and the fit's last errors; far from
        # both, on the back of the head or under a lid, the filled colour has its own fine parts
        fine = np.where(inside[..., None], colour - broad, 0) * (2 * share - 1)[..., None] ** 2
        sure = confidence > 0.5
        seen = sure if sure.any() else inside
        tone = np.maximum(colour[seen].mean(0), 0.02)  # white balance and exposure that the light did not take
        sharp = max(float(np.abs(fine[seen]).mean()) * _resolution(result), 1e-9)
        self.sharp = self.sharp or sharp
        self._choose(fine / tone, _CHOICE * np.log((quality * share + _FAINT) * (sharp / self.sharp) ** 0.25))
        for weight, total, count in (
            (confidence * share**2, self.broad, self.broad_weight),
            (1 - confidence * (1 - _FAINT), self.filled, self.filled_weight),
        ):
            total += weight[..., None] * (broad / tone)
            count += weight
        self.known = np.maximum(self.known, confidence)
        self.tone += tone
        self.count += 1
        self.layers = layers

    def _choose(self, fine: np.ndarray, weight: np.ndarray) -> None:
        """Add fine parts by the logarithms of their weights, which are kept relative to the largest so far."""
        best = np.maximum(self.best, weight)
        before, now = np.exp(self.best - best), np.exp(weight - best)
        self.fine = before[..., None] * self.fine + now[..., None] * fine
        self.fine_weight = before * self.fine_weight + now
        self.best = best

    def _mixed(self) -> np.ndarray:
        """(T, T, 3) float32, without light."""
        filled = self.filled * (_FILLED / self.filled_weight)[..., None]
        mixed = (self.broad + filled) / (self.broad_weight + _FILLED)[..., None]
        mixed += self.fine / np.maximum(self.fine_weight, 1e-30)[..., None]
        return np.clip(mixed * (self.tone / self.count), 0, 1)

    def picture(self, light: Scene) -> np.ndarray:
        """(size, size, 3) uint8. Args: light: the fit whose light a texture of kind "photo" has."""
        assert self.layers is not None
        mixed = self._mixed()
        if self.kind == "photo":
            mixed = mixed * on_texels(light, held_shading(light), self.layers)
        return picture(np.clip(mixed, 0, 1).astype(np.float32), self.layers.face)


def blended_texture(results: Iterable[FitResult], light: Scene, size: int, kind: str) -> np.ndarray:
    """(size, size, 3) uint8 RGB, row 0 at v = 1: the texture of several photos of one person.

    Args:
        results: with their photos, the best one first; they are used one after another. light: whose light kind
            "photo" has.
    """
    blend = Blend(size, kind)
    for result in results:
        blend.add(result)
    return blend.picture(light)


def _bare(scene: Scene, layers: Unwrapped) -> np.ndarray:
    """(T, T) in [0, 1]: skin without eyes, brows, nose and lips."""
    label = scene.model.vertex_label.cpu().numpy()
    return on_texels(scene, np.isin(label, [LABEL["skin"], LABEL["head"]])[:, None], layers)[..., 0]


def _resolution(result: FitResult) -> float:
    """Pixels of the photo a millimetre of the face."""
    return float(result.camera.focal.mean()) / max(-float(result.parameters.translation[0, 2]), 1.0)
