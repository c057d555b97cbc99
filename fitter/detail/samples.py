"""What a photo shows of a patch: colours in linear light, how far to trust them, and how the patch is turned in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from ..fit.result import FitResult
from ..geometry.triangles import vertex_normals
from ..render.view import make_window
from ..scene.part_picture import mesh_faces
from .patch import Patch
from .visibility import visible

_GRAZING, _FACING = 0.25, 0.55  # cosines to the viewer between which a vertex begins to count, and counts fully
_BRIGHTEST, _DARKEST = 0.97, 0.004  # of linear light: beyond, a channel is cut off
_BLUR = 0.35  # of the patch's spacing: what is finer than the mesh would be noise
_SHARP = 1.5  # pixels of a crop that the blur's deviation has at least, so that nothing is lost between them
_MARGIN = 4.0  # mm of a crop beside the patch
_VIEW = 640  # pixels at most, of the picture by which hidden vertices are found


@dataclass(frozen=True)
class Crop:
    """The photo around a patch, as coarse as the patch is.

    Attributes:
        picture: (H, W, 3) float16 RGB in linear light, blurred: half a megabyte or two, for all photos are kept.
        at: (N, 2) pixels of it, right and down, where the fit has the vertices.
        pixel: mm of the face that a pixel shows.
    """

    picture: np.ndarray
    at: np.ndarray
    pixel: float

    def colours(self, shift: np.ndarray | float = 0.0) -> np.ndarray:
        """(N, 3) at the vertices, or `shift` (N, 2) or (2,) mm right and down of them."""
        at = (self.at + shift / self.pixel).T[::-1]
        channels = [self.picture[..., channel].astype(np.float32) for channel in range(3)]
        return np.stack([map_coordinates(channel, at, np.float64, order=1, mode="nearest") for channel in channels], 1)


@dataclass(frozen=True)
class PatchSample:
    """One photo of a patch of N vertices.

    Attributes:
        colour: (N, 3) RGB in linear light. weight: (N,) in [0, 1].
        turn: (N, 3, 3) rotates normals of the neutral head into the photo's camera space, expression included.
        crop: where the colours come from; None: they cannot be taken from elsewhere.
    """

    colour: np.ndarray
    weight: np.ndarray
    turn: np.ndarray
    crop: Crop | None = None

    def moved(self, shift: np.ndarray) -> PatchSample:
        """The colours that lie (N, 2) mm right and down of where the fit has the vertices."""
        if self.crop is None:
            raise ValueError("the sample has no crop; expected one of sample_patch")
        return replace(self, colour=self.crop.colours(shift))

    @property
    def luminance(self) -> np.ndarray:
        """(N,) logarithm of the mean of the channels' logarithms: what chromaticity does not change."""
        return np.log(np.maximum(self.colour, 2e-3)).mean(1)

    @property
    def chromaticity(self) -> np.ndarray:
        """(N, 3) logarithms of the channels relative to the luminance."""
        return np.log(np.maximum(self.colour, 2e-3)) - self.luminance[:, None]


def linear_light(pixels: np.ndarray) -> np.ndarray:
    """sRGB in [0, 1] -> linear light in [0, 1] (IEC 61966-2-1)."""
    return np.where(pixels <= 0.04045, pixels / 12.92, ((pixels + 0.055) / 1.055) ** 2.4)


def sample_patch(result: FitResult, patch: Patch) -> PatchSample:
    """The patch in a fit's photo.

    Args:
        result: with its photo, of the model whose neutral head the patch lies on.
    """
    scene, photo = result.scene, result.photo
    verts, faces = scene.verts_in("camera"), mesh_faces(scene.model)
    focal, centre = (value[0].double().numpy() for value in (scene.camera.focal, scene.camera.centre))
    placed = verts[patch.vertices]
    pixels = centre + focal * placed[:, :2] / np.maximum(-placed[:, 2:], 1.0) * (1, -1)
    pixel = float(np.median(-placed[:, 2])) / float(focal.mean())  # mm a pixel of the photo

    normals = vertex_normals(verts, faces)[patch.vertices]
    away = -placed / np.linalg.norm(placed, axis=1, keepdims=True)
    facing = (normals * away).sum(1)
    weight = np.clip((facing - _GRAZING) / (_FACING - _GRAZING), 0, 1)
    weight *= _unhidden(result, placed, pixels)
    weight *= _own_pixels(result, pixels)
    crop = _crop(photo, pixels, _BLUR * patch.spacing / pixel, pixel)
    colour = crop.colours()
    weight *= (colour.max(1) < _BRIGHTEST) & (colour.min(1) > _DARKEST)
    rotation, _ = scene.pose()
    return PatchSample(colour, weight, _turns(patch.normals @ rotation.T, normals) @ rotation, crop)


def _unhidden(result: FitResult, placed: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """(N,) bool."""
    scene = result.scene
    left, top, right, bottom = scene.box()
    side = max(right - left, bottom - top) * 1.02 + 2
    size = int(min(max(side, 192), _VIEW))
    window = make_window(((left + right - side) / 2, (top + bottom - side) / 2), side, size)
    depth = scene.view(window).depth
    origin, scale = window.origin[0].double().numpy(), float(window.scale)
    pixel = float(np.median(-placed[:, 2])) / float(scene.camera.focal.mean()) / scale
    return visible(-placed[:, 2], (pixels - origin) * scale, depth, pixel)


def _own_pixels(result: FitResult, pixels: np.ndarray) -> np.ndarray:
    """(N,) bool: the observation calls the pixel the person's skin, brows, lips or nose."""
    window, valid = result.window, result.observation.valid[0].numpy()
    at = (pixels - window.origin[0].double().numpy()) * float(window.scale) - 0.5
    return map_coordinates(valid, [at[:, 1], at[:, 0]], order=1, mode="constant") > 0.5


def _crop(photo: np.ndarray, pixels: np.ndarray, blur: float, pixel: float) -> Crop:
    """Of a photo (H, W, 3) uint8, around pixels (N, 2), blurred by a deviation of so many pixels of `pixel` mm."""
    margin = int(np.ceil(4 * blur + _MARGIN / pixel)) + 2
    height, width = photo.shape[:2]
    low = np.clip(np.floor(pixels.min(0)).astype(int) - margin, 0, (width - 1, height - 1))
    high = np.clip(np.ceil(pixels.max(0)).astype(int) + margin, low + 1, (width, height))
    table = linear_light(np.arange(256) / 255).astype(np.float32)
    part = photo[low[1] : high[1], low[0] : high[0]]
    step = max(int(blur / _SHARP), 1)
    channels = [gaussian_filter(table[part[..., channel]], blur)[::step, ::step] for channel in range(3)]
    return Crop(np.stack(channels, -1).astype(np.float16), (pixels - low - 0.5) / step, pixel * step)


def _turns(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(N, 3, 3) the least rotations that take unit vectors (N, 3) to others."""
    axis = np.cross(before, after)
    cosine = (before * after).sum(1)
    skew = np.zeros((len(axis), 3, 3))
    skew[:, 0, 1], skew[:, 0, 2], skew[:, 1, 2] = -axis[:, 2], axis[:, 1], -axis[:, 0]
    skew -= skew.transpose(0, 2, 1)
    scale = 1 / np.maximum(1 + cosine, 1e-3)
    return np.eye(3) + skew + skew @ skew * scale[:, None, None]
