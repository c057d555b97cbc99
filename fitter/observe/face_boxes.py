"""Faces as boxes with six points: the two box networks of MediaPipe, for near faces and for all.

Both look at the whole picture, made small, and answer for each of a raster of anchors; answers that overlap are
averaged by how sure they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .regions import Region, region_of_box, whole_picture

OVERLAP = 0.3  # answers that overlap more (intersection over union) are of one face
LARGEST_LOGIT = 80.0  # its exponential is still a number of 32 bits
POINTS = 6


@dataclass(frozen=True)
class BoxNetwork:
    """What tells the two networks apart.

    Attributes:
        file: in data/.
        side: pixels of the picture that it sees.
        rasters: of its anchors: pixels between them, and anchors at each place.
        threshold: answers that are less sure do not count.
    """

    file: str
    side: int
    rasters: tuple[tuple[int, int], ...]
    threshold: float


SHORT_RANGE = BoxNetwork("face_detector_short.onnx", 128, ((8, 2), (16, 6)), 0.5)
# MediaPipe ignores the confidence that one asks its full-range solution for; its graph's own is this.
FULL_RANGE = BoxNetwork("face_detector_full.onnx", 192, ((4, 1),), 0.6)


@dataclass(frozen=True)
class FaceBox:
    """One face.

    Attributes:
        score: in [0, 1].
        box: (4,) left, top, right, bottom, in pixels of the picture.
        points: (6, 2) right eye, left eye, tip of the nose, mouth, right ear, left ear; right is the person's.
    """

    score: float
    box: np.ndarray
    points: np.ndarray

    @property
    def region(self) -> Region:
        """Where to look for its landmarks."""
        return region_of_box(self.box, self.points[0], self.points[1])


class BoxDetector:
    """A box network with its anchors; it keeps nothing of what it saw."""

    def __init__(self, network: BoxNetwork, session: Any) -> None:
        """`session`: of onnxruntime, see face_networks."""
        self.network, self._session = network, session
        self._anchors = anchors(network)

    def find(self, pictures: Sequence[np.ndarray]) -> list[list[FaceBox]]:
        """(H, W, 3) uint8 RGB pictures of any sizes -> the faces of each, the surest first."""
        side = self.network.side
        regions = [whole_picture(picture.shape[1], picture.shape[0]) for picture in pictures]
        crops = [region.crop(picture, side, False) for region, picture in zip(regions, pictures, strict=True)]
        given = np.stack(crops).astype(np.float32) * np.float32(2 / 255) - 1
        boxes, logits = self._session.run(["boxes", "logits"], {"image": given})
        return [self._faces(*answer) for answer in zip(boxes, logits, regions, strict=True)]

    def _faces(self, boxes: np.ndarray, logits: np.ndarray, region: Region) -> list[FaceBox]:
        scores = 1 / (1 + np.exp(-logits.clip(-LARGEST_LOGIT, LARGEST_LOGIT)))
        sure = np.flatnonzero((scores >= self.network.threshold) & (boxes[:, 2:4] >= 0).all(1))
        given = boxes[sure] / np.float32(self.network.side)
        centre, half = given[:, :2] + self._anchors[sure], given[:, 2:4] / 2
        points = given[:, 4:].reshape(-1, POINTS, 2) + self._anchors[sure, None]
        corners = np.stack([centre - half, centre + half], 1)
        faces = []
        for score, merged in merge(np.concatenate([corners, points], 1), scores[sure]):
            placed = region.to_picture(merged * self.network.side, self.network.side)
            faces.append(FaceBox(float(score), placed[:2].ravel(), placed[2:]))
        return faces


def anchors(network: BoxNetwork) -> np.ndarray:
    """(A, 2) float32 places in [0, 1], in the order of the network's answers."""
    places = []
    for step, count in network.rasters:
        centres = (np.arange(network.side // step) + 0.5) * step / network.side
        y, x = np.meshgrid(centres, centres, indexing="ij")
        places.append(np.repeat(np.stack([x.ravel(), y.ravel()], 1), count, 0))
    return np.concatenate(places).astype(np.float32)


def merge(answers: np.ndarray, scores: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """Weighted non-maximum suppression: the surest answer and all that overlap it become their weighted mean.

    Args:
        answers: (K, 2 + P, 2): a box's low and high corner, and points.
        scores: (K,).
    Returns:
        The score of the surest and the mean (2 + P, 2) of each face, the surest first.
    """
    left = np.argsort(-scores, kind="stable")
    faces = []
    while len(left):
        low, high = answers[left, 0], answers[left, 1]
        inside = np.prod(np.maximum(np.minimum(high, high[0]) - np.maximum(low, low[0]), 0), 1)
        area = np.prod(high - low, 1)
        union = area + area[0] - inside
        close = np.divide(inside, union, out=np.zeros_like(inside), where=union > 0) > OVERLAP
        close[0] = True  # also a box without area is one with itself
        weight = scores[left[close]]
        mean = (answers[left[close]] * weight[:, None, None]).sum(0) / weight.sum()
        faces.append((scores[left[0]], mean))
        left = left[~close]
    return faces
