"""What goes between the processes of a batch."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from ..fit.result import FitResult
from ..model.face_model import FaceModel
from ..observe.observation import Observation
from ..photo.photo import Photo

# a fresh fit's sighting is made of the others, and would take the model along
_ELSEWHERE = ("model", "camera", "window", "observation", "photo", "photo_path", "trace", "sighting")


@dataclass(frozen=True)
class FitParcel:
    """What of a fit travels: what it adds to an observation (B = 1, on the CPU).

    Attributes:
        valid: (1, S, S), of the observation after the fit.
        values: the fields of FitResult without those that other processes have anyway, and without the trace.
    """

    valid: Tensor
    values: dict[str, Any]


def parcel(result: FitResult) -> FitParcel:
    """What of a result is new."""
    named = {f.name: getattr(result, f.name) for f in fields(FitResult) if f.name not in _ELSEWHERE}
    return FitParcel(result.observation.valid, named)


def fit_result(fit: FitParcel, observation: Observation, photo: Photo, model: FaceModel) -> FitResult:
    """The result, put together again from the fit and from what was kept of its photo."""
    return FitResult(
        model=model.to("cpu"), camera=observation.camera, window=observation.window,
        observation=replace(observation, valid=fit.valid), photo=photo.pixels, photo_path=str(photo.path), **fit.values,
    )  # fmt: skip


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
