"""Where the full stage begins: the parameters that landmarks, dense points and normals give, and the light for them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..errors import FitError
from ..geometry.camera import window_camera
from ..model.face_model import FaceModel
from ..observe.observation import Observation
from ..render.lighting import estimate_sh
from ..scene.parameters import Parameters
from ..scene.scene import Scene
from .config import FitConfig
from .dense_rows import dense_rows
from .landmark_stage import solve_landmarks
from .warm_start import WarmStart


def first_guess(
    observation: Observation, model: FaceModel, config: FitConfig, warm: WarmStart | None = None
) -> Parameters:
    """Parameters from landmarks and what was seen beside them (rigid and landmark stage). Without the landmark energy
    only the pose is taken from them and the face is the mean one: then segmentation and colours must do the rest.

    Raises:
        FitError: the landmarks are not those of a face.
    """
    if warm is not None and not warm.landmarks:
        return warm.parameters.to(model.device)
    camera = window_camera(observation.camera, observation.window)
    if "landmark" not in config.energies:
        config = replace(config, landmark_iterations=0)
    seen = observation.landmarks, observation.landmark_confidence, camera
    dense = dense_rows(model, observation, camera, config)
    expected = observation.identity if observation.identity.shape[1] else None
    if warm is None:
        return solve_landmarks(model, *seen, config, dense=dense, expected=expected)
    known = warm.parameters.to(model.device)
    found = solve_landmarks(model, *seen, config, dense=dense, start=known, fixed=warm.fixed, expected=expected)
    return replace(found, albedo=known.albedo, sh=known.sh, gaze=known.gaze)


def first_guesses(
    observation: Observation, model: FaceModel, config: FitConfig, warm: WarmStart | None = None
) -> tuple[Parameters | None, dict[int, FitError]]:
    """`first_guess` of each face on its own: the parameters of those that have one, and the errors of the others."""
    if model.device.type != "cpu":
        try:
            return first_guess(observation, model, config, warm), {}
        except FitError:
            pass  # of which face, the next lines find out
    found, failed = [], {}
    # on the CPU always one by one: products of several are rounded differently, and nothing is gained by them
    for face in range(observation.batch):
        try:
            found.append(first_guess(observation[face], model, config, None if warm is None else warm[face]))
        except FitError as error:
            failed[face] = error
    return (Parameters.cat(found) if found else None), failed


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
