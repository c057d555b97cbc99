"""Dense points and normals of a face, seen by a network: what landmarks do not say about who somebody is.

How it was trained and on what: training/observation, docs/observation.md and data/README.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ..bundled import bundled
from ..files.bundled_arrays import bundled_arrays
from .dense_surface import (
    ACROSS_GUESS,
    ACROSS_MAPS,
    MAP_SIDE,
    SIDE,
    LandmarkSurface,
    dense_crop,
    exposed,
    guess_maps,
    mirror_sign,
    sampled,
)
from .onnx_session import load_session
from .segment.face_crops import Crop

FILE, POINTS_FILE = "dense.onnx", "dense_points.npz"
MAPS = 9  # normal, its log deviation; displacement in the picture and towards the viewer, two log deviations
REACH = 8.0  # pixels of the crop that a displacement of 1 means
NARROW, WIDE = -6.0, 3.0  # of the log deviations
POINT_FLOOR, NORMAL_FLOOR = 1.0, 0.03  # pixels of the crop, radians: nothing is surer
SURFACE = 0.9  # of the landmarks' surface in a pixel that counts as the face's
MARGIN = 2  # pixels of the crop's border in which nothing is looked up

Network = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class DensePoints:
    """Which points are observed: the same places of the face on every head that knows them.

    Attributes:
        surface: where the landmarks alone would have them.
        edges: (E, 2) int64 neighbours among the P points, across no slit: a normal is observed in the middle of each.
        vertices: (P,) int64 the points on the default head's mesh.
    """

    surface: LandmarkSurface
    edges: np.ndarray
    vertices: np.ndarray


@dataclass(frozen=True)
class DenseObserver:
    """Attributes:
    definition: the points. network: (N, 3, 128, 128) colours and (N, 7, 64, 64) landmarks' surface, float32, to
        (N, MAPS, 64, 64).
    """

    definition: DensePoints
    network: Network

    def look(self, image: np.ndarray, landmarks: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What is seen of the face in a window, once as it is and once in a mirror.

        Args:
            image: (S, S, 3) float32 RGB in [0, 1].
            landmarks: (478, 3) window pixels, the third away from the viewer in their scale.
            valid: (S, S) in [0, 1], where the window shows this person's skin.
        Returns:
            (P, 4) float32: x and y in window pixels, their deviation in pixels, how much it counts in [0, 1]; and
            (E, 5): the unit normal in camera space, its deviation in radians, how much it counts.
        """
        crop = dense_crop(landmarks[:, :2])
        scale = float(np.sqrt(np.linalg.det(crop.matrix[:, :2])))
        in_crop = np.concatenate([crop.points(landmarks[:, :2]), landmarks[:, 2:] * scale], 1).astype(np.float32)
        guess = guess_maps(self.definition.surface, in_crop[None], SIDE, MAP_SIDE)
        colours = exposed(torch.from_numpy(crop.sample(image))[None], torch.from_numpy(guess[:, 6])).numpy()
        seen = self.network(*(np.concatenate(pair) for pair in ((colours, colours[..., ::-1]), _both(guess))))
        maps = (seen[:1] + seen[1:, ..., ::-1] * mirror_sign(MAPS, ACROSS_MAPS)) / 2
        inside = (guess[0, 6] > SURFACE) * _shown(valid, crop)
        values = torch.from_numpy(np.concatenate([maps[0], inside[None].astype(np.float32)])[None])
        return self._looked_up(values, in_crop, crop)

    def _looked_up(self, values: Tensor, landmarks: np.ndarray, crop: Crop) -> tuple[np.ndarray, np.ndarray]:
        """Maps (1, MAPS + 1, 64, 64), the last how much a pixel counts, at the points and between them."""

        def at(place: np.ndarray) -> np.ndarray:
            return sampled(values, torch.from_numpy(place.astype(np.float32))[None], SIDE)[0].numpy()

        start = self.definition.surface.guess(landmarks[None])[0, :, :2]
        moved = at(start)
        points = start + REACH * moved[:, 4:6]
        first, second = self.definition.edges.T
        middle = (points[first] + points[second]) / 2
        of_points, of_edges = at(points), at(middle)

        back = np.linalg.inv(crop.matrix[:, :2])
        pixel = float(np.sqrt(abs(np.linalg.det(back))))  # of the crop, in pixels of the window
        # of Laplace's distribution in two dimensions with a mean distance of 2 b, a coordinate's variance is 3 b^2
        spread = pixel * np.sqrt(3 * (REACH * np.exp(moved[:, 7].clip(NARROW, WIDE))) ** 2 + POINT_FLOOR**2)
        share = of_points[:, MAPS] * _within(points)
        turn = back / pixel  # y down; of normals y is up
        x, y, z = (of_edges[:, :3] / np.maximum(np.linalg.norm(of_edges[:, :3], axis=1, keepdims=True), 1e-6)).T
        normals = np.stack([turn[0, 0] * x - turn[0, 1] * y, turn[1, 1] * y - turn[1, 0] * x, z], 1)
        sure = np.sqrt(3 * np.exp(of_edges[:, 3].clip(NARROW, WIDE)) ** 2 + NORMAL_FLOOR**2)
        known = of_edges[:, MAPS] * _within(middle)
        in_window = (points - crop.matrix[:, 2]) @ back.T
        return (
            np.column_stack([in_window, spread, share]).astype(np.float32),
            np.column_stack([normals, sure, known]).astype(np.float32),
        )


def _both(guess: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The landmarks' surface as it is and in a mirror."""
    return guess, guess[..., ::-1] * mirror_sign(guess.shape[1], ACROSS_GUESS)


def _shown(valid: np.ndarray, crop: Crop) -> np.ndarray:
    """(S, S) of the window, as the maps have it: (64, 64)."""
    rows, columns = np.mgrid[:MAP_SIDE, :MAP_SIDE] * (SIDE / MAP_SIDE) + SIDE / MAP_SIDE / 2
    place = (np.stack([columns, rows], -1) - crop.matrix[:, 2]) @ np.linalg.inv(crop.matrix[:, :2]).T
    at = np.floor(place).astype(int)
    held = at.clip(0, len(valid) - 1)
    return valid[held[..., 1], held[..., 0]] * (at == held).all(-1)


def _within(points: np.ndarray) -> np.ndarray:
    return np.all((points > MARGIN) & (points < SIDE - MARGIN), axis=1)


@lru_cache
def load_points() -> DensePoints:
    """The bundled definition. Raises FaceFitError: it is missing or damaged."""
    names = ("canonical", "shares", "triangles", "corners", "edges", "vertices")
    canonical, shares, *indices = bundled_arrays(POINTS_FILE, names, "`make observation` makes it")
    triangles, corners, edges, vertices = (array.astype(np.int64) for array in indices)
    return DensePoints(LandmarkSurface(canonical, triangles, corners, shares), edges, vertices)


def load_dense(threads: int = 1) -> DenseObserver:
    """The bundled network by onnxruntime. Raises FaceFitError: a file or onnxruntime is missing."""
    session = load_session(bundled(FILE), threads, "`make observation` trains it")

    def run(colours: np.ndarray, guess: np.ndarray) -> np.ndarray:
        return session.run(["maps"], {"colours": colours, "guess": guess})[0]

    return DenseObserver(load_points(), run)
