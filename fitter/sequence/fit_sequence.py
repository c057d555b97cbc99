"""A film to a fitted sequence in one call, for who works in Python; what is not given is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..fit.config import FitConfig
from ..fit.instruments import Instruments, dense_observer
from ..fit.warm_start import WarmStart
from ..model.face_model import FaceModel
from ..model.model_file import load_model
from ..observe.detector import load_detector
from ..observe.recognition import Recognition
from ..observe.segment.load import load_segmenter
from ..photo.frames import open_frames
from ..render import load_renderer
from .sequence import SHARE_AFTER, FittedFrame, FittedSequence, SequenceFitter


def fit_sequence(
    source: Path | str,
    config: FitConfig | None = None,
    *,
    model: FaceModel | None = None,
    recognition: Recognition | None = None,
    fps: float | None = None,
    every: int = 1,
    frames: int | None = None,
    focal: float | None = None,
    warm: WarmStart | None = None,
    share_after: int = SHARE_AFTER,
    progress: Callable[[FittedFrame], None] | None = None,
) -> FittedSequence:
    """Fit the frames of one person.

    Args:
        source: a video, or a folder of frames.
        config, model: None: the default ones. recognition: what the energy "perceptual" asks, where `config` has it.
        fps: frames a second; None: what the video says, 25 for a folder. every: take each N-th frame; frames: at most.
        focal: pixels of a frame. warm: what is known of the person.
        share_after: frames after which identity and albedo are common to all.
        progress: called with each frame when it is fitted.
    Returns:
        All frames; `facefit.sequence.animation.sequence_files` makes the animated GLB of them.
    Raises:
        InputError: no such folder or video. NoFaceError: no frame could be fitted.
    """
    head, how = model or load_model(), config or FitConfig()
    instruments = Instruments(
        model=head, detector=load_detector(), segmenter=load_segmenter("auto"), renderer=load_renderer("auto"),
        config=how, dense=dense_observer(head, how), recognition=recognition,
    )  # fmt: skip
    found = open_frames(Path(source), fps, every, frames)
    fitter = SequenceFitter(instruments, focal=focal, warm=warm, share_after=share_after)
    return fitter.fit(found, found.fps, progress)
