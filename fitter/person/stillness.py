"""Whether a person kept still: whether one expression explains all photos as well as one for each of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..anatomy.landmarks import LEFT_BROW, LEFT_EYE, LOWER_LIP, RIGHT_BROW, RIGHT_EYE, UPPER_LIP
from ..fit.config import FitConfig
from ..geometry.camera import window_camera
from ..model.face_model import FaceModel
from ..observe.observation import Observation
from ..scene.parameters import Parameters
from ..scene.scene import Scene
from .landmark_stage import solve_together
from .sharing import Sharing

FEWEST = 3  # photos; of two nobody can say which one is as the other

# By how much landmarks of a photo may lie worse with the common expression, in the photo where they do most. Measured
# on 14 sessions of seven people who were asked to keep still, five photos each, and on the same with an expression
# added to the landmarks of one photo. Eyes: still 1.03 to 1.23, a blink 1.61 to 1.82. Mouth: still 1.04 to 1.71, one
# session with a smile 2.15, a smile of .6 2.5 to 4.2 and a jaw open by .3 2.6 to 5.3 (of half as much six of ten are
# noticed: 1.5 to 2.8). Brows: still 1.16 to 1.63, raised by half 1.6 to 2.8.
_REGIONS = {
    "eyes": (tuple({*RIGHT_EYE, *LEFT_EYE}), 1.4),
    "mouth": (tuple({*UPPER_LIP, *LOWER_LIP}), 1.7),
    "brows": (tuple({*RIGHT_BROW, *LEFT_BROW}), 1.7),
}


@dataclass(frozen=True)
class Stillness:
    """Attributes:
    still: whether one expression does.
    worse: region -> by how much its landmarks lie worse with one, in the photo where they do most.
    """

    still: bool
    worse: dict[str, float]


def stillness(
    observation: Observation, start: Parameters, model: FaceModel, config: FitConfig, sharing: Sharing
) -> Stillness:
    """Solve the landmarks of all photos with an expression for each and with one for all.

    Args: as `facefit.person.landmark_stage.solve_together`, twice whose time it takes.
    """
    if observation.batch < FEWEST or "landmark" not in config.energies:
        return Stillness(False, {})
    # the limits are of landmarks alone: what else is observed holds the common expression back
    config = replace(config, energies=tuple(name for name in config.energies if name != "dense"))
    observation = replace(observation, identity=observation.identity[:, :0])
    own, common = (
        _errors(observation, solve_together(observation, start, model, config, replace(sharing, static=static)), model)
        for static in (False, True)
    )
    worse = {name: float((common[name] / own[name].clamp_min(1e-6)).max()) for name in _REGIONS}
    return Stillness(all(worse[name] <= most for name, (_, most) in _REGIONS.items()), worse)


@torch.no_grad()
def _errors(observation: Observation, parameters: Parameters, model: FaceModel) -> dict[str, Tensor]:
    """(B,) pixels, RMS, by region."""
    camera = window_camera(observation.camera, observation.window)
    off = Scene(model, parameters, camera, observation.window.size).landmarks() - observation.landmarks
    return {name: off[:, list(places)].square().sum(2).mean(1).sqrt() for name, (places, _) in _REGIONS.items()}
