"""A patch of a ball and photos of it in lights from elsewhere, without a model, a fit or a picture."""

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from facefit.detail.patch import Patch, surface_patch
from facefit.detail.samples import PatchSample
from facefit.detail.shared_surface import tilted
from facefit.render.harmonics import sh_basis

ALBEDO = -1.2  # logarithm


def ball_cap() -> Patch:
    """72 mm wide, 3 mm between vertices."""
    x, y = np.meshgrid(np.arange(-36, 37, 3.0), np.arange(-36, 37, 3.0))
    verts = np.stack([x, y, np.sqrt(80.0**2 - x**2 - y**2) - 80], -1).reshape(-1, 3)
    number = np.arange(len(verts)).reshape(x.shape)
    a, b, c, d = number[:-1, :-1].ravel(), number[:-1, 1:].ravel(), number[1:, 1:].ravel(), number[1:, :-1].ravel()
    keep = np.ones(len(verts), bool)
    return surface_patch(verts, np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]), keep, keep)


def lit(cap: Patch, raised: np.ndarray, number: int, shadows: np.ndarray | float = 0.0) -> PatchSample:
    """The patch with a displacement (N,) mm, in the light of this number; `shadows` (N,) of its log luminance."""
    lamp = Rotation.from_euler("yx", np.radians(50 * np.array([np.cos(1.6 * number), np.sin(1.6 * number)])))
    light = np.zeros(9)
    light[0], light[[3, 1, 2]] = 2.2, 1.1 * lamp.apply((0, 0, 1))
    turn = np.broadcast_to(np.eye(3), (cap.count, 3, 3))
    shade = np.log(sh_basis(torch.from_numpy(tilted(cap, raised, turn))).numpy() @ light) + shadows
    return PatchSample(np.exp(shade + ALBEDO)[:, None] * (1.0, 0.8, 0.7), np.ones(cap.count), turn)
