"""Several photos to one person in one call, for who works in Python; what is not given is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..fit.config import FitConfig
from ..fit.instruments import Instruments, dense_observer
from ..model.face_model import FaceModel
from ..model.model_file import load_model
from ..observe.detector import load_detector
from ..observe.recognition import Recognition
from ..observe.segment.load import load_segmenter
from ..render import load_renderer
from ..scene.parameters import Parameters
from .people import Reference
from .person import Person, PersonFitter, Progress
from .photos import person_photos
from .sharing import Sharing


def fit_person(
    photos: Sequence[Path | str],
    config: FitConfig | None = None,
    *,
    model: FaceModel | None = None,
    recognition: Recognition | None = None,
    focal: float | None = None,
    sharing: Sharing | None = None,
    like: Reference | Parameters | None = None,
    keep_all: bool = False,
    detail: bool = True,
    every: int | None = None,
    progress: Progress | None = None,
) -> Person:
    """Fit one person to several photos.

    Args:
        photos: files, folders, lists, patterns, videos.
        config, model: None: the default ones. recognition: what the energy "perceptual" asks, where `config` has it.
        focal: pixels of every photo. sharing: what the photos have in common besides identity and albedo;
            None: whether the expression is common, too, is found out.
        like: the person, or parameters of a fit of one photo, to tell others by.
        keep_all: nobody is left out as another person.
        detail: refine the surface by shading. every: take each N-th frame of a video.
        progress: called with the stage, the step and the number of steps.
    Returns:
        The person; `facefit.person.files.person_contents` makes the files, `neutral_result` the head as a result.
    Raises:
        ImageError: there is nothing of that name. NoFaceError: no photo shows a face.
    """
    head, how = model or load_model(), config or FitConfig()
    instruments = Instruments(
        model=head, detector=load_detector(), segmenter=load_segmenter("auto"), renderer=load_renderer("auto"),
        config=how, dense=dense_observer(head, how), recognition=recognition,
    )  # fmt: skip
    found = person_photos([Path(path) for path in photos], every)
    known = Reference.of(like) if isinstance(like, Parameters) else like
    fitter = PersonFitter(
        instruments, focal=focal, sharing=sharing or Sharing(static=None), like=known, keep_all=keep_all, detail=detail
    )
    return fitter.fit(found, progress)
