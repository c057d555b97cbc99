"""A photo, or an observation, to a fitted face: detect, segment, first guess, full energy, result. One page."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..compute.threads import only_kernels
from ..errors import FitError
from ..model.face_model import FaceModel
from ..model.model_file import load_model
from ..observe.detector import load_detector
from ..observe.faces import LandmarkDetector, select_faces
from ..observe.lids import lids_by_masks
from ..observe.observation import Observation
from ..observe.observe import observe
from ..observe.segment.contract import PartSegmenter
from ..observe.segment.load import load_segmenter
from ..photo.photo import Photo
from ..render import Renderer, load_renderer
from ..scene.parameters import Parameters
from .config import FitConfig
from .first_guess import first_guesses
from .first_light import first_light
from .instruments import Instruments
from .objective import Objective
from .optimize import Report, minimize
from .outcome import fit_results
from .progress import Progress
from .result import FitFailure, FitResult
from .warm_start import WarmStart

logger = logging.getLogger(__name__)

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
    warm: WarmStart | None = None,
    extra_energy: ExtraEnergy | None = None,
    progress: Progress | None = None,
) -> list[FitResult]:
    """Fit the faces of a photo.

    Args:
        faces: "largest", "all" (largest first), or N, the N-th largest.
        focal: pixels of the photo; fov: degrees; see facefit.photo.camera.photo_camera for what holds without them.
        model, segmenter, detector, renderer: None loads the default one.
        warm: what an earlier fit knows of these faces; None: nothing.
        extra_energy: called with the parameters and the objective (which knows model, observation and camera); the
            terms it returns, name -> (B,), are added to the energy as they are.
        progress: called with stage, iteration, number of iterations, weighted energies.
    Returns:
        One result per face.
    Raises:
        NoFaceError: no such face. FitError: the optimisation failed.
    """
    instruments = Instruments(
        model=(model or load_model()).to(device),
        detector=detector or load_detector(),
        segmenter=segmenter or load_segmenter("auto"),
        renderer=renderer or load_renderer("auto", device),
        config=config or FitConfig(),
    )
    return fit_faces(
        photo, instruments, faces=faces, focal=focal, fov=fov, warm=warm, extra_energy=extra_energy, progress=progress
    )


@only_kernels()
def fit_faces(
    photo: Photo,
    instruments: Instruments,
    *,
    faces: str | int = "largest",
    focal: float | None = None,
    fov: float | None = None,
    warm: WarmStart | None = None,
    extra_energy: ExtraEnergy | None = None,
    progress: Progress | None = None,
) -> list[FitResult]:
    """`fit_photo` with everything loaded. Args, Returns, Raises as there."""
    began = time.perf_counter()
    detected = select_faces(instruments.detector.detect(photo.pixels), faces)
    seconds = {"detection": time.perf_counter() - began}
    results = []
    for face in detected:
        began = time.perf_counter()
        observation = observe(photo, face, instruments.segmenter, instruments.config.window, focal, fov)
        stages = {**seconds, "segmentation": time.perf_counter() - began}
        results += fit_observed(
            observation, instruments, photo=photo, seconds=stages, warm=warm, extra_energy=extra_energy,
            progress=progress,
        )  # fmt: skip
    return results


def fit_observed(observation: Observation, instruments: Instruments, **options) -> list[FitResult | FitFailure]:
    """`fit_batch` on the instruments' device. Args, Returns, Raises as there."""
    model, config, renderer = instruments.model, instruments.config, instruments.renderer
    return fit_batch(observation.to(model.device), model, config, renderer, **options)


