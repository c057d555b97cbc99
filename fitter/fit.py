"""A photo, or an observation, to a fitted face: detect, segment, first guess, full energy, result. One page."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from fitter.camera import Camera, WindowTransform, project, to_camera_space, to_clip_space, window_camera
from fitter.config import FitConfig
from fitter.energies.prdl import above_brows as points_above_brows
from fitter.image import Photo, crop_window, photo_camera
from fitter.initialize import landmark_solver
from fitter.landmarks import DetectedFace, LandmarkDetector, load_detector, select_faces
from fitter.metrics import landmark_error, part_iou
from fitter.model.face_model import FaceModel, load_model
from fitter.objective import Objective
from fitter.observation import LABEL, MASKS, PARTS, Observation
from fitter.optimize import Minimum, minimize
from fitter.parallel import only_kernels
from fitter.parameters import Parameters
from fitter.render import Renderer, load_renderer
from fitter.result import FitResult
from fitter.scene import contour_choice, project_landmarks
from fitter.segmentation import PartSegmenter, above_brows, load_segmenter, post_process
from fitter.version import facefit_version

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int, dict[str, float]], None]
ExtraEnergy = Callable[[Parameters, Objective], dict[str, torch.Tensor]]


@only_kernels()
def fit_photo(
    photo: Photo,
    config: FitConfig | None = None,
    *,
    model: FaceModel | None = None,
    faces: str | int = "largest",
    focal: float | None = None,
    fov: float | None = None,
    segmenter: PartSegmenter | None = None,
    detector: LandmarkDetector | None = None,
    renderer: Renderer | None = None,
    device: torch.device | str = "cpu",
    extra_energy: ExtraEnergy | None = None,
    progress: Progress | None = None,
) -> list[FitResult]:
    """Fit the faces of a photo.

    Args:
        faces: "largest", "all" (largest first), or N, the N-th largest.
        focal: pixels of the photo; fov: degrees; see fitter.image.photo_camera for what holds without them.
        model, segmenter, detector, renderer: None loads the default one.
        extra_energy: called with the parameters and the objective (which knows model, observation and camera); the
            terms it returns, name -> (B,), are added to the energy as they are.
        progress: called with stage, iteration, number of iterations, weighted energies.
    Returns:
        One result per face.
    Raises:
        NoFaceError: no such face. FitError: the optimisation failed.
    """
    config = config or FitConfig()
    model = (model or load_model()).to(device)
    segmenter = segmenter or load_segmenter("auto")
    renderer = renderer or load_renderer("auto", device)
    began = time.perf_counter()
    detected = select_faces((detector or load_detector()).detect(photo.pixels), faces)
    seconds = {"detection": time.perf_counter() - began}
    results = []
    for face in detected:
        began = time.perf_counter()
        observation = observe(photo, face, segmenter, config, focal, fov)
        stages = {**seconds, "segmentation": time.perf_counter() - began}
        results += fit_batch(
            observation.to(device), model, config, renderer, photo=photo, seconds=stages, extra_energy=extra_energy,
            progress=progress,
        )  # fmt: skip
    return results


def observe(
    photo: Photo, face: DetectedFace, segmenter: PartSegmenter, config: FitConfig, focal: float | None = None,
    fov: float | None = None,
) -> Observation:  # fmt: skip
    """What is known of one detected face (B = 1, on the CPU)."""
    window = crop_window(face.landmarks, config.window)
    image, inside = photo.window_image(window)
    landmarks = window.to_window(torch.from_numpy(face.landmarks)[None])
    segmentation = segmenter.segment(image, landmarks[0].numpy(), window)
    masks, valid, brow_line = post_process(segmentation, landmarks[0].numpy())
    side = float(config.window / window.scale[0])
    outside = (landmarks < 0).any(-1) | (landmarks > config.window).any(-1)
    photo_size = torch.tensor([photo.width, photo.height], dtype=torch.float32)
    in_photo = torch.from_numpy(face.landmarks)[None]
    outside |= (in_photo < 0).any(-1) | (in_photo > photo_size).any(-1)
    return Observation(
        image=torch.from_numpy(image)[None],
        landmarks=landmarks,
        landmark_confidence=(~outside).float(),
        part_masks=torch.from_numpy(masks)[None],
        valid=torch.from_numpy(valid * (inside > 0.99))[None].float(),
        brow_line=torch.from_numpy(brow_line)[None],
        camera=photo_camera(photo, focal, fov, side),
        window=window,
    )


@only_kernels()
def fit_batch(
    observation: Observation,
    model: FaceModel | None = None,
    config: FitConfig | None = None,
    renderer: Renderer | None = None,
    *,
    photo: Photo | None = None,
    seconds: dict[str, float] | None = None,
    extra_energy: ExtraEnergy | None = None,
    progress: Progress | None = None,
) -> list[FitResult]:
    """Fit B observed faces; one result each, in their order. See `fit_photo`."""
    config = config or FitConfig()
    model = model or load_model(device=observation.image.device)
    renderer = renderer or load_renderer("auto", model.device)
    seconds = dict(seconds or {})
    torch.manual_seed(config.seed)

    began = time.perf_counter()
    start = first_guess(observation, model, config)
    seconds["landmark stage"] = time.perf_counter() - began

    began = time.perf_counter()
    objective = Objective(observation, model, renderer, config)
    start = replace(start, sh=objective.first_light(start))

    def energy(parameters: Parameters, iteration: int) -> dict[str, torch.Tensor]:
        terms = objective(parameters, iteration)
        return terms if extra_energy is None else {**terms, **extra_energy(parameters, objective)}

    def report(iteration: int, energies: dict[str, float]) -> None:
        if progress is not None:
            progress("full", iteration, config.stage.iterations, energies)

    minimum = minimize(
        energy, start, config.stage, config.steps, activation=model.activation,
        max_seconds=max(1e-3, config.max_seconds - seconds["landmark stage"]), report=report,
    )  # fmt: skip
    seconds["full stage"] = time.perf_counter() - began
    logger.info("%d iterations in %.2f s, %s", minimum.iterations, seconds["full stage"], ", ".join(minimum.status))
    if "photometric" in config.energies:
        observation = without_fringe(observation, objective.rendered(minimum.parameters)[0])
    return [_result(k, minimum, observation, objective, photo, seconds) for k in range(observation.batch)]


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


def first_guess(observation: Observation, model: FaceModel, config: FitConfig) -> Parameters:
    """Parameters from landmarks (rigid and landmark stage). Without the landmark energy only the pose is taken from
    them and the face is the mean one: then segmentation and colours must do the rest."""
    camera = window_camera(observation.camera, observation.window)
    solver = landmark_solver(model)
    if "landmark" not in config.energies:
        config = replace(config, landmark_iterations=0)
    return solver.solve(observation.landmarks, observation.landmark_confidence, camera, config)


def _result(
    index: int, minimum: Minimum, observation: Observation, objective: Objective, photo: Photo | None,
    seconds: dict[str, float],
) -> FitResult:  # fmt: skip
    one = observation[index]
    parameters = minimum.parameters[index]
    iou, error = measure(parameters, one, objective)
    pixels = photo.pixels if photo is not None else (one.image[0].cpu().numpy() * 255 + 0.5).astype(np.uint8)
    camera, window = one.camera, one.window
    if photo is None:  # without the photo the window is the picture
        camera = window_camera(camera, window)
        window = WindowTransform(torch.zeros(1, 2), torch.ones(1), one.size)
    return FitResult(
        model=objective.model.to("cpu"),
        parameters=parameters.to("cpu"),
        camera=Camera(camera.focal.cpu(), camera.centre.cpu()),
        window=window.to("cpu"),
        observation=one.to("cpu"),
        photo=pixels,
        photo_path=str(photo.path) if photo is not None else "",
        energies={name: float(value[index]) for name, value in minimum.energies.items()},
        part_iou=iou,
        landmark_error=error,
        trace=minimum.trace if index == 0 else (),
        seconds=seconds,
        seed=objective.config.seed,
        config=objective.config.as_dict(),
        versions={
            "facefit": facefit_version(), "python": platform.python_version(),
            "torch": torch.__version__.split("+")[0], "numpy": np.__version__,
        },
        status=minimum.status[index],
    )  # fmt: skip


@torch.no_grad()
def measure(parameters: Parameters, observation: Observation, objective: Objective) -> tuple[dict, float]:
    """Part IoU of the mesh against the observation's own masks (a self-consistency figure), and the landmark error."""
    model, size = objective.model, observation.size
    camera = window_camera(observation.camera, observation.window)
    verts = model.shape(parameters.identity, parameters.expression, parameters.gaze, parameters.joints)
    points = to_camera_space(verts, parameters.rotvec, parameters.translation)
    rast = objective.renderer.rasterize(to_clip_space(points, camera, size), model.faces, size)
    share = objective.renderer.interpolate(model.part_weight[None], rast, model.faces)
    label = torch.where(rast[0, ..., 3] > 0, share[0].argmax(-1), 0).cpu().numpy()
    target = np.zeros((size, size), np.int64)
    for channel, name in enumerate(PARTS):
        target[observation.part_masks[0, channel].cpu().numpy() > 0.5] = LABEL[name]
    # the targets leave out hair, occluders and the forehead; so does the comparison
    hidden = observation.part_masks[0, MASKS.index("hair") :].amax(0).cpu().numpy() > 0.5
    hidden |= (label == LABEL["skin"]) & above_brows((size, size), observation.brow_line[0].cpu().numpy())
    iou = part_iou(np.where(hidden, 0, label), target)
    pixels = project_landmarks(model, points, camera, contour_choice(model, project(points, camera)))
    error = landmark_error(pixels, observation.landmarks, observation.landmark_confidence)
    return iou, float(error[0])
