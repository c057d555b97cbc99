"""Faces as a detector finds them, and which of them to fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..errors import NoFaceError


@dataclass(frozen=True)
class DetectedFace:
    """One face of a photo.

    Attributes:
        landmarks: (478, 2) float32 photo pixels, y down, the centre of the top left pixel is (0.5, 0.5).
        depth: (478,) float32 in about the scale of the pixels, smaller is nearer to the camera; relative to the head.
        score: in [0, 1], how sure the face detector is; 0.5 where only the mesh saw the face.
    """

    landmarks: np.ndarray
    depth: np.ndarray
    score: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom in photo pixels."""
        low, high = self.landmarks.min(0), self.landmarks.max(0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    @property
    def size(self) -> float:
        """Longer side of the box in photo pixels."""
        left, top, right, bottom = self.box
        return max(right - left, bottom - top)


class LandmarkDetector(Protocol):
    """Finds faces. The same photo gives the same answer, whatever was seen before."""

    def detect(self, image: np.ndarray) -> list[DetectedFace]:
        """(H, W, 3) uint8 RGB -> faces, the largest first; an empty list where there is none."""
        ...


def select_faces(faces: list[DetectedFace], which: str | int = "largest") -> list[DetectedFace]:
    """The faces asked for by `--faces`.

    Args:
        faces: sorted, the largest first.
        which: "largest", "all", or N for the N-th largest (counted from 1).
    Raises:
        NoFaceError: there is no face, or fewer than N.
        ValueError: `which` is none of these.
    """
    text = str(which).strip().lower()
    if text not in ("largest", "all") and not (text.isdigit() and int(text) >= 1):
        raise ValueError(f"faces is {which!r}; expected 'largest', 'all' or a number from 1")
    if not faces:
        raise NoFaceError("no face found; the photo should show a face of some 30 pixels or more, eyes and mouth in it")
    if text == "all":
        return list(faces)
    number = 1 if text == "largest" else int(text)
    if number > len(faces):
        found = "1 face" if len(faces) == 1 else f"{len(faces)} faces"
        raise NoFaceError(f"face {number} was asked for but the photo shows {found}")
    return [faces[number - 1]]
