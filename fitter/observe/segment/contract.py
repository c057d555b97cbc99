"""What a part segmenter is given and gives.

To segment is to say which part of a face each pixel shows; whoever does so is a PartSegmenter and gives a Segmentation.
A parser is one kind of them, a network trained on labelled photos (face_parser, any_parser); `facefit parse` is the
command that writes what a segmenter sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ...anatomy.landmarks import LANDMARKS
from ...anatomy.parts import LABELS
from ...geometry.camera import WindowTransform


@dataclass(frozen=True)
class Segmentation:
    """What a segmenter saw.

    Attributes:
        labels: (S, S) uint8, numbers of facefit.anatomy.parts.LABELS without "head".
        confidence: (S, S) float32 in [0, 1], how sure the label is.
    """

    labels: np.ndarray
    confidence: np.ndarray

    def __post_init__(self) -> None:
        if self.labels.ndim != 2 or self.labels.dtype != np.uint8:
            raise ValueError(f"labels {self.labels.shape} of type {self.labels.dtype}; expected (S, S) uint8")
        if self.confidence.shape != self.labels.shape:
            raise ValueError(f"confidence has shape {self.confidence.shape}; expected {self.labels.shape}")
        if self.labels.size and self.labels.max() >= len(LABELS):
            raise ValueError(f"label {self.labels.max()}; expected numbers below {len(LABELS)}")


class PartSegmenter(Protocol):
    """Says what each pixel of a window shows. The same window gives the same answer, whatever was seen before."""

    def segment(self, image: np.ndarray, landmarks: np.ndarray, window: WindowTransform | None = None) -> Segmentation:
        """(S, S, 3) float32 RGB in [0, 1], (478, 2) landmarks in window pixels -> labels.

        `window` (B = 1) is the way from photo to window pixels, for segmenters that look beyond the window.
        """
        ...


def check_window(image: np.ndarray, landmarks: np.ndarray) -> None:
    """Raise ValueError unless the image is (S, S, 3) float and the landmarks (478, 2) and finite."""
    if image.ndim != 3 or image.shape[0] != image.shape[1] or image.shape[2] != 3 or image.dtype.kind != "f":
        raise ValueError(f"image {image.shape} of type {image.dtype}; expected (S, S, 3) float RGB in [0, 1]")
    if landmarks.shape != (LANDMARKS, 2) or not np.isfinite(landmarks).all():
        raise ValueError(f"landmarks have shape {landmarks.shape}; expected ({LANDMARKS}, 2), all finite")
