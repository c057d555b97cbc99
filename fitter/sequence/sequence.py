"""The frames of one person in order: each starts from the last; identity and albedo become common to all.

1. The first frames are fitted one after another with identity and albedo free, each from the last one's result.
2. The mean of their identities and albedos is the person's. They are fitted once more with these two fixed, and so are
   all that follow. Pose, expression, gaze and light are each frame's own.

A mean of fits is what one would get from all of those frames together if each told about as much of the person; it
costs a second fit of the first frames and nothing after.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from ..errors import FaceFitError, NoFaceError
from ..fit.descent import fit_observed
from ..fit.instruments import Instruments
from ..fit.result import FitResult
from ..fit.summary import Summary
from ..fit.warm_start import WarmStart
from ..observe.faces import DetectedFace, select_faces
from ..observe.observation import Observation
from ..photo.frames import Frame
from ..photo.photo import Photo
from ..scene.landmarks import head_yaw
from ..scene.parameters import Parameters

logger = logging.getLogger(__name__)

SHARED = ("identity", "albedo")  # of all frames
SHARE_AFTER = 8  # frames: the mean of as many independent fits has a third of the error of one
FirstFaces = str | int


@dataclass(frozen=True)
class FittedFrame:
    """What became of one frame.

    Attributes:
        number, seconds, name: of the frame in its source.
        status: as FitResult.status, or "failed".
        error: why it failed.
        parameters: (B = 1) or None.
        summary: what the fit came to, or None.
    """

    number: int
    seconds: float
    name: str
    status: str
    error: str = ""
    parameters: Parameters | None = None
    summary: Summary | None = None

    @property
    def landmark_error(self) -> float:
        """As in FitResult; NaN where nothing was fitted."""
        known = None if self.summary is None else self.summary.landmark_error
        return float("nan") if known is None else known


@dataclass(frozen=True)
class FittedSequence:
    """All frames of one person.

    Attributes:
        frames: every frame, fitted or not, in order.
        best: the result of the most frontal of the first frames, for the texture; its identity is the common one.
        fps: frames a second of the source.
        smooth: whether the parameters are no longer those of the fits (facefit.sequence.smooth).
    """

    frames: tuple[FittedFrame, ...]
    best: FitResult
    fps: float
    smooth: bool = False

    @property
    def fitted(self) -> tuple[FittedFrame, ...]:
        """Those of the frames that have parameters and a summary."""
        return tuple(frame for frame in self.frames if frame.parameters is not None)


@dataclass(frozen=True)
class SequenceFitter:
    """What stays the same from frame to frame.

    Attributes:
        instruments: what frames are looked at and fitted with.
        faces: of the first frame with a face: "largest" or N, the N-th largest; after that the nearest one is followed.
        focal: pixels; fov: degrees; without them the first frame's camera holds for all.
        warm: what is known of the person before: with a fixed identity nothing is shared anew.
        share_after: frames after which identity and albedo are common.
    """

    instruments: Instruments
    faces: FirstFaces = "largest"
    focal: float | None = None
    fov: float | None = None
    warm: WarmStart | None = None
    share_after: int = SHARE_AFTER

    def fit(
        self, frames: Iterable[Frame], fps: float, progress: Callable[[FittedFrame], None] | None = None
    ) -> FittedSequence:
        """Fit all frames.

        Args:
            progress: called with each frame when it is fitted for the first time.
        Raises:
            NoFaceError: no frame could be fitted; the first reason is in the message.
            ValueError: share_after below 1.
        """
        if self.share_after < 1:
            raise ValueError(f"share_after is {self.share_after} frames; accepted: 1 or more")
        state = _State(warm=self.warm, focal=self.focal)
        done: list[FittedFrame] = []
        for frame in frames:
            done.append(self._next(frame, state))
            if progress is not None:
                progress(done[-1])
            if len(state.first) == self.share_after and not state.shared:
                self._share(state, done)
        if state.first and not state.shared:
            self._share(state, done)
        if state.best is None:
            reason = f": {done[0].name}: {done[0].error}" if done else ""
            raise NoFaceError(f"none of {len(done)} frames could be fitted{reason}")
        return FittedSequence(tuple(done), state.best, fps)

    def _next(self, frame: Frame, state: _State) -> FittedFrame:
        try:
            photo, observation = self._observe(frame, state)
            (result,) = fit_observed(observation, self.instruments, photo=photo, warm=state.warm)
        except FaceFitError as error:
            logger.info("frame %d (%s): %s", frame.number, frame.name, error)
            return FittedFrame(frame.number, frame.seconds, frame.name, "failed", str(error))
        state.follow(result, fixed=SHARED if state.shared else ())
        if not state.shared:
            state.first.append((frame, observation, result))
        return _fitted(frame, result)

    def _observe(self, frame: Frame, state: _State) -> tuple[Photo, Observation]:
        if frame.photo is None:
            raise NoFaceError(frame.error)
        photo = frame.photo
        size = photo.width, photo.height
        if state.size is not None and state.size != size:
            wide, high = state.size
            raise NoFaceError(f"is {size[0]} x {size[1]} pixels; the sequence began with {wide} x {high}")
        instruments = self.instruments
        found = instruments.detector.detect(photo.pixels)
        face = select_faces(found, self.faces)[0] if state.place is None else _nearest(found, state.place)
        observation = instruments.observe(photo, face, state.focal, self.fov if state.focal is None else None)
        state.place, state.size = face.landmarks.mean(0), size
        # one camera for all: it must not breathe with the size of the face
        state.focal = float(observation.camera.focal[0, 0])
        return photo, observation

    def _share(self, state: _State, done: list[FittedFrame]) -> None:
        """The mean identity and albedo of the first frames, which are fitted once more with them."""
        results = [result for _, _, result in state.first]
        parameters = Parameters.cat([result.parameters for result in results])
        common = {name: getattr(parameters, name).mean(0, keepdim=True) for name in SHARED}
        known: set[str] = set()
        if self.warm is not None:
            known = set(self.warm.fixed)
            common |= {name: getattr(self.warm.parameters, name) for name in known & set(SHARED)}
        again = results if set(SHARED) <= known else []  # who is known already needs no second fit
        for frame, observation, result in [] if again else state.first:
            start = replace(result.parameters, **common)
            warm = WarmStart(start, fixed=SHARED, landmarks=True)
            try:
                (result,) = fit_observed(observation, self.instruments, photo=frame.photo, warm=warm)
            except FaceFitError as error:
                logger.info("frame %d (%s), with the common identity: %s", frame.number, frame.name, error)
                continue
            again.append(result)
            place = next(k for k, each in enumerate(done) if each.number == frame.number)
            done[place] = _fitted(frame, result)
        if again:
            state.best = min(again, key=_turned)
            state.follow(again[-1], fixed=SHARED)
        state.first, state.shared = [], bool(again)


@dataclass
class _State:
    """What one frame leaves to the next."""

    warm: WarmStart | None
    focal: float | None
    place: np.ndarray | None = None  # (2,) middle of the face in photo pixels
    size: tuple[int, int] | None = None
    first: list[tuple[Frame, Observation, FitResult]] = field(default_factory=list)
    shared: bool = False
    best: FitResult | None = None

    def follow(self, result: FitResult, fixed: Sequence[str]) -> None:
        known = () if self.warm is None else self.warm.fixed
        self.warm = WarmStart(result.parameters, fixed=tuple({*known, *fixed}), landmarks=True)


def _nearest(faces: list[DetectedFace], place: np.ndarray) -> DetectedFace:
    if not faces:
        raise NoFaceError("no face found")
    return min(faces, key=lambda face: float(np.linalg.norm(face.landmarks.mean(0) - place)))


def _turned(result: FitResult) -> float:
    """Degrees of yaw to either side."""
    rotation, _ = result.pose()
    return abs(float(head_yaw(torch.from_numpy(rotation)[None])))


def _fitted(frame: Frame, result: FitResult) -> FittedFrame:
    return FittedFrame(frame.number, frame.seconds, frame.name, result.status, "", result.parameters, result.summary)
