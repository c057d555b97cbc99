"""facefit's own face parser: a small network inside the package, for photos it has never seen.

How it was trained and on what: training/parser and data/README.md.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ...bundled import parser_path
from ...errors import FaceFitError
from ...geometry.camera import WindowTransform
from ..onnx_session import LARGEST_FILE, load_session
from .contract import Segmentation, check_window
from .face_crops import (
    CHANNELS,
    CLASS_LABEL,
    CLASSES,
    DETAIL_SIDE,
    FACE_SIDE,
    MIRROR_CLASS,
    Crop,
    crop_input,
    exposure,
    face_crops,
)
from .regions import separate_sides

# How much a fine look counts against the look at the whole face, in its middle; towards its border it fades out over
# this share of its side, where it sees its own parts cut off.
DETAIL_TRUST, DETAIL_FADE = 0.85, 0.2

_OUTPUTS = (b"face_parts", b"detail_parts")

Networks = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def missing() -> str | None:
    """Why the bundled parser cannot be used here, or None when it can."""
    return None if parser_path().is_file() else f"{parser_path()}: no such file; `make parser` trains it"


def is_parser(path: str | Path) -> bool:
    """Whether the ONNX file is a face parser of facefit's making, by the names of its outputs."""
    try:
        with Path(path).open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.size() <= LARGEST_FILE and all(content.find(name) >= 0 for name in _OUTPUTS)
    except (OSError, ValueError):  # ValueError: an empty file
        return False  # whoever loads it says what is wrong


def _fading(side: int) -> np.ndarray:
    """(side, side) float32: DETAIL_TRUST in the middle, 0 at the border."""
    place = (np.arange(side) + 0.5) / side
    ramp = np.clip(np.minimum(place, 1 - place) / DETAIL_FADE, 0, 1)
    return (DETAIL_TRUST * np.minimum(ramp[:, None], ramp[None, :])).astype(np.float32)


def fuse(face: np.ndarray, details: np.ndarray, crops: tuple[Crop, ...], size: int) -> np.ndarray:
    """The looks at face, eyes and mouth as one answer for the window.

    Args:
        face: (C, 128, 128) and details: (3, C, 96, 96) float32 probabilities of observe.segment.face_crops.CLASSES.
        crops: what they were seen through, see facefit.observe.segment.face_crops.face_crops.
        size: side of the window in pixels.
    Returns:
        (C, size, size) float32 probabilities. What no crop reached is background.
    """
    seen = crops[0].back(face, (0, 0, size, size))
    seen[CLASSES.index("background")] += np.clip(1 - seen.sum(0), 0, 1)
    total, share = np.zeros_like(seen), np.zeros((size, size), np.float32)
    fading = _fading(DETAIL_SIDE)
    for crop, detail in zip(crops[1:], details, strict=True):
        left, top, right, bottom = reach = crop.reach(size)
        if left < right and top < bottom:
            if crop.mirrored:
                detail = detail[MIRROR_CLASS]
            total[:, top:bottom, left:right] += crop.back(detail * fading, reach)
            share[top:bottom, left:right] += crop.back(fading[None], reach)[0]
    over = np.maximum(share / DETAIL_TRUST, 1)  # where two eyes' looks overlap they share
    seen *= 1 - share / over
    seen += total / over
    return seen


class ParserSegmenter:
    """The bundled face parser, by onnxruntime on the CPU."""

    def __init__(self, path: str | Path | None = None, *, networks: Networks | None = None, threads: int = 1) -> None:
        """
        Args:
            path: the ONNX file; None is the bundled one.
            networks: runs instead of a file: (N, 12, 128, 128), (3 N, 12, 96, 96) float32 -> probabilities.
            threads: of the CPU for one face.
        Raises:
            FaceFitError: onnxruntime or the file is missing, or the file is another network.
        """
        self._networks = networks or load_networks(Path(path) if path is not None else parser_path(), threads)

    def probabilities(self, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """(S, S, 3) float32 RGB in [0, 1], (478, 2) window pixels -> (C, S, S) of face_crops.CLASSES."""
        check_window(image, landmarks)
        crops, light = face_crops(landmarks), exposure(image, landmarks)
        inputs = [crop_input(image.astype(np.float32), landmarks, crop, light) for crop in crops]
        face, details = self._networks(inputs[0][None], np.stack(inputs[1:]))
        return fuse(face[0], details, crops, image.shape[0])

    def segment(self, image: np.ndarray, landmarks: np.ndarray, window: WindowTransform | None = None) -> Segmentation:
        """See PartSegmenter; `window` is not used. The confidence is the probability of the label."""
        probability = self.probabilities(image, landmarks)
        labels = separate_sides(CLASS_LABEL[probability.argmax(0)], landmarks)
        return Segmentation(labels, np.clip(probability.max(0), 0, 1))


def load_networks(path: Path, threads: int = 1) -> Networks:
    """The ONNX file `path` as a function; see ParserSegmenter."""
    session = load_session(path, threads, "`make parser` trains it")
    given = {value.name: list(value.shape[1:]) for value in session.get_inputs()}
    expected = {"face": [CHANNELS, FACE_SIDE, FACE_SIDE], "detail": [CHANNELS, DETAIL_SIDE, DETAIL_SIDE]}
    if given != expected:
        raise FaceFitError(f"{path}: takes {given}; the face parser takes {expected}")

    def run(face: np.ndarray, detail: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen = session.run(["face_parts", "detail_parts"], {"face": face, "detail": detail})
        return seen[0], seen[1]

    return run
