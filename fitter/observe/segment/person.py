"""Which pixels show a person: MediaPipe's selfie segmentation, a small network inside the package.

How its file was made and whose it is: training/networks and data/README.md.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ...bundled import bundled
from ..onnx_session import load_session
from ..regions import whole_picture

FILE = "selfie.onnx"
SIDE = 256


@functools.lru_cache(maxsize=1)
def load_person_network() -> Any:
    """The session of the bundled network, made once per process. Raises FaceFitError where it is missing."""
    return load_session(bundled(FILE), 1, "`make networks` makes it")


def person_mask(image: np.ndarray) -> np.ndarray:
    """(S, S, 3) float RGB in [0, 1] -> (S, S) float32, how likely a pixel shows a person and no background.

    Raises:
        FaceFitError: the network's file or onnxruntime is missing.
    """
    size = image.shape[0]
    picture = np.rint(image * 255).clip(0, 255).astype(np.uint8)
    given = whole_picture(size, size).crop(picture, SIDE, False)[None].astype(np.float32) * np.float32(1 / 255)
    (mask,) = load_person_network().run(["person"], {"image": given})
    spread = _resizing(SIDE, size)
    return spread @ mask[0] @ spread.T


@functools.lru_cache(maxsize=4)
def _resizing(before: int, after: int) -> np.ndarray:
    """(after, before) float32: row times a line of `before` pixels is one of `after`, linear between pixel centres."""
    place = ((np.arange(after) + 0.5) * (before / after) - 0.5).clip(0, before - 1)
    return np.maximum(1 - np.abs(place[:, None] - np.arange(before)), 0).astype(np.float32)
