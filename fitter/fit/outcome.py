"""What a finished optimisation has become: a FitResult for every face, measured against its photo."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..anatomy.parts import LABEL, MASKS, PARTS
from ..compute.derived import derived
from ..energies.prdl.select import above_brows as points_above_brows
from ..errors import FitError
from ..geometry.camera import WindowTransform, window_camera
from ..metrics.landmark_error import landmark_error
from ..metrics.part_iou import part_iou
from ..model.face_model import FaceModel
from ..observe.observation import Observation
from ..observe.segment.masks import above_brows
from ..photo.photo import Photo
from ..scene.scene import Scene
from ..version import VERSION
from .objective import Objective
from .optimize import Minimum
from .result import FitFailure, FitResult
from .verdict import verdict


@torch.no_grad()
def fit_results(
    minimum: Minimum,
    objective: Objective,
    photos: Sequence[Photo | None],
    seconds: Sequence[dict[str, float]],
) -> list[FitResult | FitFailure]:
    """One result for each face of the objective, or the failure of one that does not lie on its face.

    Args:
        minimum: what was found for the B faces of the objective.
        photos: what each face was seen in; None: its window is all there is.
        seconds: of the stages of each face, name -> seconds.
    """
    observation, scene = objective.observation, objective.scene(minimum.parameters)
    if "photometric" in objective.config.energies:
        observation = without_fringe(observation, scene.picture())
    scores = measure(scene, observation)
    model, parameters, observation = on_cpu(objective.model), minimum.parameters.to("cpu"), observation.to("cpu")
    energies = {name: value.tolist() for name, value in minimum.energies.items()}
    versions = {
        "facefit": VERSION, "python": platform.python_version(), "torch": torch.__version__.split("+")[0],
        "numpy": np.__version__,
    }  # fmt: skip
    results: list[FitResult | FitFailure] = []
    for face, (iou, error) in enumerate(scores):
        status = verdict(minimum.status[face], error, iou)
        if isinstance(status, FitError):
            results.append(FitFailure(status, seconds[face]))
            continue
        one, photo = observation[face], photos[face]
        camera, window = one.camera, one.window
        if photo is None:  # without the photo the window is the picture
            camera = window_camera(camera, window)
            window = WindowTransform(torch.zeros(1, 2), torch.ones(1), one.size)
        results.append(
            FitResult(
                model=model,
                parameters=parameters[face],
                camera=camera,
                window=window,
                observation=one,
                photo=(one.image[0].numpy() * 255 + 0.5).astype(np.uint8) if photo is None else photo.pixels,
                photo_path="" if photo is None else str(photo.path),
                energies={name: value[face] for name, value in energies.items()},
                part_iou=iou,
                landmark_error=error,
                trace=minimum.traces[face],
                seconds=seconds[face],
                config=objective.config.as_dict(),
                versions=versions,
                status=status,
            )
        )
    return results


def on_cpu(model: FaceModel) -> FaceModel:
    """The model where results live; copied from a GPU once."""
    return model if model.device.type == "cpu" else derived(model, "on the CPU", lambda own: own.to("cpu"))


@torch.no_grad()
def without_fringe(observation: Observation, rendered: Tensor, threshold: float = 0.25) -> Observation:
    """The forehead's pixels that the fitted skin does not explain are hair: no longer valid, so not in the texture.

    Only above the brows: elsewhere a difference may as well be a smile's fold, a beard or the model's fault.

    Args:
        rendered: (B, S, S, 3) the fitted mesh. threshold: of the RGB difference, in [0, 1.7], over 5 x 5 pixels.
    """
    line = torch.arange(observation.size, device=rendered.device) + 0.5
    row, column = torch.meshgrid(line, line, indexing="ij")
    grid = torch.stack([column, row], -1).reshape(1, -1, 2).expand(observation.batch, -1, -1)
    forehead = points_above_brows(grid, observation.brow_line).reshape(observation.valid.shape)
    difference = (rendered - observation.image).norm(dim=-1) * forehead
    near = torch.nn.functional.avg_pool2d(difference[:, None], 5, 1, 2, count_include_pad=False)
    strange = torch.nn.functional.max_pool2d((near > threshold).float(), 5, 1, 2)[:, 0]
    return replace(observation, valid=observation.valid * (1 - strange * forehead))


@torch.no_grad()
def measure(scene: Scene, observation: Observation) -> list[tuple[dict[str, float | None], float]]:
    """For each face the Part IoU of the mesh against the observation's own masks (a self-consistency figure), and the
    landmark error."""
    size, labels = observation.size, scene.part_picture().cpu().numpy()
    masks, lines = (observation.part_masks > 0.5).cpu().numpy(), observation.brow_line.cpu().numpy()
    errors = landmark_error(scene.landmarks(), observation.landmarks, observation.landmark_confidence).tolist()
    scores = []
    for label, mask, line, error in zip(labels, masks, lines, errors, strict=True):
        target = np.zeros((size, size), np.int64)
        for channel, name in enumerate(PARTS):
            target[mask[channel]] = LABEL[name]
        # the targets leave out hair, occluders and the forehead; so does the comparison
        hidden = mask[MASKS.index("hair") :].any(0)
        hidden |= (label == LABEL["skin"]) & above_brows((size, size), line)
        scores.append((part_iou(np.where(hidden, 0, label), target), error))
    return scores
