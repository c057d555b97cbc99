"""A photo, or an observation, to a fitted face: what users call. What is not given is loaded; then fit.descent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, overload

import torch

from ..model.face_model import FaceModel
from ..model.model_file import load_model
from ..observe.detector import load_detector
from ..observe.faces import LandmarkDetector
from ..observe.observation import Observation
from ..observe.recognition import Recognition
from ..observe.segment.contract import PartSegmenter
from ..observe.segment.load import load_segmenter
from ..photo.photo import Photo
from ..render import Renderer, load_renderer
from .config import FitConfig
from .descent import ExtraEnergy, descend, fit_faces
from .instruments import Instruments, dense_observer
from .progress import Progress
from .result import FitFailure, FitResult
from .warm_start import WarmStart


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
    recognition: Recognition | None = None,
    device: torch.device | str = "cpu",
    warm: WarmStart | None = None,
    extra_energy: ExtraEnergy | None = None,
    progress: Progress | None = None,
) -> list[FitResult]:
    """Fit the faces of a photo.

    Args:
        config: how to fit; None: the default preset.
        device: where is fitted, as torch names it.
        faces: "largest", "all" (largest first), or N, the N-th largest.
        focal: pixels of the photo; fov: degrees; see facefit.photo.camera.photo_camera for what holds without them.
        model, segmenter, detector, renderer: None loads the default one.
        recognition: what the energy "perceptual" asks, where `config` has it (facefit.observe.recognition).
        warm: what an earlier fit knows of these faces; None: nothing.
        extra_energy: called with the parameters and the objective (which knows model, observation and camera); the
            terms it returns, name -> (B,), are added to the energy as they are.
        progress: called with stage, iteration, number of iterations, weighted energies.
    Returns:
        One result per face.
    Raises:
        NoFaceError: no such face. FitError: the optimisation failed.
    """
    head, how = (model or load_model()).to(device), config or FitConfig()
    instruments = Instruments(
        model=head,
        detector=detector or load_detector(),
        segmenter=segmenter or load_segmenter("auto"),
        renderer=renderer or load_renderer("auto", device),
        config=how,
        dense=dense_observer(head, how),
        recognition=None if recognition is None else recognition.to(device),
    )
    return fit_faces(
        photo, instruments, faces=faces, focal=focal, fov=fov, warm=warm, extra_energy=extra_energy, progress=progress
    )


@overload
def fit_batch(
    observation: Observation,
    model: FaceModel | None = None,
    config: FitConfig | None = None,
    renderer: Renderer | None = None,
    *,
    recognition: Recognition | None = None,
    photo: Photo | Sequence[Photo | None] | None = None,
    seconds: dict[str, float] | Sequence[dict[str, float]] | None = None,
    warm: WarmStart | None = None,
    failures: Literal["raise"] = "raise",
    extra_energy: ExtraEnergy | None = None,
    progress: Progress | None = None,
) -> list[FitResult]: ...


@overload
def fit_batch(
    observation: Observation,
    model: FaceModel | None = None,
    config: FitConfig | None = None,
    renderer: Renderer | None = None,
    *,
    recognition: Recognition | None = None,
    photo: Photo | Sequence[Photo | None] | None = None,
    seconds: dict[str, float] | Sequence[dict[str, float]] | None = None,
    warm: WarmStart | None = None,
    failures: Literal["return"],
    extra_energy: ExtraEnergy | None = None,
    progress: Progress | None = None,
) -> list[FitResult | FitFailure]: ...


def fit_batch(
    observation: Observation,
    model: FaceModel | None = None,
    config: FitConfig | None = None,
    renderer: Renderer | None = None,
    *,
    recognition: Recognition | None = None,
    photo: Photo | Sequence[Photo | None] | None = None,
    seconds: dict[str, float] | Sequence[dict[str, float]] | None = None,
    warm: WarmStart | None = None,
    failures: Literal["raise", "return"] = "raise",
    extra_energy: ExtraEnergy | None = None,
    progress: Progress | None = None,
) -> list[FitResult] | list[FitResult | FitFailure]:
    """Fit B observed faces at once; one result each, in their order. See `fit_photo` for the rest.

    A face's result does not depend on its neighbours nor on its place: it converges, stops and fails on its own. The
    one exception are results with the status "seconds" (facefit.fit.optimize says how time is shared).

    Args:
        observation: of B faces, on the model's device. recognition: on that device, too.
        photo: what the faces were seen in, all in one or each in its own; None: the windows are all there is.
        seconds: of what was done before, for all faces or for each; the stages in here are added.
        failures: "raise" the FitError of the first face that fails, or "return" a FitFailure in its place.
        extra_energy: in a batch it is called with the faces that are still fitted, and so is its objective: take what
            belongs to a face from `objective.observation`.
    Raises:
        FitError: with failures "raise". ValueError: another value of `failures`.
    """
    model = model or load_model(device=observation.image.device)
    return descend(
        observation, model, config or FitConfig(), renderer or load_renderer("auto", model.device),
        recognition=recognition, photo=photo, seconds=seconds, warm=warm, failures=failures,
        extra_energy=extra_energy, progress=progress,
    )  # fmt: skip
