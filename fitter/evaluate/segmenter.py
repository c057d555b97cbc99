"""What a segmenter scores against hand labels (FASSEG) and exact ones (rendered faces), in the photos' own pixels."""

from __future__ import annotations

import numpy as np
import torch

from ..anatomy.label_maps import FASSEG
from ..anatomy.landmarks import FACE_OVAL
from ..anatomy.parts import INNER, LABEL
from ..geometry.camera import WindowTransform
from ..geometry.polygon import polygon_pixels
from ..observe.segment.morphology import grow
from ..photo.window import crop_window, sample_window

GROWN = 0.15  # of the oval's height: how far beyond the landmarks a pixel still counts


def face_window(pixels: np.ndarray, landmarks: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, WindowTransform]:
    """What a segmenter is given for a face: (S, S, 3) colours in [0, 1], (478, 2) window pixels, the window.

    Args:
        pixels: (H, W, 3) uint8 photo. landmarks: (478, 2) photo pixels. size: S.
    """
    window = crop_window(landmarks, size)
    image = (sample_window(pixels, window)[0] / 255).astype(np.float32)
    return image, window.to_window(torch.as_tensor(landmarks)[None])[0].numpy(), window


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two masks (H, W) bool; 0 where both are empty."""
    return float((a & b).sum() / max((a | b).sum(), 1))


def score_fasseg(predicted: np.ndarray, truth: np.ndarray, landmarks: np.ndarray, brows: bool) -> dict[str, float]:
    """Accuracy in the grown oval and the overlap of every class that the hand labels have.

    Args:
        predicted, truth: (H, W) FASSEG's numbers. landmarks: (478, 2) photo pixels.
        brows: whether the hand labelled the brows.
    """
    oval = landmarks[list(FACE_OVAL)]
    grown = grow(polygon_pixels(truth.shape, oval), GROWN * np.ptp(oval[:, 1]))
    row = {"accuracy": float((predicted == truth)[grown].mean())}
    for number, name in enumerate(FASSEG):
        a, b = predicted == number, truth == number
        if name in ("background", "skin", "hair"):  # these have no end of their own
            a, b = a & grown, b & grown
        if b.any() and (name != "brows" or brows):
            row[name] = overlap(a, b)
    return row


def score_rendered(predicted: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Overlap of every part but the skin that the exact labels have, and the `mean`.

    Args:
        predicted, truth: (H, W) facefit.anatomy.parts.LABELS.
    """
    row = {
        name.replace("_", " "): overlap(predicted == LABEL[name], truth == LABEL[name])
        for name in INNER if (truth == LABEL[name]).any()
    }  # fmt: skip
    return {**row, "mean": float(np.mean(list(row.values())))}
