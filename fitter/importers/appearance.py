"""Colours for a model that has none: the default model's skin, lips, brows, eyes and mouth on another surface.

The 478 landmarks of both say which point of one face is which of the other; between them a smooth warp does. Pieces go
to pieces: skin to skin, eyeballs to eyeballs by direction from their middle, the mouth's inside to the mouth's inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import RBFInterpolator
from scipy.spatial import cKDTree

from ..anatomy.landmarks import IRISES
from ..anatomy.parts import LABEL
from ..geometry.closest_point import ClosestPoint
from ..geometry.mirror import sphere_centre
from ..geometry.triangles import triangle_weights
from ..model.face_model import FaceModel
from . import skin

IRIS, PUPIL = 26.0, 10.0  # degrees from the optical axis


@dataclass(frozen=True)
class Pieces:
    """What is known of a mesh before anyone looked at it: (V,) eyeball 0, 1 right, 2 left, and (V,) bool `inside` of
    the mouth."""

    eyeball: np.ndarray
    inside: np.ndarray

    @property
    def shell(self) -> np.ndarray:
        """(V,) bool: skin, all else."""
        return (self.eyeball == 0) & ~self.inside


def plain_colours(verts: np.ndarray, pieces: Pieces) -> np.ndarray:
    """(V, 3) in [0, 1] of vertices (V, 3) mm: skin, dark irises, dark mouth, enough for the detector to find a face."""
    colours = np.tile([0.75, 0.60, 0.50], (len(verts), 1))
    colours[pieces.inside] = skin.MOUTH
    for eye in (1, 2):
        ball = np.flatnonzero(pieces.eyeball == eye)
        if len(ball):
            towards = _directions(verts[ball])
            angle = np.degrees(np.arccos(np.clip(towards[:, 2], -1, 1)))
            colours[ball] = skin.SCLERA
            colours[ball[angle < IRIS]] = skin.IRIS
            colours[ball[angle < PUPIL]] = skin.PUPIL
    return colours


def transferred_albedo(
    verts: np.ndarray, points: np.ndarray, pieces: Pieces, donor: FaceModel
) -> tuple[np.ndarray, np.ndarray]:
    """The donor's albedo on another surface.

    Args:
        verts: (V, 3) mm, origin between the eyes; points: (478, 3) its landmarks; pieces: of it.
    Returns:
        (V, 3) mean and (A, V, 3) basis.
    """
    own_verts = donor.verts.cpu().double().numpy()
    own_faces = donor.faces.cpu().numpy()
    own_points = donor.landmarks(donor.verts[None])[0].cpu().double().numpy()
    label = donor.vertex_label.cpu().numpy()
    own = Pieces(donor.eyeball.cpu().numpy(), label == LABEL["mouth_inside"])
    skin_points, moves = points[: IRISES.start], (own_points - points)[: IRISES.start]
    warp = RBFInterpolator(skin_points, moves, kernel="linear", smoothing=1.0, degree=1)
    at = verts + warp(verts)
    index = np.zeros((len(verts), 3), int)
    weight = np.tile([1.0, 0.0, 0.0], (len(verts), 1))

    # a surface without eyeballs or mouth is a mask with eyes and lips painted on: it may take from all of the donor
    shell = pieces.shell
    takes = own.shell | (own.eyeball > 0 if not pieces.eyeball.any() else False)
    triangles = own_faces[takes[own_faces].all(1)]
    _, closest, face = ClosestPoint(own_verts, triangles)(at[shell])
    index[shell] = triangles[face]
    weight[shell] = triangle_weights(closest, own_verts[triangles[face]])
    if pieces.inside.any():
        donors = np.flatnonzero(own.inside)
        index[pieces.inside] = donors[cKDTree(own_verts[donors]).query(at[pieces.inside])[1]][:, None]
    for eye in (1, 2):
        ball, donors = np.flatnonzero(pieces.eyeball == eye), np.flatnonzero(own.eyeball == eye)
        if len(ball):
            nearest = cKDTree(_directions(own_verts[donors])).query(_directions(verts[ball]), k=3)
            index[ball] = donors[nearest[1]]
            share = 1 / np.maximum(nearest[0], 1e-6)
            weight[ball] = share / share.sum(1, keepdims=True)

    mean = donor.albedo_mean.cpu().double().numpy()
    basis = donor.albedo_basis.cpu().double().numpy()
    out = (mean[index] * weight[..., None]).sum(1)
    components = np.stack([(row[index] * weight[..., None]).sum(1) for row in basis])
    return np.clip(out, 0, 1), components


def _directions(ball: np.ndarray) -> np.ndarray:
    """(N, 3) unit vectors from an eyeball's middle to its vertices."""
    away = ball - sphere_centre(ball)
    return away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
