"""What goes between the processes of a batch."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from ..fit.result import FitResult
from ..geometry.camera import Camera, WindowTransform
from ..job.job import Job
from ..observe.observation import Observation
from ..photo.photo import Photo

_ELSEWHERE = ("model", "camera", "window", "observation", "photo", "photo_path", "trace")


@dataclass(frozen=True)
class FaceFit:
    """What the fit adds to an observation (B = 1, on the CPU).

    Attributes:
        valid: (1, S, S), of the observation after the fit.
        values: the fields of FitResult without those that other processes have anyway, and without the trace.
    """

    valid: Tensor
    values: dict[str, Any]


def face_fit(result: FitResult) -> FaceFit:
    """What of a result is new."""
    named = {f.name: getattr(result, f.name) for f in fields(FitResult) if f.name not in _ELSEWHERE}
    return FaceFit(result.observation.valid, named)


def fit_result(fit: FaceFit, observation: Observation, photo: Photo, job: Job) -> FitResult:
    """The result, put together again from the fit and from what was kept of its photo."""
    return FitResult(
        model=job.model.to("cpu"), camera=observation.camera, window=observation.window,
        observation=replace(observation, valid=fit.valid), photo=photo.pixels, photo_path=str(photo.path), **fit.values,
    )  # fmt: skip


def stack(faces: Sequence[Observation]) -> Observation:
    """Observations as one batch. Raises ValueError when their windows differ in size."""
    if len(faces) == 1:
        return faces[0]
    sizes = {face.size for face in faces}
    if len(sizes) > 1:
        raise ValueError(f"windows of {sorted(sizes)} px in one batch; they must be alike")
    named = {
        f.name: torch.cat([getattr(face, f.name) for face in faces])
        for f in fields(Observation) if f.name not in ("camera", "window")
    }  # fmt: skip
    camera = Camera(torch.cat([face.camera.focal for face in faces]), torch.cat([face.camera.centre for face in faces]))
    window = WindowTransform(
        torch.cat([face.window.origin for face in faces]), torch.cat([face.window.scale for face in faces]),
        faces[0].window.size,
    )  # fmt: skip
    return Observation(**named, camera=camera, window=window)


def pack(face: Observation) -> bytes:
    """An observation for a process of this same program; masks of zeros and ones as a byte a pixel."""
    small = {
        name: value.to(torch.uint8)
        for name in ("part_masks", "valid")
        if bool(((value := getattr(face, name)) == value.to(torch.uint8)).all())
    }
    named = {f.name: small.get(f.name, getattr(face, f.name)) for f in fields(Observation)}
    return pickle.dumps(named, protocol=5)


def unpack(data: bytes) -> Observation:
    """What was packed by `pack`, in a process that this program started."""
    named = pickle.loads(data)
    return Observation(**{**named, **{name: named[name].float() for name in ("part_masks", "valid")}})
