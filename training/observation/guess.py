"""A linear map from what the landmark stage leaves over to what the shape lacks, learned from rendered people.

The people are those of training.observation.rendered: crops with found landmarks, and identities that are known. Each
is looked at by the network and fitted by the landmark stage as a photo would be, with its own lens. What the shape
lacks is where the points of the face at rest truly lie, laid by a similarity on where the stage has them, less that;
for neither size nor place can be seen. Both models' people count, without their mean: what a whole model's people have
in common is of the model, and strangers need not have it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import facefit  # noqa: F401  before torch and numpy: it sets their threads

import numpy as np  # isort: skip
import torch

from facefit.anatomy.parts import MASKS
from facefit.errors import FitError
from facefit.files.together import write_together
from facefit.fit.config import FitConfig
from facefit.fit.dense_rows import dense_basis
from facefit.fit.first_guess import first_guess
from facefit.fit.identity_guess import features
from facefit.geometry.camera import Camera, WindowTransform
from facefit.geometry.similarity import fit_similarity
from facefit.model.face_model import FaceModel
from facefit.observe.dense import DenseObserver
from facefit.observe.observation import Observation
from training.observation.rendered import MAP_STORED, STORED, Studio
from training.observation.samples import SEEN

STRENGTH = 1.0  # of the ridge, in parts of the features' mean variance
RANK = 60  # of the map: what it says about most people, without the noise of the rest
DEVIATION = (1.0, 0.12, 2.0)  # mm, radians, mm: the usual sizes of the three kinds of features


@dataclass(frozen=True)
class Lesson:
    """N people: features (N, F), see facefit.fit.identity_guess.features; lacking (N, P, 3) mm, 0 where a model has no
    such point; head (N,) whose people they are."""

    features: np.ndarray
    lacking: np.ndarray
    head: np.ndarray

    def __getitem__(self, index: np.ndarray) -> Lesson:
        return Lesson(self.features[index], self.lacking[index], self.head[index])


def observed(row: dict[str, np.ndarray], look: DenseObserver) -> Observation:
    """A stored crop as the landmark stage sees it."""
    focal = float(row["camera"][0] / row["camera"][2])
    shown = np.isin(row["labels"], SEEN).repeat(STORED // MAP_STORED, 0).repeat(STORED // MAP_STORED, 1)
    points, normals = look.look(row["image"].astype(np.float32) / 255, row["landmarks"], shown.astype(np.float32))
    nothing = torch.zeros(1, STORED, STORED)
    return Observation(
        image=torch.zeros(1, STORED, STORED, 3),
        landmarks=torch.from_numpy(row["landmarks"][None, :, :2].copy()),
        landmark_confidence=torch.ones(1, len(row["landmarks"])),
        part_masks=torch.zeros(1, len(MASKS), STORED, STORED),
        valid=nothing,
        brow_line=torch.tensor([[[0.0, -1.0, 0.0]] * 2]),
        camera=Camera(torch.full((1, 2), focal), torch.full((1, 2), STORED / 2)),
        window=WindowTransform(torch.zeros(1, 2), torch.ones(1), STORED),
        dense_points=torch.from_numpy(points[None]),
        dense_normals=torch.from_numpy(normals[None]),
    )


def lesson(shards: list[Path], models: list[Studio], model: FaceModel, look: DenseObserver) -> Lesson:
    """What the landmark stage makes of the people of shards, who are of these models."""
    basis, config, rows = dense_basis(model), FitConfig(), []
    assert basis is not None
    rest = [
        (one.places.of(one.head.verts), np.stack([one.places.of(by.reshape(-1, 3)) for by in one.head.identity], 2))
        for one in models
    ]
    known = np.logical_and.reduce([one.places.known for one in models])
    moves = basis.basis[..., : model.sizes["identity"]].numpy()
    for row in _people(shards):
        seen = observed(row, look)
        try:
            found = first_guess(seen, model, config)
        except FitError:
            continue
        mean, identities = rest[int(row["head"])]
        truth = (mean + identities @ row["identity"]).astype(np.float64)
        fitted = (basis.mean.numpy() + moves @ found.identity[0].numpy()).astype(np.float64)
        lacking = np.zeros(truth.shape, np.float32)
        lacking[known] = fit_similarity(truth[known], fitted[known], scale=True)(truth[known]) - fitted[known]
        rows.append((features(found, seen, model, basis)[0].numpy(), lacking, row["head"]))
    return Lesson(*(np.stack(column) for column in zip(*rows, strict=True)))


def learned(taught: Lesson) -> dict[str, np.ndarray]:
    """The arrays that facefit.fit.identity_guess reads: a ridge, cut down to the directions that it says most in."""
    edges = taught.features.shape[1] - 2 * taught.lacking[0].size
    scale = np.repeat(1 / np.array(DEVIATION, np.float32), (taught.lacking[0].size, edges, taught.lacking[0].size))
    mean = taught.features.mean(0)
    given = (taught.features - mean) * scale
    wanted = without_mean(taught).reshape(len(given), -1)
    gram, variance = given.T @ given, float(np.square(given).sum() / len(given))
    straight = np.linalg.solve(gram + STRENGTH * variance * np.eye(len(gram), dtype=gram.dtype), given.T @ wanted)
    directions = np.linalg.eigh(straight.T @ gram @ straight)[1][:, ::-1][:, :RANK]
    inward = (straight @ directions) * scale[:, None]
    return {
        "mean": mean.astype(np.float16), "inward": inward.astype(np.float16),
        "outward": directions.T.astype(np.float16),
    }  # fmt: skip


def without_mean(taught: Lesson) -> np.ndarray:
    """(N, P, 3) what each lacks beyond what his model's people lack on average."""
    means = {head: taught.lacking[taught.head == head].mean(0) for head in np.unique(taught.head)}
    return taught.lacking - np.stack([means[head] for head in taught.head])


def held_to(taught: Lesson, arrays: dict[str, np.ndarray]) -> dict[str, float]:
    """mm, how far points lie from where they belong, on average over people: as the stage has them, with the map, and
    if the stage's map were right but for each model's mean."""
    mean, inward, outward = (arrays[name].astype(np.float32) for name in ("mean", "inward", "outward"))
    said = ((taught.features - mean) @ inward @ outward).reshape(taught.lacking.shape)
    left = without_mean(replace(taught, lacking=taught.lacking - said))
    of = {"stage": taught.lacking, "without mean": without_mean(taught), "with the map": left}
    return {name: round(float(np.linalg.norm(value, axis=2).mean()), 3) for name, value in of.items()}


def write(arrays: dict[str, np.ndarray], path: Path) -> None:
    """The file that facefit.fit.identity_guess reads."""
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    write_together({path: out.getvalue()})


def _people(shards: list[Path]) -> Iterator[dict[str, np.ndarray]]:
    for path in shards:
        with np.load(path, allow_pickle=False) as file:
            columns = {name: file[name] for name in file.files}
        for k in range(len(columns["image"])):
            yield {name: values[k] for name, values in columns.items()}
