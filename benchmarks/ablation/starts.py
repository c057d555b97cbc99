"""Where a fit begins: the mean face in the landmarks' pose, or turned and pushed away from it."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from facefit.anatomy.landmarks import CHIN, FOREHEAD
from facefit.fit.config import FitConfig
from facefit.fit.first_guess import first_guess
from facefit.geometry.rotation import rotation_matrix, rotation_vector
from facefit.model.face_model import FaceModel
from facefit.observe.observation import Observation
from facefit.scene.parameters import Parameters


@dataclass(frozen=True)
class Start:
    """How far from the near start a fit begins: degrees about a random axis, and a shift in the picture's plane as a
    part of the face's height."""

    name: str
    turn: float
    shift: float


STARTS = (Start("near", 0.0, 0.0), Start("half", 10.0, 0.05), Start("far", 20.0, 0.1))


def start_parameters(
    observation: Observation, model: FaceModel, start: Start, keys: list[str], seed: int
) -> Parameters:
    """First iterates of B faces: nothing but the pose is taken from the landmarks, and then disturbed.

    Args:
        keys: of the faces; each face's disturbance depends on its key, the start's name and the seed alone.
    """
    near = first_guess(observation, model, replace(FitConfig(), energies=("prdl",)))
    landmarks = model.landmarks(model.verts[None])[0]
    centre, height = landmarks.mean(0), float((landmarks[FOREHEAD] - landmarks[CHIN]).norm())
    rotvec, translation = [], []
    for face, key in enumerate(keys):
        turn, shift = disturbance(start, key, seed)
        before = rotation_matrix(near.rotvec[face : face + 1])[0]
        after = rotation_matrix(torch.from_numpy(turn)[None].float())[0] @ before
        # about the face's own middle, so that a turn does not push it out of the picture
        moved = near.translation[face] + (before - after) @ centre
        moved[:2] += torch.from_numpy(shift).float() * height
        rotvec.append(rotation_vector(after[None].double())[0].float())
        translation.append(moved)
    return replace(near, rotvec=torch.stack(rotvec), translation=torch.stack(translation))


def disturbance(start: Start, key: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(3,) rotation vector in radians, before which the pose comes, and (2,) shift in parts of the face's height."""
    digest = hashlib.sha256(f"{seed} {key} {start.name}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    axis = rng.normal(size=3)
    angle = rng.uniform(0, 2 * math.pi)
    turn = math.radians(start.turn) * axis / np.linalg.norm(axis)
    return turn, start.shift * np.array([math.cos(angle), math.sin(angle)])
