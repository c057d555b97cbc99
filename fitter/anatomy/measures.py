"""Distances on a face that have names, as pairs of MediaPipe's landmarks that lie on, or next to, the points they are
measured between (`facefit.importers.default_head.anthropometry` has the surveys)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .landmarks import CHIN, LEFT_MOUTH_CORNER, LEFT_SIDE, NOSE_BASE, RIGHT_MOUTH_CORNER, RIGHT_SIDE

RIGHT_PUPIL, LEFT_PUPIL = 468, 473
ROOT_OF_NOSE = 168

# Name -> the landmarks around either end, whose mean it is. Of a face at rest that looks straight ahead.
MEASURES: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "interpupillary distance": ((RIGHT_PUPIL,), (LEFT_PUPIL,)),
    "face breadth": ((RIGHT_SIDE, 127), (LEFT_SIDE, 356)),
    "face length": ((ROOT_OF_NOSE,), (CHIN,)),
    "nose breadth": ((64,), (294,)),
    "nose length": ((ROOT_OF_NOSE,), (NOSE_BASE,)),
    "lip length": ((RIGHT_MOUTH_CORNER,), (LEFT_MOUTH_CORNER,)),
}


def measured(landmarks: np.ndarray) -> dict[str, float]:
    """(478, 3) landmarks on a face at rest -> the distances, in the unit of the landmarks."""
    return {
        name: float(np.linalg.norm(landmarks[list(a)].mean(0) - landmarks[list(b)].mean(0)))
        for name, (a, b) in MEASURES.items()
    }
