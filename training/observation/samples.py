"""Stored people as arrays for the training, with the landmarks' surface drawn once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import facefit  # noqa: F401  before torch and numpy: it sets their threads

import numpy as np  # isort: skip

from facefit.anatomy.parts import LABEL
from facefit.geometry.similarity import fit_similarity
from facefit.observe.dense import load_points
from facefit.observe.dense_surface import LandmarkSurface, guess_maps
from training.observation.rendered import MAP_STORED, STORED

SEEN = tuple(LABEL[n] for n in ("skin", "nose", "right_brow", "left_brow", "upper_lip", "lower_lip"))


@dataclass(frozen=True)
class Samples:
    """N people. Pixels are of stored crops, 144 wide, maps 72.

    Attributes:
        image: (N, 144, 144, 3) uint8. normals: (N, 72, 72, 3) int8. seen: (N, 72, 72) bool, visible skin.
        guess: (N, 7, 72, 72) int8, see training.observation.crop.guess_maps, 127 is 1.
        start, points: (N, P, 3) float32 the landmarks' idea of the points, and the truth; the third towards the viewer.
        facing: (N, P) bool. head: (N,) 0 facefit's model, 1 ICT-FaceKit's. millimetres: (N,) a pixel.
    """

    image: np.ndarray
    normals: np.ndarray
    seen: np.ndarray
    guess: np.ndarray
    start: np.ndarray
    points: np.ndarray
    facing: np.ndarray
    head: np.ndarray
    millimetres: np.ndarray

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, index) -> Samples:
        return Samples(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


def prepared(rows: dict[str, np.ndarray], seen: np.ndarray, about: LandmarkSurface) -> Samples:
    """Arrays as stored -> samples. `seen`: (N, 72, 72) bool."""
    landmarks = rows["landmarks"]
    guess = np.concatenate([
        np.rint(guess_maps(about, landmarks[k : k + 16], STORED, MAP_STORED) * 127).clip(-127, 127).astype(np.int8)
        for k in range(0, len(landmarks), 16)
    ])  # fmt: skip
    start = about.guess(landmarks * np.array([1, 1, -1], np.float32))
    start[..., 2] -= start[..., 2].mean(1, keepdims=True)
    return Samples(
        rows["image"], rows["normals"], seen, guess, start.astype(np.float32), rows["points"].astype(np.float32),
        rows["facing"], rows["head"], rows["millimetres"],
    )  # fmt: skip


def load(paths: list[Path]) -> Samples:
    """Shards of training.observation.rendered, one after the other."""
    about, parts = load_points().surface, []
    for path in paths:
        with np.load(path) as file:
            rows = {name: file[name] for name in file.files}
        rows["millimetres"] = rows["camera"][:, 2]
        parts.append(prepared(rows, np.isin(rows["labels"], SEEN), about))
    return Samples(*(np.concatenate([getattr(p, n) for p in parts]) for n in Samples.__dataclass_fields__))


@dataclass(frozen=True)
class Scans:
    """Renders of scans: samples; names (N,) of the scans; fit_normals (N, 72, 72, 3) and fit_points (N, P, 3) of fits
    without a network, as the truth is given."""

    samples: Samples
    names: np.ndarray
    fit_normals: np.ndarray
    fit_points: np.ndarray

    def fit_errors(self) -> dict[str, dict[str, float]]:
        """Of the fits, scan by scan: degrees over the visible face, and mm after the best similarity."""
        rows: dict[str, list[tuple[float, ...]]] = {}
        for k, name in enumerate(self.names):
            one, scale = self.samples[k], self.samples.millimetres[k]
            cosine = (one.normals / 127.0 * self.fit_normals[k]).sum(-1)[one.seen]
            angle = np.degrees(np.arccos(cosine.clip(-1, 1)))
            given, truth = (p[one.facing].astype(np.float64) * scale for p in (self.fit_points[k], one.points))
            left = np.linalg.norm(fit_similarity(given, truth, scale=True)(given) - truth, axis=1)
            rows.setdefault(str(name), []).append((angle.mean(), np.median(angle), left.mean(), np.median(left)))
        titles = ("normals", "normals_median", "points", "points_median")
        return {
            name: {title: round(float(value), 2) for title, value in zip(titles, np.mean(of_scan, 0), strict=True)}
            for name, of_scan in rows.items()
        }


def load_scans(path: Path) -> Scans:
    """What training.observation.scans has stored."""
    with np.load(path, allow_pickle=False) as file:
        rows = {name: file[name] for name in file.files}
    normals = np.rint(rows["normals"] * 127).astype(np.int8)
    names = np.array([str(name).split("_")[0] for name in rows["name"]])
    samples = prepared(
        rows | {"normals": normals, "head": np.full(len(names), 2)}, rows["region"], load_points().surface
    )
    return Scans(samples, names, rows["fit_normals"], rows["fit_points"])
