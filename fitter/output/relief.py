"""What a photo tells of the skin's surface beyond the mesh, on texels: slopes to light it, heights to move it.

The texture says which pixels are skin (`facefit.output.texture`), `facefit.detail` what their shading says. Where only
the other side of the face is seen, its relief is mirrored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image
from scipy import ndimage

from ..compute.derived import derived
from ..detail.one_photo import Proxies, find_proxies
from ..detail.residual_shape import residual_shape
from ..detail.samples import linear_light
from ..detail.texel_grid import TexelGrid, texel_grid
from ..fit.result import FitResult
from ..scene.part_picture import mesh_faces
from .texture import Unwrapped, mirrored_corners, on_vertices, texels, unwrapped

GRID = 512  # texels of a side at most: half a millimetre of a face


@dataclass(frozen=True)
class Relief:
    """Of the N texels of a grid.

    Attributes:
        grid: the texels of the refined skin, on the fitted face.
        slope: (N, 3) gradient of the surface over the mesh's, model space.
        height: (N,) mm along the mesh's normals, as far as one photo can be trusted.
        shown: share of the texels that the photo itself shows.
    """

    grid: TexelGrid
    slope: np.ndarray
    height: np.ndarray
    shown: float

    @property
    def size(self) -> int:
        """Texels of the grid's side."""
        return len(self.grid.inside)


def relief(result: FitResult, size: int = 1024) -> Relief:
    """The relief of a face by its own photo, found once, also for copies with other expressions.

    Args:
        size: side of the texture in texels.
    Raises:
        ValueError: as `facefit.output.texture.unwrap`.
    """
    return derived(result.sighting, ("relief", size), lambda _: _relief(_fitted(result), unwrapped(result, size)))


def _fitted(result: FitResult) -> FitResult:
    """As the photo shows it, whatever expression the result was given."""
    own = result.sighting.scene.parameters
    return result if result.parameters is own else replace(result, parameters=own)


def _relief(result: FitResult, layers: Unwrapped) -> Relief:
    model, faces = result.model, mesh_faces(result.model)
    _, believed = on_vertices(layers.face, layers.bary, faces, layers.photo, layers.confidence, len(model.verts))
    proxies = find_proxies(result, believed)
    size = min(len(layers.face), GRID)
    face, bary = texels(model, size)
    own = np.zeros(len(model.verts), bool)
    own[proxies.patch.vertices] = True
    uv = model.uv.double().numpy(), model.uv_faces.numpy()
    grid = texel_grid(face, bary, result.verts, faces, *uv, keep=(face >= 0) & own[faces[face]].all(-1))

    def spread(values: np.ndarray) -> np.ndarray:
        whole = np.zeros((len(model.verts), *values.shape[1:]))
        whole[proxies.patch.vertices] = values
        return grid.of_vertices(whole)

    shown = _shrunk(layers.confidence, size)[grid.inside]
    fine = _fine(result, layers, proxies, grid, spread, shown)
    fade = spread(proxies.patch.fade)
    fine = _mirrored(result, face, bary, grid, fine * fade, shown)
    slope = spread(proxies.slope) + grid.slope(fine)
    return Relief(grid, slope, spread(proxies.displacement) + fine, float((shown > 0.5).mean()))


def _fine(
    result: FitResult, layers: Unwrapped, proxies: Proxies, grid: TexelGrid,
    spread: Callable[[np.ndarray], np.ndarray], shown: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """(N,) mm: what the photo's texels add to the proxies."""
    colour = linear_light(np.stack([_shrunk(layers.photo[..., k], len(grid.inside)) for k in range(3)], -1).clip(0, 1))
    light = np.log(np.maximum(colour[grid.inside], 2e-3))
    luminance = light.mean(1)
    away = float(np.median(-result.verts_in("camera")[:, 2]))
    return residual_shape(
        grid, luminance - spread(proxies.explained), (light - luminance[:, None])[:, [0, 2]],
        luminance - spread(proxies.shade), spread(proxies.by_slope), shown**2 * spread(proxies.weight),
        pixel=away / float(result.camera.focal[0, 0]),
    )  # fmt: skip


def _shrunk(layer: np.ndarray, size: int) -> np.ndarray:
    """(T, T) -> (size, size) float64, means."""
    if len(layer) == size:
        return layer.astype(np.float64)
    small = Image.fromarray(layer.astype(np.float32)).resize((size, size), Image.Resampling.BOX)
    return np.asarray(small, np.float64)


def _mirrored(
    result: FitResult, face: np.ndarray, bary: np.ndarray, grid: TexelGrid, height: np.ndarray, shown: np.ndarray
) -> np.ndarray:
    """The height (N,), that of the mirrored texel where the photo shows only that one (Tran et al. 2019, eq. 16)."""
    corners, known = mirrored_corners(result.model)
    own = face[grid.inside]
    at = np.einsum("nk,nkc->nc", bary[grid.inside], corners[own]) * (1, -1) + (0, 1)  # columns and rows
    place = (at * len(face) - 0.5).T[::-1]
    there = known[own] * np.clip(ndimage.map_coordinates(grid.picture(shown), place, order=1), 0, 1)
    return shown * height + (1 - shown) * there * ndimage.map_coordinates(grid.picture(height), place, order=1)
