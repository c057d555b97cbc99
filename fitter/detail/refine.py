"""From the fits of several photos of one person to the surface that they share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from ..fit.result import FitResult
from ..geometry.triangles import triangle_normals, vertex_normals
from ..model.face_model import FaceModel
from ..scene.part_picture import mesh_faces
from .held_out import amplitude
from .patch import Patch, skin_patch
from .registration import registered
from .samples import PatchSample, linear_light, sample_patch
from .shared_surface import solve_surface
from .trust import FULL, Trust, trust
from .wrinkles import GroupTest, Wrinkle, drivers, told_apart

_TURNED = 0.2  # cosine of the angle by which a triangle may turn; beyond, it folds over its neighbours
_MENDING = 12  # rounds of halving


@dataclass(frozen=True)
class RefinedSurface:
    """Attributes:
    displacement: (V,) mm along the normals of the neutral head; 0 where nothing is known.
    trust: how far the photos were believed.
    amplitude: what of the displacement that they tell of foretells other photos; see `facefit.detail.held_out`.
    wrinkles: what comes and goes with the expression. tests: why each group of shapes has some or none; see
        `facefit.detail.wrinkles`.
    """

    displacement: np.ndarray
    trust: Trust
    amplitude: float = 0.0
    wrinkles: tuple[Wrinkle, ...] = ()
    tests: dict[str, GroupTest] = field(default_factory=dict)


def refine_surface(results: Iterable[FitResult]) -> RefinedSurface:
    """The surface that explains the shading of all photos.

    Args:
        results: fits of one person: one identity and albedo, each with its photo. They are used one after another.
    """
    patch: Patch | None = None
    samples: list[PatchSample] = []
    verts, albedo = np.zeros((0, 3)), np.zeros(0)
    shown: list[np.ndarray] = []
    for result in results:
        if patch is None:
            verts = neutral_verts(result)
            patch = skin_patch(result.model, verts)
            albedo = log_albedo(result)[patch.vertices]
            faces = mesh_faces(result.model)
        samples.append(sample_patch(result, patch))
        shown.append(result.parameters.expression[0].double().numpy())
        model = result.model
    if patch is None:
        raise ValueError("no fits; expected one or more of one person")
    lights = trust(patch, samples, albedo)
    displacement, share = np.zeros(len(verts)), 0.0
    wrinkles: tuple[Wrinkle, ...] = ()
    tests: dict[str, GroupTest] = {}
    if lights.believed > 0:
        samples = registered(patch, samples)
        share = amplitude(patch, samples, albedo, FULL)
        groups = drivers(patch, model, np.stack(shown))
        apart, wrinkles, tests = told_apart(patch, samples, albedo, FULL, groups, lights.diverse)
        found = solve_surface(patch, samples, albedo, FULL) if apart is None else apart
        displacement[patch.vertices] = lights.believed * share * found.displacement
        displacement = unfolded(displacement, verts, faces)
    return RefinedSurface(displacement, lights, share, wrinkles, tests)


@torch.no_grad()
def neutral_verts(result: FitResult) -> np.ndarray:
    """(V, 3) float64 mm: the person without expression."""
    value = result.parameters
    return result.model.shape(value.identity, torch.zeros_like(value.expression))[0].double().numpy()


@torch.no_grad()
def log_albedo(result: FitResult) -> np.ndarray:
    """(V,) logarithm of the luminance of the fitted albedo in linear light."""
    colour = result.model.albedo(result.parameters.albedo)[0].double().numpy().clip(0.02, 1)
    return np.log(np.maximum(linear_light(colour), 2e-3)).mean(1)


def displaced_model(model: FaceModel, verts: np.ndarray, displacement: np.ndarray) -> FaceModel:
    """The model of one person: everything as it was, on the displaced surface.

    Args:
        model: on the CPU. verts: (V, 3) mm, the person's neutral head. displacement: (V,) mm along its normals.
    """
    offset = displacement[:, None] * vertex_normals(verts, mesh_faces(model))
    return replace(model, verts=model.verts + torch.from_numpy(offset).float())


def wrinkled_model(model: FaceModel, verts: np.ndarray, wrinkles: Iterable[Wrinkle]) -> FaceModel:
    """The model whose expressions fold the skin, too.

    Args:
        model: on the CPU. verts: (V, 3) mm, the person's neutral head. wrinkles: as of `wrinkle_moves`, which raises.
    """
    moves = torch.from_numpy(wrinkle_moves(model, verts, wrinkles)).float()
    return replace(model, expression_basis=model.expression_basis + moves)


def wrinkle_moves(model: FaceModel, verts: np.ndarray, wrinkles: Iterable[Wrinkle]) -> np.ndarray:
    """(E, V, 3) mm: what wrinkles add to each of the model's expressions at 1.

    Args:
        verts: (V, 3) mm, the person's neutral head.
    Raises:
        ValueError: a shape that the model does not have.
    """
    height, names = np.zeros((len(model.expression_names), len(verts))), list(model.expression_names)
    for wrinkle in wrinkles:
        for name, row in zip(wrinkle.shapes, wrinkle.height, strict=True):
            height[names.index(name), wrinkle.vertices] += row
    return height[:, :, None] * vertex_normals(verts, mesh_faces(model))


def unfolded(displacement: np.ndarray, verts: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """The displacement, less of it around triangles that it would turn over.

    Args:
        displacement: (V,) mm along the normals. verts: (V, 3) mm; faces: (F, 3).
    Returns:
        (V,) mm.
    """
    normals, before = vertex_normals(verts, faces), triangle_normals(verts[faces])
    for _ in range(_MENDING):
        after = triangle_normals((verts + displacement[:, None] * normals)[faces])
        folded = (before * after).sum(1) < _TURNED
        folded &= (displacement[faces] != 0).any(1)
        if not folded.any():
            return displacement
        around = np.isin(faces, faces[folded]).any(1)  # a ring more, or the step would only move outwards
        displacement = displacement.copy()
        displacement[np.unique(faces[around])] *= 0.7
        displacement[np.unique(faces[folded])] *= 0.7
    displacement[np.unique(faces[folded])] = 0.0
    return displacement