@only_kernels()
def fit_batch(
    observation: Observation,
    model: FaceModel | None = None,
    config: FitConfig | None = None,
    renderer: Renderer | None = None,
    *,
    photo: Photo | Sequence[Photo | None] | None = None,
    seconds: dict[str, float] | Sequence[dict[str, float]] | None = None,
    warm: WarmStart | None = None,
    failures: str = "raise",
    extra_energy: ExtraEnergy | None = None,
    progress: Progress | None = None,
) -> list[FitResult | FitFailure]:
    """Fit B observed faces at once; one result each, in their order. See `fit_photo` for the rest.

    A face's result does not depend on its neighbours nor on its place: it converges, stops and fails on its own. The
    one exception are results with the status "seconds" (facefit.fit.optimize says how time is shared).

    Args:
        photo: what the faces were seen in, all in one or each in its own; None: the windows are all there is.
        seconds: of what was done before, for all faces or for each; the stages in here are added.
        failures: "raise" the FitError of the first face that fails, or "return" a FitFailure in its place.
        extra_energy: in a batch it is called with the faces that are still fitted, and so is its objective: take what
            belongs to a face from `objective.observation`.
    Raises:
        FitError: with failures "raise". ValueError: another value of `failures`.
    """
    if failures not in ("raise", "return"):
        raise ValueError(f"failures is {failures!r}; accepted: raise, return")
    config = config or FitConfig()
    model = model or load_model(device=observation.image.device)
    renderer = renderer or load_renderer("auto", model.device)
    if "prdl" in config.energies:
        observation = lids_by_masks(observation)
    batch = observation.batch
    photos = list(photo) if isinstance(photo, Sequence) else [photo] * batch
    before = list(seconds) if isinstance(seconds, Sequence) else [seconds or {}] * batch

    began = time.perf_counter()
    start, failed = first_guesses(observation, model, config, warm)
    spent = (time.perf_counter() - began) / max(batch, 1)
    stages: list[dict[str, float]] = [{**done, "landmark stage": spent} for done in before]
    results: dict[int, FitResult] = {}
    alive = [face for face in range(batch) if face not in failed]
    if alive:
        if failed:
            observation = observation[alive]
        began = time.perf_counter()
        objective = Objective(observation, model, renderer, config)
        if warm is None or warm.light:
            start = replace(start, sh=first_light(objective.scene(start), observation))
        spent += (time.perf_counter() - began) / len(alive)
        minimum = minimize(
            objective if extra_energy is None else _Extended(objective, extra_energy), start, config.stage,
            config.steps if warm is None else warm.steps(config.steps), activation=model.activation,
            max_seconds=max(1e-3, config.max_seconds - spent), report=_reporter(progress, config),
        )  # fmt: skip
        for face, used, status in zip(alive, minimum.seconds, minimum.status, strict=True):
            stages[face]["full stage"] = used + spent - stages[face]["landmark stage"]
            logger.info("face %d: %s after %.2f s", face, status, used)
        failed |= {face: FitError(text) for face, text in zip(alive, minimum.failures, strict=True) if text}
        good = [place for place, face in enumerate(alive) if face not in failed]
        if good:
            if len(good) < len(alive):
                minimum, objective, alive = minimum[good], objective.keep(good), [alive[place] for place in good]
            fitted = fit_results(minimum, objective, [photos[f] for f in alive], [stages[f] for f in alive])
            results = dict(zip(alive, fitted, strict=True))
    if failed and failures == "raise":
        raise failed[min(failed)]
    return [results[f] if f in results else FitFailure(failed[f], stages[f]) for f in range(batch)]


@dataclass(frozen=True)
class _Extended:
    """An objective with terms of the caller's own."""

    objective: Objective
    extra: ExtraEnergy

    def __call__(self, parameters: Parameters, iteration: int) -> dict[str, Tensor]:
        return {**self.objective(parameters, iteration), **self.extra(parameters, self.objective)}

    def keep(self, faces: Sequence[int]) -> _Extended:
        return replace(self, objective=self.objective.keep(faces))


def _reporter(progress: Progress | None, config: FitConfig) -> Report | None:
    if progress is None:
        return None
    return lambda iteration, energies: progress("full", iteration, config.stage.iterations, energies)
