"""The light with which a fit begins."""

from __future__ import annotations

import torch
from torch import Tensor

from ..observe.observation import Observation
from ..render.lighting import estimate_sh
from ..scene.scene import Scene


@torch.no_grad()
def first_light(scene: Scene, observation: Observation) -> Tensor:
    """(B, 9, 3) SH light under which the albedo explains the photo best, robustly (Bai et al. 2021, eq. 11)."""
    albedo = scene.model.albedo(scene.parameters.albedo).clamp(0.02, 1)
    batch = len(albedo)
    seen = scene.interpolate(torch.cat([scene.normals(), albedo], -1)).reshape(batch, -1, 6)
    weight = scene.covered().float() * observation.valid
    normal = torch.nn.functional.normalize(seen[..., :3], dim=-1)
    image, weight = observation.image.reshape(batch, -1, 3), weight.reshape(batch, -1)
    if albedo.device.type != "cpu":
        return estimate_sh(image, seen[..., 3:], normal, weight)
    # one by one: batched products are rounded differently, nothing is gained by them, and each face has a number of
    # pixels of its own, half of the window's
    light = []
    for face in range(batch):
        chosen = weight[face] > 0
        parts = (image[face, chosen], seen[face, chosen, 3:], normal[face, chosen], weight[face, chosen])
        light.append(estimate_sh(parts[0][None], parts[1][None], parts[2][None], parts[3][None]))
    return torch.cat(light)
