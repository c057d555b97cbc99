"""Windows of rendered people with exact labels, and the cache of them that the parser is trained on.

`python -m training.parser.rendered_people --count 1200 --out rendered.npz --seed 0 --ict ict_facekit.npz`
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facefit.anatomy.landmarks import IRISES
from facefit.observe.detector import NetworkDetector
from facefit.observe.faces import LandmarkDetector
from facefit.observe.views import View, attempts
from facefit.photo.window import WINDOW_MARGIN, crop_window, sample_labels, sample_window
from facefit.synth.camera_effects import degrade
from facefit.synth.heads import Head, own_head
from facefit.synth.people import Person
from facefit.synth.photograph import photograph
from training.parser.ict_head import ict_head

SIDE = 384
# Looser than the fit's window by this factor, so that turning and shifting it later shows no empty corners.
LOOSENESS = 1.25
DEFAULT_ICT = Path(__file__).resolve().parents[3] / "shared" / "eval" / "data" / "ict_facekit.npz"
# A detection farther than this share of the face's size from the truth is of something else.
_TRUSTED = 0.08


def portrait_detector() -> NetworkDetector:
    """The package's detector without its second looks at a photo that seems empty: here every photo is a portrait, and
    a face that the first look misses is better left out than searched for."""

    def first_views(width: int, height: int) -> Iterator[list[View]]:
        yield next(attempts(width, height))

    return NetworkDetector(max_faces=1, views=first_views)


@dataclass(frozen=True)
class RenderedSample:
    """One labelled window.

    Attributes:
        image: (384, 384, 3) uint8 RGB.
        labels: (384, 384) uint8, facefit.anatomy.parts.LABELS.
        landmarks: (478, 2) float32 window pixels, as the detector sees the finished picture.
        true_landmarks: (478, 2) float32 window pixels, the model's own points projected.
        source: "facefit" or "ict".
    """

    image: np.ndarray
    labels: np.ndarray
    landmarks: np.ndarray
    true_landmarks: np.ndarray
    source: str


def rendered_people(
    heads: list[Head], seed: int, detector: LandmarkDetector | None = None, looseness: float = LOOSENESS
) -> Iterator[RenderedSample]:
    """Random people without end, the heads in turn; faces that the detector misses are left out.

    Args:
        heads: of facefit.synth.heads.
        seed: sample n depends on the seed and n alone.
        detector: default a portrait_detector().
        looseness: side of the window over the fit's.
    """
    detector = portrait_detector() if detector is None else detector
    number = 0
    while True:
        rng = np.random.default_rng((seed, number))
        sample = render_sample(heads[number % len(heads)], rng, detector, looseness)
        number += 1
        if sample is not None:
            yield sample


def render_sample(
    head: Head, rng: np.random.Generator, detector: LandmarkDetector, looseness: float = LOOSENESS,
    person: Person | None = None,
) -> RenderedSample | None:  # fmt: skip
    """One person, anyone where none is given, or None when the detector does not see the face where it is."""
    shot = photograph(head, rng, person=person)
    photo = (degrade(shot.image, rng) * 255).astype(np.uint8)
    faces = detector.detect(photo)
    if not faces:
        return None
    landmarks = faces[0].landmarks
    error = np.linalg.norm(landmarks[: IRISES.start] - shot.landmarks[: IRISES.start], axis=1).mean()
    if error > _TRUSTED * faces[0].size:
        return None
    window = crop_window(landmarks, SIDE, WINDOW_MARGIN * looseness)
    image, _ = sample_window(photo, window)
    origin, scale = window.origin[0].numpy(), float(window.scale)
    return RenderedSample(
        np.rint(image).clip(0, 255).astype(np.uint8),
        sample_labels(shot.labels, window),
        ((landmarks - origin) * scale).astype(np.float32),
        ((shot.landmarks - origin) * scale).astype(np.float32),
        head.name,
    )


def write_cache(path: str | os.PathLike, samples: list[RenderedSample]) -> None:
    """Samples -> one compressed npz: images, labels, landmarks, true_landmarks, source."""
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".npz")
    os.close(handle)
    try:
        np.savez_compressed(
            temporary,
            images=np.stack([s.image for s in samples]),
            labels=np.stack([s.labels for s in samples]),
            landmarks=np.stack([s.landmarks for s in samples]),
            true_landmarks=np.stack([s.true_landmarks for s in samples]),
            source=np.array([s.source for s in samples]),
        )
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1200)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ict", type=Path, default=DEFAULT_ICT, help="ict_facekit.npz; without it, one model alone")
    parser.add_argument("--partial", action="store_true", help="write what there is after every 100 samples")
    options = parser.parse_args(arguments)
    heads = [own_head()]
    if options.ict.is_file():
        heads.append(ict_head(str(options.ict)))
    start = time.monotonic()
    samples: list[RenderedSample] = []
    for sample in rendered_people(heads, options.seed):
        samples.append(sample)
        if len(samples) % 100 == 0:
            print(f"{len(samples)} of {options.count} in {time.monotonic() - start:.0f} s", flush=True)
            if options.partial and len(samples) < options.count:
                write_cache(options.out, samples)
        if len(samples) >= options.count:
            break
    write_cache(options.out, samples)


if __name__ == "__main__":
    main()
