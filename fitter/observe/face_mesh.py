"""478 landmarks in regions that show a face: MediaPipe's attention mesh."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .regions import Region

SIDE = 192
PRESENCE = 0.5  # a region with less shows no face
TOGETHER = 16  # crops that go through the network at once; more gain nothing and take memory


class FaceMesh:
    """The mesh network; it keeps nothing of what it saw."""

    def __init__(self, session: Any) -> None:
        """`session`: of onnxruntime, see face_networks."""
        self._session = session

    def look(self, looks: Sequence[tuple[np.ndarray, Region]]) -> list[np.ndarray | None]:
        """Landmarks in regions of pictures.

        Args:
            looks: pictures (H, W, 3) uint8 RGB, each with a region.
        Returns:
            For each (478, 3) float64: x and y in pixels of the picture, z in their scale; None where it sees no face.
        """
        found: list[np.ndarray | None] = []
        for start in range(0, len(looks), TOGETHER):
            part = looks[start : start + TOGETHER]
            crops = np.stack([region.crop(picture, SIDE, True) for picture, region in part])
            given = crops.astype(np.float32) * np.float32(1 / 255)
            landmarks, presence = self._session.run(["landmarks", "presence"], {"image": given})
            for points, sure, (_, region) in zip(landmarks.astype(np.float64), presence, part, strict=True):
                found.append(region.to_picture(points, SIDE) if sure > PRESENCE else None)
        return found
