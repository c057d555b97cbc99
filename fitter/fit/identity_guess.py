"""Where a face's identity is to be expected, from what a network saw of it: the middle of its prior.

The landmark stage takes the errors of dense points and normals for independent ones. They are not: a network that is
in doubt says what an average face has, everywhere at once, and so does the stage. What both leave over is telling: on
rendered people, whose shapes are known, a linear map from it to what the shape lacks was learned
(training/observation/guess.py). It knows points of the face alone and not the model's coefficients, so that it serves
every head that has those points.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ..compute.derived import derived
from ..files.bundled_arrays import bundled_arrays
from ..geometry.camera import project, to_camera_space, window_camera
from ..geometry.rotation import rotation_matrix
from ..model.face_model import FaceModel
from ..observe.observation import Observation
from ..scene.parameters import Parameters
from .config import FitConfig
from .dense_rows import DenseBasis, dense_basis
from .first_guess import first_guesses

FILE = "dense_identity.npz"
FARTHEST, STEEPEST = 15.0, 1.0  # mm and radians of a residual; more is an error of another kind
NOISE = 0.05  # of a coefficient's usual trace in the points: what cannot be seen in them stays as it is


@dataclass(frozen=True)
class IdentityGuess:
    """A linear map of low rank from what the landmark stage leaves over to the face's points.

    Attributes:
        mean: (F,) of the features, see `features`. inward: (F, K) from features; outward: (K, P * 3) to mm.
    """

    mean: Tensor
    inward: Tensor
    outward: Tensor

    def displacement(self, features: Tensor) -> Tensor:
        """(B, F) -> (B, P, 3) mm, what is to be added to the points of the face at rest, in the model's frame."""
        return ((features - self.mean) @ self.inward @ self.outward).reshape(len(features), -1, 3)

    def to(self, device: torch.device) -> IdentityGuess:
        """The same on another device."""
        return IdentityGuess(self.mean.to(device), self.inward.to(device), self.outward.to(device))


@lru_cache
def load_identity_guess() -> IdentityGuess:
    """The bundled map. Raises FaceFitError: it is missing or damaged."""
    arrays = bundled_arrays(FILE, ("mean", "inward", "outward"), "`make observation` makes it")
    return IdentityGuess(*(torch.from_numpy(array.astype(np.float32)) for array in arrays))


def expected(observation: Observation, model: FaceModel, config: FitConfig) -> Observation:
    """The observation with the identity to be expected of each face, found by a landmark stage of its own; the same
    observation without any where nothing dense was observed or is asked for, or the model has no such points."""
    if observation.identity.shape[1]:  # of an earlier fit, perhaps of another model: it must not enter its own guess
        observation = replace(observation, identity=observation.identity[:, :0])
    basis = dense_basis(model) if "dense" in config.energies and observation.dense_points.shape[1] else None
    if basis is None:
        return observation
    found, failed = first_guesses(observation, model, config)
    centre = observation.image.new_zeros(observation.batch, model.sizes["identity"])
    if found is not None:
        alive = [face for face in range(observation.batch) if face not in failed]
        centre[alive] = expected_identity(found, observation[alive], model)
    return replace(observation, identity=centre)


@torch.no_grad()
def expected_identity(found: Parameters, observation: Observation, model: FaceModel) -> Tensor:
    """(B, I) where the identity is to be expected.

    Args:
        found: what the landmark stage found without such an expectation.
    """
    basis = dense_basis(model)
    assert basis is not None
    guess = derived(model, "identity guess", lambda own: load_identity_guess().to(own.device))
    by = guess.displacement(features(found, observation, model, basis))
    return found.identity + by.flatten(1) @ derived(model, "identity of points", _identity_of_points)


def features(found: Parameters, observation: Observation, model: FaceModel, basis: DenseBasis) -> Tensor:
    """What the landmark stage found and left over: (B, F), F = 6 P + E, 0 where nothing is observed.

    The points of the face at rest less those of the model's mean face, P x 3 mm in the model's frame; the angle between
    each edge and the plane across the normal seen there, E radians, the edge's length that of the mean face's; how far
    each point was seen from where it is, P x 3 mm in the model's frame, across the line of sight alone.
    """
    camera = window_camera(observation.camera, observation.window)
    rotation = rotation_matrix(found.rotvec)
    batch, count = len(found.identity), found.identity.shape[1]
    rest = (found.identity @ basis.basis[..., :count].flatten(0, 1).T).reshape(batch, -1, 3) * basis.known[:, None]
    shape = model.dense_points(model.shape(found.identity, found.expression, None, found.joints))
    points = to_camera_space(shape, found.rotvec, found.translation)
    facing = basis.facing(rotation, points)
    first, second = basis.edges
    normals, seen = observation.dense_normals, observation.dense_points
    angle = ((points[:, first] - points[:, second]) * normals[..., :3]).sum(-1) / basis.length
    angle = angle.clamp(-STEEPEST, STEEPEST) * normals[..., 4] * facing[:, first] * facing[:, second]
    millimetres = (-points[..., 2:]).clamp_min(1.0) / camera.focal[:, None]
    aside = (seen[..., :2] - project(points, camera)) * millimetres * points.new_tensor([1.0, -1.0])
    aside = aside.clamp(-FARTHEST, FARTHEST) * (seen[..., 3] * facing)[..., None]
    across = torch.cat([aside, torch.zeros_like(aside[..., :1])], -1) @ rotation
    return torch.cat([rest.flatten(1), angle, across.flatten(1)], 1)


def _identity_of_points(model: FaceModel) -> Tensor:
    """(P * 3, I): coefficients of a displacement of the points, as far as they show it."""
    basis = dense_basis(model)
    assert basis is not None
    moves = (basis.basis[..., : model.sizes["identity"]] * basis.known[:, None, None]).flatten(0, 1).double()
    normal = moves.T @ moves
    normal.diagonal().add_(NOISE * normal.diagonal().mean())
    return torch.linalg.solve(normal, moves.T).T.float()
