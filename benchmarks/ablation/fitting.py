"""One fit by one method, and its figures."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

import numpy as np
import torch

from benchmarks.ablation.faces import FITTED, Face, shrink, together
from benchmarks.ablation.losses import METHODS, NONE, Loss, make_loss
from benchmarks.ablation.scene import Stage as Scenes
from benchmarks.ablation.starts import STARTS, start_parameters
from benchmarks.dataset import read_scan
from facefit.anatomy.landmarks import LANDMARKS7
from facefit.anatomy.parts import INNER, LABEL, MASKS, PARTS
from facefit.compute.threads import only_kernels
from facefit.energies.prior import activation_prior, gaussian_prior
from facefit.fit.config import FitConfig, Stage, Steps, Weights
from facefit.fit.optimize import minimize
from facefit.geometry.camera import project, to_camera_space, to_clip_space, window_camera
from facefit.metrics.landmark_error import landmark_error
from facefit.metrics.part_iou import mean_iou, part_iou
from facefit.metrics.scan_distance import scan_error
from facefit.model.face_model import FaceModel
from facefit.observe.observation import Observation
from facefit.observe.segment.masks import above_brows
from facefit.render import Renderer
from facefit.scene.landmarks import contour_choice, project_landmarks
from facefit.scene.parameters import Parameters

ITERATIONS = 40
REFRESH = 8
PART_WEIGHTS = FitConfig().part_weights
SCAN_SAMPLES = 1500
SCAN_REACH = 125.0  # mm around the face's middle: the mesh beyond lies nowhere near the scan's face


@dataclass(frozen=True)
class Settings:
    """What is searched for each method.

    Attributes:
        step: times the product's steps of every parameter (facefit.fit.config.Steps). weight: times the method's own.
        scale: times the paper's reach, for methods that have one.
    """

    step: float = 16.0
    weight: float = 1.0
    scale: float = 1.0


@dataclass(frozen=True)
class Bench:
    """What all fits share."""

    model: FaceModel
    renderer: Renderer
    seed: int = 0
    iterations: int = ITERATIONS
    window: int = FITTED
    scans: bool = True  # whether the scan error is measured: it takes longer than a fit


@only_kernels()
def fit_faces(bench: Bench, method: str, settings: Settings, faces: list[Face], start: str) -> list[dict]:
    """Fit some faces from one start; their figures in the same order.

    Returns:
        method, face, start, the settings, seconds (of one face), and the figures of `judge`.
    """
    begun = {s.name: s for s in STARTS}[start]
    seen = shrink(together([face.observation for face in faces]), bench.window)
    first = start_parameters(seen, bench.model, begun, [face.key for face in faces], bench.seed)
    began = time.process_time()
    last = first if method == NONE else descend(bench, method, settings, seen, first)
    seconds = (time.process_time() - began) / len(faces)
    return [
        {"method": method, "face": face.key, "start": start, **asdict(settings), "seconds": round(seconds, 4),
         **judge(last[number], face, bench)}
        for number, face in enumerate(faces)
    ]  # fmt: skip


def descend(
    bench: Bench, method: str, settings: Settings, seen: Observation, first: Parameters, *, loss: Loss | None = None,
    part_weights: tuple[float, ...] = PART_WEIGHTS,
) -> Parameters:  # fmt: skip
    """Minimise one method's energy and the priors. `loss` takes the place of the method's own, with its weight."""
    loss = loss or make_loss(method, bench.renderer)
    targets = loss.targets(seen)
    scenes = Scenes(seen, bench.model, bench.renderer, REFRESH, triangles=loss.triangles)
    weights, scale = Weights(), FitConfig().activation_scale
    weight = METHODS[method].weight * settings.weight
    share = torch.tensor(part_weights)

    def energy(parameters: Parameters, iteration: int) -> dict[str, torch.Tensor]:
        parts = loss(scenes(parameters, iteration), targets, settings.scale)
        expression = activation_prior(parameters.expression, weights.sparsity, scale)
        return {
            "parts": weight * (parts * share).sum(1),
            "identity": weights.identity * gaussian_prior(parameters.identity),
            "expression": weights.expression * expression,
            # no part hangs on them; here so that each has a gradient
            "rest": 0.0 * (parameters.albedo.sum(1) + parameters.sh.sum((1, 2)) + parameters.gaze.sum((1, 2))),
        }

    steps = Steps(**{name: value * settings.step for name, value in asdict(Steps()).items()})
    # the same number of iterations for all: none stops early
    stage = Stage(iterations=bench.iterations, refresh=REFRESH, patience=bench.iterations + 1)
    return minimize(energy, first, stage, steps, activation=bench.model.activation).parameters


@torch.no_grad()
def judge(parameters: Parameters, face: Face, bench: Bench) -> dict:
    """Figures of one fit: IoU of each part with the face's masks, their mean over the seven inner parts, landmark error
    (of the distance of the outer eye corners), and the scan error where the true surface is known (mm, similarity)."""
    model, seen = bench.model, face.observation
    size, camera = seen.size, window_camera(seen.camera, seen.window)
    verts = model.shape(parameters.identity, parameters.expression)
    points = to_camera_space(verts, parameters.rotvec, parameters.translation)
    rast = bench.renderer.rasterize(to_clip_space(points, camera, size), model.faces, size)
    share = bench.renderer.interpolate(model.part_weight[None], rast, model.faces)
    label = torch.where(rast[0, ..., 3] > 0, share[0].argmax(-1), 0).numpy()
    target = np.zeros((size, size), np.int64)
    for channel, name in enumerate(PARTS):
        target[seen.part_masks[0, channel].numpy() > 0.5] = LABEL[name]
    hidden = seen.part_masks[0, MASKS.index("hair") :].amax(0).numpy() > 0.5
    hidden |= (label == LABEL["skin"]) & above_brows((size, size), seen.brow_line[0].numpy())
    scores = part_iou(np.where(hidden, 0, label), target, target_only=True)
    pixels = project_landmarks(model, points, camera, contour_choice(model, project(points, camera)))
    error = float(landmark_error(pixels, seen.landmarks, seen.landmark_confidence)[0])
    out = {
        "iou": mean_iou(scores, INNER),
        "parts": {name: None if scores[name] is None else round(scores[name], 5) for name in PARTS},
        "landmark_error": error,
    }
    if bench.scans and face.case.scan is not None:
        scan = read_scan(face.case.scan)
        seven = model.landmarks(verts)[0, list(LANDMARKS7)].numpy()
        middle = model.landmarks(model.verts[None])[0].mean(0)
        near = (model.verts - middle).norm(dim=1)[model.faces].amax(1) < SCAN_REACH
        found = scan_error(
            verts[0].numpy(), model.faces[near].numpy(), seven, scan.verts, scan.faces, scan.landmarks7, scan.region,
            samples=SCAN_SAMPLES,
        )  # fmt: skip
        out["scan_error"] = found["median"]
    return out
