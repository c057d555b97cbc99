"""What the decoder learns from: shapes of both head models' people, and skins of photographed people."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import facefit  # noqa: F401  before torch and numpy: it sets their threads

import numpy as np  # isort: skip
from scipy import sparse
from scipy.sparse.linalg import splu

from facefit.anatomy.parts import LABEL
from facefit.model.face_model import FaceModel
from training.decoder.people import Population, neighbours, upsampling

SHAPES = 1500  # of each of the two populations
SKINS = 480  # photographed ones, mirrored ones and people put together
DARKEST = 0.02  # of white
SEEN = 0.3  # weight from which a vertex of a photo counts
SOFT = 6  # steps over the mesh's edges by which a part's border is softened
TONE = 0.7  # deviations of the head model's albedo, of people put together


@dataclass(frozen=True)
class Skins:
    """Photographed people.

    Attributes:
        name, person: (N,). colours: (N, V, 3) under white light, as light as the fitted albedo; weight (N, V).
        filled: (N, C, 3) at control vertices, what is hidden taken from the other side or from the fit.
    """

    name: np.ndarray
    person: np.ndarray
    colours: np.ndarray
    weight: np.ndarray
    filled: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> Skins:
        return Skins(*(getattr(self, name)[rows] for name in ("name", "person", "colours", "weight", "filled")))


def read_skins(path: Path, model: FaceModel, arrays: dict[str, np.ndarray]) -> Skins:
    """Of the file that training.decoder.textures writes."""
    with np.load(path, allow_pickle=False) as file:
        data = {name: file[name] for name in ("name", "person", "colours", "weight", "fitted")}
    colours, weight, fitted = (data[name].astype(np.float32) for name in ("colours", "weight", "fitted"))
    gain = (fitted * weight[..., None]).sum(1) / np.maximum((colours * weight[..., None]).sum(1), 1e-6)
    colours = np.clip(colours * gain[:, None], DARKEST, 1)
    mirror = model.symmetry.numpy()
    both = np.where((weight < SEEN)[..., None], colours[:, mirror], colours)
    known = np.maximum(weight, weight[:, mirror])[..., None].clip(0, SEEN) / SEEN
    whole = known * both + (1 - known) * np.clip(fitted, DARKEST, 1)
    upsample = upsampling(arrays)
    solve = splu((upsample.T @ upsample + 1e-3 * sparse.eye(upsample.shape[1])).tocsc()).solve
    filled = np.stack([solve(upsample.T @ each.astype(np.float64)) for each in whole])
    return Skins(data["name"], data["person"], colours, weight, np.clip(filled, DARKEST, 1).astype(np.float32))


def held_out(skins: Skins) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from and to measure on, by person: of the frontal photos every other person, and all `wild` ones,
    are measured on; the turned photos' people are learnt from."""
    frontal = np.array([name.startswith("fasseg/v2_") for name in skins.name])
    turned = np.array([name.startswith("fasseg_train/") for name in skins.name])
    wild = np.array([name.startswith("wild/") for name in skins.name])
    even = np.array([name[-1] in "02468" for name in skins.name])
    return np.flatnonzero(turned | (frontal & even)), np.flatnonzero(wild | (frontal & ~even))


def shapes(populations: tuple[Population, Population], count: int, seed: int) -> np.ndarray:
    """(2 count, C, 3) mm, half of each population."""
    rng = np.random.default_rng(seed)
    return np.concatenate([each.draw(count, rng) for each in populations])


def skin_samples(skins: Skins, model: FaceModel, arrays: dict[str, np.ndarray], count: int, seed: int) -> np.ndarray:
    """(count, C, 3): the photographed people, their mirror images, and people put together: one's skin with the eyes,
    nose or mouth of others, in the tone of a random albedo of the head model."""
    rng = np.random.default_rng(seed)
    real = np.log(skins.filled)
    mirror = _control_mirror(arrays)
    real = np.concatenate([real, real[:, mirror]])
    masks = _part_masks(model, arrays)
    basis = arrays["albedo_basis"].astype(np.float32)
    mean = np.clip(arrays["albedo_mean"].astype(np.float32), DARKEST, 1)
    rows = [*real[: len(real)]]
    while len(rows) < count:
        made = real[rng.integers(len(real))].copy()
        for mask in masks:
            other = real[rng.integers(len(real))]
            # the other's part in this one's tone around it
            shift = (made - other)[mask > 0.05].mean(0)
            made = made + mask[:, None] * (other + shift - made)
        tint = np.clip(mean + np.tensordot(TONE * rng.standard_normal(len(basis)), basis, 1), DARKEST, 1)
        rows.append(made + np.log(tint) - np.log(mean))
    return np.clip(np.exp(np.stack(rows[:count])), DARKEST, 1).astype(np.float32)


def _control_mirror(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """(C,) the control vertex on the other side: the nearest to the mirrored place."""
    from scipy.spatial import cKDTree

    verts = arrays["verts"]
    return cKDTree(verts).query(verts * [-1, 1, 1])[1]


def _part_masks(model: FaceModel, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """(3, C) in [0, 1]: eyes with their brows, nose, mouth, softly."""
    upsample, label = upsampling(arrays), model.vertex_label.numpy()
    groups = (("right_eye", "left_eye", "right_brow", "left_brow"), ("nose",), ("upper_lip", "lower_lip"))
    total = np.asarray(upsample.sum(0))[0]
    step = neighbours(arrays, model) + sparse.eye(len(total))
    step = sparse.diags(1 / np.asarray(step.sum(1))[:, 0]) @ step
    masks = np.stack([upsample.T @ np.isin(label, [LABEL[n] for n in names]) / total for names in groups], 1)
    for _ in range(SOFT):
        masks = np.clip(1.15 * (step @ masks), 0, 1)
    return masks.T.astype(np.float32)
