"""What the pixels of a photo show: the segmenter alone, without a fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..anatomy.parts import COLOURS, LABEL, LABELS
from ..geometry.camera import WindowTransform
from ..photo.photo import Photo
from ..photo.resample import nearest
from ..photo.window import crop_window, window_image
from .detector import load_detector
from .faces import LandmarkDetector, select_faces
from .segment.contract import PartSegmenter
from .segment.load import load_segmenter

# A window that is finer than the fit's shows brows and lids as the photo has them.
PARSE_WINDOW = 384


@dataclass(frozen=True)
class ParsedPhoto:
    """Labels of a photo.

    Attributes:
        labels: (H, W) uint8, numbers of facefit.anatomy.parts.LABELS; background where no face is near.
        confidence: (H, W) float32 in [0, 1]; 0 where no face is near.
        faces: how many faces were parsed.
    """

    labels: np.ndarray
    confidence: np.ndarray
    faces: int

    @property
    def shares(self) -> dict[str, float]:
        """Share of the photo's pixels of each label that is there, background aside."""
        count = np.bincount(self.labels.ravel(), minlength=len(LABELS)) / self.labels.size
        return {name: float(count[number]) for name, number in LABEL.items() if number and count[number] > 0}


def parse_photo(
    photo: Photo, faces: str | int = "largest", segmenter: PartSegmenter | None = None,
    detector: LandmarkDetector | None = None,
) -> ParsedPhoto:  # fmt: skip
    """Say what each pixel near the faces shows. Where the windows of two faces overlap the surer label stays.

    Args:
        faces: "largest", "all", or N, the N-th largest.
        segmenter, detector: say what pixels show and where faces are; None loads the default one.
    Raises:
        NoFaceError: no such face.
    """
    segmenter = segmenter or load_segmenter("auto")
    labels = np.zeros((photo.height, photo.width), np.uint8)
    confidence = np.zeros(labels.shape, np.float32)
    detected = select_faces((detector or load_detector()).detect(photo.pixels), faces)
    for face in detected:
        window = crop_window(face.landmarks, PARSE_WINDOW)
        image, _ = window_image(photo, window)
        landmarks = window.to_window(torch.from_numpy(face.landmarks)[None])[0].numpy()
        seen = segmenter.segment(image, landmarks, window)
        there, sure = to_photo(seen.labels, window, labels.shape), to_photo(seen.confidence, window, labels.shape)
        # background never takes a face's pixel from another face
        better = (sure > confidence) & ((there > 0) | (labels == 0)) | ((there > 0) & (labels == 0))
        labels[better], confidence[better] = there[better], sure[better]
    return ParsedPhoto(labels, confidence, len(detected))


def to_photo(values: np.ndarray, window: WindowTransform, shape: tuple[int, int]) -> np.ndarray:
    """(S, S) window values at the nearest photo pixels, (H, W); 0 outside the window."""
    scale = float(window.scale[0])
    origin = window.origin[0].numpy().astype(np.float64)
    return nearest(values, scale * np.column_stack([np.eye(2), -origin]), shape[1], shape[0])


def overlay(pixels: np.ndarray, labels: np.ndarray, strength: float = 0.5) -> np.ndarray:
    """(H, W, 3) uint8 photo with each part in its colour.

    Args:
        pixels: (H, W, 3) uint8 RGB. labels: (H, W) of facefit.anatomy.parts.LABELS.
        strength: of the colours, 0 (the photo alone) to 1.
    """
    share = np.where(labels > 0, strength, 0.0)[..., None]
    return (pixels * (1 - share) + COLOURS[labels] * share + 0.5).astype(np.uint8)
