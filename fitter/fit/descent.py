"""The way of a photo with everything loaded: detect, segment, first guess, full energy, result. One page."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, overload

from torch import Tensor

from ..compute.threads import only_kernels
from ..errors import FitError
from ..model.face_model import FaceModel
from ..observe.faces import select_faces
from ..observe.lids import lids_by_masks
from ..observe.observation import Observation
from ..observe.recognition import Recognition
from ..photo.photo import Photo
from ..render import Renderer
from ..scene.parameters import Parameters
from .config import FitConfig
from .first_guess import first_guesses, first_light
from .identity_guess import expected
from .instruments import Instruments
from .objective import Objective
from .optimize import Report, minimize
from .outcome import fit_results
from .progress import Progress
from .result import FitFailure, FitResult
from .warm_start import WarmStart

logger = logging.getLogger(__name__)

ExtraEnergy = Callable[[Parameters, Objective], dict[str, Tensor]]


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
    """The faces of a photo. Args, Returns, Raises as `facefit.fit.fit.fit_photo`."""
    began = time.perf_counter()
    detected = select_faces(instruments.detector.detect(photo.pixels), faces)
    seconds = {"detection": time.perf_counter() - began}
    results: list[FitResult] = []
    for face in detected:
        began = time.perf_counter()
        observation = instruments.observe(photo, face, focal, fov)
        stages = {**seconds, "segmentation": time.perf_counter() - began}
        results += fit_observed(
            observation, instruments, photo=photo, seconds=stages, warm=warm, extra_energy=extra_energy,
            progress=progress,
        )  # fmt: skip
    return results


@overload
def fit_observed(
    observation: Observation, instruments: Instruments, *, failures: Literal["raise"] = "raise", **options: Any
) -> list[FitResult]: ...


@overload
def fit_observed(
    observation: Observation, instruments: Instruments, *, failures: Literal["return"], **options: Any
) -> list[FitResult | FitFailure]: ...


def fit_observed(
    observation: Observation, instruments: Instruments, **options: Any
) -> list[FitResult] | list[FitResult | FitFailure]:
    """Fit B observed faces on the instruments' device. Args, Returns, Raises as `facefit.fit.fit.fit_batch`."""
    model, config, renderer = instruments.model, instruments.config, instruments.renderer
    return descend(
        observation.to(model.device), model, config, renderer, recognition=instruments.recognition, **options
    )  # fmt: skip


@only_kernels()
def descend(
    observation: Observation,
    model: FaceModel,
    config: FitConfig,
    renderer: Renderer,
    *,
    recognition: Recognition | None = None,
    photo: Photo | Sequence[Photo | None] | None = None,
    seconds: dict[str, float] | Sequence[dict[str, float]] | None = None,
    warm: WarmStart | None = None,
    failures: Literal["raise", "return"] = "raise",
    extra_energy: ExtraEnergy | None = None,
    progress: Progress | None = None,
) -> list[FitResult | FitFailure]:
    """Fit B observed faces at once. Args, Returns, Raises as `facefit.fit.fit.fit_batch`."""
    if failures not in ("raise", "return"):
        raise ValueError(f"failures is {failures!r}; accepted: raise, return")
    if "prdl" in config.energies:
        observation = lids_by_masks(observation)
    batch = observation.batch
    photos = list(photo) if isinstance(photo, Sequence) else [photo] * batch
    before = list(seconds) if isinstance(seconds, Sequence) else [seconds or {}] * batch

    began = time.perf_counter()
    if warm is None or "identity" not in warm.fixed:
        observation = expected(observation, model, config)
    start, failed = first_guesses(observation, model, config, warm)
    spent = (time.perf_counter() - began) / max(batch, 1)
    stages: list[dict[str, float]] = [{**done, "landmark stage": spent} for done in before]
    results: dict[int, FitResult] = {}
    alive = [face for face in range(batch) if face not in failed]
    if start is not None:  # of those that are alive
        if failed:
            observation = observation[alive]
        began = time.perf_counter()
        objective = Objective(observation, model, renderer, config, recognition)
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
            for face, each in zip(alive, fitted, strict=True):
                if isinstance(each, FitFailure):
                    failed[face] = each.error
                else:
                    results[face] = each
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

    @property
    def jump(self) -> Tensor | None:
        """As of the objective."""
        return self.objective.jump

    def keep(self, faces: Sequence[int]) -> _Extended:
        return replace(self, objective=self.objective.keep(faces))


def _reporter(progress: Progress | None, config: FitConfig) -> Report | None:
    if progress is None:
        return None
    return lambda iteration, energies: progress("full", iteration, config.stage.iterations, energies)
