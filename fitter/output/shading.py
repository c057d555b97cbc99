"""The fitted light on a whole head, also where the photo says nothing of it."""

from __future__ import annotations

import numpy as np
import torch

from ..compute.smoothstep import smoothstep
from ..render.lighting import shade
from ..scene.scene import Scene
from .lids import closed_lids

_USUAL = (5, 80)  # percentiles of the brightness that the photo shows, between which all else is held: a neck that is
# brighter than the face catches the eye, a back of the head that is brighter than the shaded cheek does too

_UNKNOWN, _KNOWN = 0.05, 0.35  # cosines to the viewer between which the photo begins to show how a normal is lit


def held_shading(scene: Scene) -> np.ndarray:
    """(V, 3) how bright each vertex is lit.

    The SH light was estimated from normals that face the camera. On others the polynomial runs off, channel by channel;
    there its brightness is held to the range of those, and the hue to their mean. Lids are lit as when they are closed:
    what an open eye folds away has normals that no light ever meets.
    """
    shades, facing = _shades(scene)
    lids = closed_lids(scene)
    if lids is not None:
        unfolded, _ = _shades(lids.scene)
        folded = lids.folded_vertices()
        shades = shades + folded[:, None] * (unfolded - shades)
        facing = facing * (1 - folded)
    known = shades[facing > _KNOWN]
    if len(known) < 20:
        return np.clip(shades, 0.4, 1.2)
    brightness = shades.mean(1)
    low, high = np.percentile(known.mean(1), _USUAL)
    hue = known.mean(0) / max(known.mean(), 1e-6)
    held = np.clip(brightness, max(low, 0.05), max(high, 0.1))[:, None] * hue
    bounds = np.maximum(np.percentile(known, (2, 98), axis=0), 0.02)
    sure = smoothstep((facing - _UNKNOWN) / (_KNOWN - _UNKNOWN))[:, None]
    return held + sure * (np.clip(shades, *bounds) - held)


def _shades(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """(V, 3) the SH light on the vertices' normals, and (V,) the normals' cosine to the viewer."""
    normals = scene.normals()
    with torch.no_grad():
        shades = shade(torch.ones_like(normals), normals, scene.parameters.sh.detach().cpu().float())[0]
    surface = scene.verts_in("camera")
    facing = -(normals[0].double().numpy() * surface).sum(1) / np.maximum(np.linalg.norm(surface, axis=1), 1e-9)
    return shades.double().numpy(), facing
