"""A face model and a detector that are small enough for thousands of fits: everything else is the real program.

The model is a curved grid with the landmarks of the bundled one; the detector finds one face in the middle of every
picture, where that model's mean face would be seen.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from facefit.anatomy.parts import LABEL
from facefit.batch.loader import load_calls
from facefit.batch.options import BatchOptions
from facefit.job.options import JobOptions
from facefit.model.model_file import load_model, save_arrays
from facefit.observe.faces import DetectedFace

WIDE, HIGH = 95.0, 120.0  # mm from the middle of the grid to its borders
WINDOW = 64  # pixels of the fitted window
LEAST = 24  # pixels: in smaller pictures there is no face


@functools.cache
def _landmarks() -> np.ndarray:
    """(478, 2) mm: x and y of the bundled model's landmarks on its mean face."""
    model = load_model()
    corners = model.verts[model.faces[model.landmark_faces]]
    points = (corners * model.landmark_bary[:, :, None]).sum(1)[:, :2].numpy()
    return np.clip(points - points.mean(0), (-0.9 * WIDE, -0.9 * HIGH), (0.9 * WIDE, 0.9 * HIGH))


def toy_arrays(rows: int = 13, columns: int = 11) -> dict[str, np.ndarray]:
    """Arrays of a model file (facefit.model.face_model): a grid of that many vertices, bent as a face roughly is."""
    dice = np.random.default_rng(0)
    v, u = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    verts = np.stack([WIDE * u, HIGH * v, -70 * (u**2 + 0.6 * v**2)], -1).reshape(-1, 3)
    grid = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]
    faces = np.stack([np.stack([a, b, c], -1), np.stack([a, c, d], -1)], 2).reshape(-1, 3)  # two in each cell
    places = (_landmarks() / (WIDE, HIGH) + 1) / 2 * (columns - 1, rows - 1)
    cell = np.clip(np.floor(places).astype(int), 0, (columns - 2, rows - 2))
    x, y = (places - cell).T
    upper = y > x
    bary = np.where(upper[:, None], np.stack([1 - y, x, y - x], 1), np.stack([1 - x, x - y, y], 1))
    count = rows * columns
    label = np.where((np.abs(u) < 0.2) & (np.abs(v) < 0.2), LABEL["nose"], LABEL["skin"])

    def smooth(components: int, scale: float) -> np.ndarray:
        angle = dice.uniform(0.5, 2, (components, 1, 1, 3)) * u[:, :, None] + dice.uniform(0, 6, (components, 1, 1, 3))
        return (scale * np.cos(angle) * np.cos(v)[:, :, None]).reshape(components, count, 3).astype(np.float32)

    return {
        "format": np.int64(1), "name": np.str_("toy"), "version": np.str_(f"{count}"), "license": np.str_("CC0-1.0"),
        "provenance": np.str_("{}"), "verts": verts.astype(np.float32), "identity_basis": smooth(3, 2.0),
        "expression_basis": smooth(2, 2.0), "expression_names": np.array(["one", "two"]),
        "expression_kind": np.str_("activation"), "albedo_mean": np.full((count, 3), 0.6, np.float32),
        "albedo_basis": smooth(2, 0.05), "faces": faces.astype(np.int32),
        "uv": np.stack([(u + 1) / 2, (v + 1) / 2], -1).reshape(-1, 2).astype(np.float32),
        "uv_faces": faces.astype(np.int32), "symmetry": grid[:, ::-1].reshape(-1).astype(np.int32),
        "vertex_label": label.reshape(-1).astype(np.uint8), "eyeball": np.zeros(count, np.uint8),
        "landmark_faces": (2 * (cell[:, 1] * (columns - 1) + cell[:, 0]) + upper).astype(np.int32),
        "landmark_bary": bary.astype(np.float32), "landmark_yaw": np.zeros(1, np.float32),
        "landmark_bias": np.zeros((1, 478, 2), np.float32),
        "landmark_covariance": np.tile(np.eye(2, dtype=np.float32), (1, 478, 1, 1)),
        "contour_rows": np.stack([grid[4, :4], grid[4, ::-1][:4]]).astype(np.int32),
        "contour_landmarks": np.array([234, 454], np.int32),
    }  # fmt: skip


def write_toy(path: Path, rows: int = 13, columns: int = 11) -> Path:
    """The model as a file."""
    save_arrays(path, toy_arrays(rows, columns))
    return path


class ToyDetector:
    """See facefit.observe.faces.LandmarkDetector."""

    def detect(self, image: np.ndarray) -> list[DetectedFace]:
        """One face, as high as two thirds of the picture's shorter side."""
        high, wide = image.shape[:2]
        if min(high, wide) < LEAST:
            return []
        points = _landmarks() * (1, -1)
        scale = min(high, wide) * 2 / 3 / np.ptp(points[:, 1])
        found = (points * scale + (wide / 2, high / 2)).astype(np.float32)
        return [DetectedFace(found, np.zeros(len(found), np.float32), 1.0)]


@dataclass(frozen=True)
class ToyLoader:
    """Loads in a worker of a batch what facefit.batch.loader.StageLoader loads, with the toy detector."""

    options: BatchOptions
    device: str | None = None
    on_gpu = False

    def __call__(self) -> Callable[..., Any]:
        use_toys()
        return load_calls(self.options, self.device)


def use_toys() -> None:
    """From now on this process, and the workers of its batches, find faces by the toy detector."""
    import facefit.batch.run
    import facefit.job.job
    import facefit.observe.parse

    detector = ToyDetector()
    facefit.job.job.load_detector = facefit.observe.parse.load_detector = lambda: detector
    facefit.batch.run.StageLoader = ToyLoader
    config = JobOptions.config
    JobOptions.config = lambda options: replace(config(options), window=WINDOW)
