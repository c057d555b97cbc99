"""The texture without the light of its photo, for who lights the head anew.

Only what is smooth can be told apart by nine harmonics, and there the fit has done so: its albedo, whose components are
skin's, takes the place of the texture's smooth part (its light, and most of what the light did not explain). What is
finer stays as it is in relation to its surroundings, without the gloss that lies on top of it.
"""

from __future__ import annotations

import numpy as np
import torch

from ..render.view_kernels import vertex_picture
from ..scene.part_picture import mesh_faces
from ..scene.scene import Scene
from .texture import Unwrapped

_KEPT = 0.25  # of the smooth difference between photo and fitted face is the person's and not the light's
_LEAST, _MOST = 0.2, 2.0  # of a texel's colour in relation to its surroundings
_MATT = 0.03  # brighter than its surroundings by less is not gloss
_DARKEST = 0.02  # of 1: below, a ratio says nothing


def albedo_layer(scene: Scene, layers: Unwrapped) -> np.ndarray:
    """(T, T, 3) float32 RGB in [0, 1]: the colour of the skin itself.

    Args:
        scene: the fit; layers: its texture.
    """
    with torch.no_grad():
        albedo = scene.model.albedo(scene.parameters.albedo)[0].cpu().numpy().clip(0, 1).astype(np.float32)
    fitted = vertex_picture(layers.face, layers.bary, mesh_faces(scene.model), albedo)

    inside = layers.face >= 0
    texture, base = np.clip(layers.photo[inside], 0, 1), np.maximum(layers.base[inside], _DARKEST)
    # gloss adds the same of the light to all channels (Shafer 1985): at most what the least brightened one gained
    gloss = np.maximum((texture - base).min(1) - _MATT, 0)
    ratio = np.clip((texture - gloss[:, None]) / base, _LEAST, _MOST)
    # one hue for all that the light left: a texture's mean against the albedo's
    own = base / base.mean(0) * fitted[inside].mean(0)
    smooth = fitted[inside] * (np.maximum(own, _DARKEST) / np.maximum(fitted[inside], _DARKEST)) ** _KEPT
    out = np.zeros_like(layers.base)
    out[inside] = np.clip(smooth * ratio, 0, 1)
    return out
