"""Rendered people as samples of the training, made by several processes, the same whatever their number."""

from __future__ import annotations

import logging
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

import facefit  # noqa: F401  before torch and numpy: it sets their threads
from facefit.observe.detector import NetworkDetector
from facefit.synth.heads import Head, own_head
from training.parser.ict_head import ict_head
from training.parser.rendered_people import RenderedSample, portrait_detector, render_sample
from training.parser.samples import Samples

logger = logging.getLogger(__name__)

_HEADS: list[Head] = []
_DETECTOR: list[NetworkDetector] = []


def _begin(ict: str | None) -> None:
    import torch

    torch.set_num_threads(1)
    _HEADS[:] = [own_head(), *([ict_head(ict)] if ict else [])]
    _DETECTOR[:] = [portrait_detector()]


def _render(seed: int, number: int) -> RenderedSample | None:
    return render_sample(_HEADS[number % len(_HEADS)], np.random.default_rng((seed, number)), _DETECTOR[0])


def build(ict: Path, count: int, seed: int = 0, workers: int = 2) -> Samples:
    """`count` random people of facefit's own model and, when the file `ict` is there, of ICT-FaceKit, in turn."""
    samples: list[RenderedSample] = []
    given = str(ict) if ict.is_file() else None
    with ProcessPoolExecutor(workers, initializer=_begin, initargs=(given,)) as pool:
        number = 0
        while len(samples) < count:  # a few faces are not detected
            missing = count - len(samples)
            found = pool.map(_render, [seed] * missing, range(number, number + missing), chunksize=8)
            samples += [sample for sample in found if sample is not None]
            number += missing
    return samples_of(samples)


def samples_of(samples: list[RenderedSample]) -> Samples:
    """Rendered people as they are trained on."""
    count = len(samples)
    return Samples(
        images=np.stack([sample.image for sample in samples]),
        labels=np.stack([sample.labels for sample in samples]),
        landmarks=np.stack([sample.landmarks for sample in samples]),
        sources=np.array(["rendered"] * count),
        people=np.array([""] * count),
        names=np.array([f"{sample.source}_{number:05d}" for number, sample in enumerate(samples)]),
        yaw=np.zeros(count, np.float32),
    )  # fmt: skip
