"""A clip on a rig as one animated GLB."""

from __future__ import annotations

import numpy as np

from ..files.glb import Animation, quaternions
from ..output.morph_glb import morph_glb
from ..output.morph_targets import Morphs
from ..output.style import FileStyle
from ..output.write import texture_bytes
from .clip import Clip
from .retarget import Rig


def animated_rig(clip: Clip, rig: Rig, texture: np.ndarray, style: FileStyle | None = None) -> bytes:
    """The rig's head with its expressions as morph targets, moved by a clip that was put on it (`retarget`).

    Args:
        texture: (H, W, 3) uint8, row 0 at v = 1. style: `quantize`, `bones` and `jpeg` are read of it.
    """
    style = style or FileStyle()
    model = rig.model
    animation = Animation(
        seconds=clip.seconds - clip.seconds[0],
        translation=clip.translation / 1000,
        rotation=quaternions(clip.rotation),
        weights=clip.weights,
        camera=clip.camera,
    )
    morphs = Morphs(rig.neutral, rig.targets, tuple(model.expression_names), clip.weights[0])
    return morph_glb(
        model, morphs, texture_bytes(texture, style), animation, quantize=style.quantize, bones=style.bones
    )
