"""Whether a person kept still: whether any photo's landmarks are off as a smile, a jaw, lids or brows would move them.

All photos are given one expression. What that leaves over in a photo is compared with what a movement does to the
landmarks: the amount of it that explains most, each landmark counting as the detector is known to see it. Amounts that
all photos have are of the model; the largest difference from their mean is what a subject moved, or what the detector
made up. The latter grows with the number of photos as the largest of so many errors does, and is divided by that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..anatomy.landmarks import IRISES, LANDMARKS, LEFT_BROW, LID_PAIRS, RIGHT_BROW
from ..compute.derived import derived
from ..energies.landmark import calibrated_precision
from ..fit.config import FitConfig
from ..geometry.camera import window_camera
from ..model.face_model import FaceModel
from ..model.model_file import load_model
from ..observe.observation import Observation
from ..scene.landmarks import landmark_trust
from ..scene.parameters import Parameters
from ..scene.scene import Scene
from .landmark_stage import solve_together
from .sharing import Sharing

FEWEST = 3  # photos; of two nobody can say which one is as the other


@dataclass(frozen=True)
class Movement:
    """Attributes:
    shapes: ARKit's names without their sides; all of them at once, at activation 1, are the movement.
    places: the landmarks that are asked. The mouth's movements are asked of all, for they move jaw and cheeks along.
    most: of it, in the photo where it is most, for whoever kept still (`python -m training.stillness`).
    """

    shapes: tuple[str, ...]
    places: tuple[int, ...]
    most: float


_SKIN = tuple(range(IRISES.start))

# Of 39 rendered people who kept still 95 % are below each limit, but 90 % below that of brows: with .1 in place of it
# 68 % of brows raised by half were noticed, with it 85 %. 13 sessions of seven people who were asked to keep still,
# five photos each, have at most .035, .059, .018, .057 and .037; one with a smile .068, .079, .016, .014 and .050.
MOVEMENTS = {
    "smile": Movement(("mouthSmile",), _SKIN, 0.05),
    "pucker": Movement(("mouthPucker",), _SKIN, 0.1),
    "jaw": Movement(("jawOpen",), _SKIN, 0.038),
    "blink": Movement(("eyeBlink",), tuple(sorted(place for pair in LID_PAIRS for place in pair)), 0.135),
    "brows": Movement(("browInnerUp", "browOuterUp"), tuple(sorted({*RIGHT_BROW, *LEFT_BROW})), 0.08),
}


@dataclass(frozen=True)
class Stillness:
    """Attributes:
    still: whether one expression does.
    moved: movement -> how much of it there is in the photo where it is most, as MOVEMENTS limits it.
    """

    still: bool
    moved: dict[str, float]


def stillness(
    observation: Observation, start: Parameters, model: FaceModel, config: FitConfig, sharing: Sharing
) -> Stillness:
    """Solve the landmarks of all photos with one expression and look at what is left.

    Args: as `facefit.person.landmark_stage.solve_together`, whose time it takes.
    """
    if observation.batch < FEWEST or "landmark" not in config.energies:
        return Stillness(False, {})
    # the limits are of landmarks alone: what else is observed holds the common expression back
    config = replace(config, energies=tuple(name for name in config.energies if name != "dense"))
    observation = replace(observation, identity=observation.identity[:, :0])
    common = solve_together(observation, start, model, config, replace(sharing, static=True))
    found = amounts(observation, common, model, config)
    moved = {name: float((value - value.mean()).abs().max()) / _largest(len(value)) for name, value in found.items()}
    return Stillness(all(moved[name] <= movement.most for name, movement in MOVEMENTS.items()), moved)


@torch.no_grad()
def amounts(observation: Observation, common: Parameters, model: FaceModel, config: FitConfig) -> dict[str, Tensor]:
    """movement -> (B,) how much of it each photo shows beyond what its parameters have, in activations.

    Args:
        common: of B photos, the pose being right; it is held.
    """
    camera = window_camera(observation.camera, observation.window)
    scene = Scene(model, common, camera, observation.window.size)
    rotation, millimetres = scene.rotation(), -common.translation[:, 2] / camera.focal.mean(1)
    bias, precision = calibrated_precision(
        scene.yaw(), model.landmark_yaw, model.landmark_bias, model.landmark_covariance, millimetres,
        config.landmark_floor,
    )  # fmt: skip
    left = observation.landmarks - scene.landmarks() - bias
    distance = (left[..., None, :] @ precision @ left[..., None])[..., 0, 0].clamp_min(0).sqrt()
    counted = observation.landmark_confidence * landmark_trust(model, rotation)
    counted = counted * config.robust / distance.clamp_min(config.robust)
    found = {}
    for name, moves in derived(_with_movements(model), "movements", _moves).items():
        moves = moves.to(rotation) @ rotation.transpose(1, 2)  # (B, L, 3) mm, camera space
        along = moves[..., :2] * moves.new_tensor([1.0, -1.0]) / millimetres[:, None, None]
        weighed = counted[..., None] * (precision @ along[..., None])[..., 0]
        places = list(MOVEMENTS[name].places)
        above, below = ((weighed * value)[:, places].sum((1, 2)) for value in (left, along))
        found[name] = above / below.clamp_min(1e-12)
    return found


def _largest(count: int) -> float:
    """About how far the farthest of so many normal errors lies from their mean, in deviations."""
    return math.sqrt(2 * math.log(count) * (1 - 1 / count))


def _with_movements(model: FaceModel) -> FaceModel:
    """The model, or the bundled one where it knows ARKit's shapes by other names or not at all."""
    known = {name.removesuffix("Left").removesuffix("Right") for name in model.expression_names}
    wanted = {shape for movement in MOVEMENTS.values() for shape in movement.shapes}
    return model if model.activation and wanted <= known and len(model.landmark_faces) == LANDMARKS else load_model()


def _moves(model: FaceModel) -> dict[str, Tensor]:
    """movement -> (L, 3) mm, what it does to the landmarks of the mean face."""
    moves = model.landmarks(model.expression_basis)
    stems = [name.removesuffix("Left").removesuffix("Right") for name in model.expression_names]
    return {
        name: moves[[place for place, stem in enumerate(stems) if stem in movement.shapes]].sum(0)
        for name, movement in MOVEMENTS.items()
    }
