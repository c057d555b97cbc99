"""The fitted light on a whole head, also where the photo says nothing of it."""

from __future__ import annotations

import numpy as np
import torch

from ..anatomy.parts import LABEL
from ..compute.smoothstep import smoothstep
from ..render.lighting import shade
from ..scene.part_picture import mesh_faces
from ..scene.scene import Scene
from .lids import closed_lids

_USUAL = (5, 80)  # percentiles of the brightness that the photo shows, between which all else is held: a neck that is
# brighter than the face catches the eye, a back of the head that is brighter than the shaded cheek does too

_KNOWN = 0.35  # cosine to the viewer from which on the photo shows how a normal is lit
_SURE = (
    0.9  # and from which on it is lit as the fit says; in between, and down to 0, ever less: a narrow band is a line
)

_FEWEST = 20  # vertices that show a light

_RIDGE = 0.02  # of 1: how strongly the mild light is held to none from any side, where few normals are seen

_BROWS, _BROW_RINGS = 0.9, 2  # of the mean face's; triangles around the brows' vertices


def held_albedo(scene: Scene) -> np.ndarray:
    """(V, 3) the fitted albedo in [0, 1], its brows no darker against the skin than the mean face's.

    Under a cap or a fringe, components that tell brows from skin are free to make them black. Where brows are seen they
    come from the photo.
    """
    model = scene.model
    albedo = _albedo(scene)
    mean, labels = model.albedo_mean.cpu().double().numpy().clip(0, 1), model.vertex_label.cpu().numpy()
    skin, near = labels == LABEL["skin"], np.isin(labels, [LABEL["right_brow"], LABEL["left_brow"]])
    if not near.any() or not skin.any():
        return albedo
    faces, brow = mesh_faces(model), near.copy()
    for _ in range(_BROW_RINGS):  # painted brows reach beyond the vertices that are called so
        near[faces[near[faces].any(1)]] = True
    near &= brow | skin
    gain = np.median(albedo[skin], axis=0) / np.maximum(np.median(mean[skin], axis=0), 0.02)
    albedo[near] = np.maximum(albedo[near], _BROWS * gain * mean[near])
    return albedo


def held_shading(scene: Scene) -> np.ndarray:
    """(V, 3) how bright each vertex is lit.

    The SH light was estimated from normals that face the camera. On others the polynomial runs off, channel by channel,
    and what it does at their border would end there as a line. Over a broad band a mild light takes its place: what of
    it a sky and a sun explain (the harmonics of order 0 and 1), of one hue, no brighter or darker than what the photo
    shows. Lids are lit as when they are closed: what an open eye folds away has normals that no light ever meets.
    """
    shades, facing, normals = _shades(scene)
    lids = closed_lids(scene)
    if lids is not None:
        unfolded, _, turned = _shades(lids.scene)
        folded = lids.folded_vertices()[:, None]
        shades = shades + folded * (unfolded - shades)
        normals = normals + folded * (turned - normals)
        facing = facing * (1 - folded[:, 0])
    known = facing > _KNOWN
    if known.sum() < _FEWEST:
        return np.clip(shades, 0.4, 1.2)
    hue = shades[known].mean(0) / max(shades[known].mean(), 1e-6)
    held = _mild(shades.mean(1), normals, facing * known)[:, None] * hue
    bounds = np.maximum(np.percentile(shades[known], (2, 98), axis=0), 0.02)
    sure = smoothstep(facing / _SURE)[:, None]
    return held + sure * (np.clip(shades, *bounds) - held)


def seen_colours(scene: Scene) -> np.ndarray:
    """(V, 3) the fitted colours where the photo shows them: albedo and SH light as they are, that within what occurs
    on normals that face the camera."""
    shades, facing, _ = _shades(scene)
    known = shades[facing > _KNOWN]
    bounds = np.maximum(np.percentile(known, (2, 98), axis=0), 0.02) if len(known) >= _FEWEST else (0.4, 1.2)
    return np.clip(_albedo(scene) * np.clip(shades, *bounds), 0, 1)


def _albedo(scene: Scene) -> np.ndarray:
    """(V, 3) the fitted one, in [0, 1]."""
    with torch.no_grad():
        return scene.model.albedo(scene.parameters.albedo)[0].cpu().double().numpy().clip(0, 1)


def _mild(brightness: np.ndarray, normals: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(V,) the brightness of all normals (V, 3), linear in them, as near as that comes to `brightness` (V,) where that
    has weight (V,), and softly between what is usual there."""
    share = weight / weight.sum()
    away, mean = normals - share @ normals, share @ brightness
    moments = (away * share[:, None]).T @ away + _RIDGE * np.eye(3)
    slope = np.linalg.solve(moments, (away * share[:, None]).T @ (brightness - mean))
    low, high = np.percentile(brightness[weight > 0], _USUAL)
    low, high = max(low, 0.05), max(high, 0.1)
    middle, half = (low + high) / 2, max(high - low, 1e-3) / 2
    return middle + half * np.tanh((mean + away @ slope - middle) / half)


def _shades(scene: Scene) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(V, 3) the SH light on the vertices' normals, (V,) the normals' cosine to the viewer, and (V, 3) themselves."""
    normals = scene.normals()
    with torch.no_grad():
        shades = shade(torch.ones_like(normals), normals, scene.parameters.sh.detach().cpu().float())[0]
    surface, directions = scene.verts_in("camera"), normals[0].double().numpy()
    facing = -(directions * surface).sum(1) / np.maximum(np.linalg.norm(surface, axis=1), 1e-9)
    return shades.double().numpy(), facing, directions
