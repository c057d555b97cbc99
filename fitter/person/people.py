"""Who is who among fits of single photos: the person, and who else was photographed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from ..metrics.verification import rigid_distances
from ..model.face_model import FaceModel
from ..scene.parameters import Parameters

# The distance of two fits is that of their neutral faces (RMS, mm, laid on each other and brought to one size, for a
# photo without a known lens says little of size) and so much for each standard deviation of albedo between them.
#
# How both numbers were chosen: of 70 photos of seven people (two sessions, turned by up to 30 degrees) and 16 renders
# of two scans (lenses of 11 to 31 degrees, other light in each, turned by up to 45) six of one person and two of
# another were drawn 225 times. At the limit where 1 % of the person's own photos are left out, at most, so many
# strangers are found: without albedo 9 %, with 0.2 22 %, with 0.4 39 %, with 0.8 61 % of the photos and 79 % of the
# renders; with the size that the fits have it is 2 %.
ALBEDO_SHARE = 0.8

STRANGER = 4.6  # mean distance beyond which photos show two people


@torch.no_grad()
def distances(parameters: Parameters, model: FaceModel) -> np.ndarray:
    """(B, B) distances of B fits; see ALBEDO_SHARE."""
    label = model.vertex_label
    face = (label >= 1) & (label <= 8) & (model.eyeball == 0)
    rest = torch.zeros_like(parameters.expression)
    shapes = torch.cat([model.shape(i[None], r[None])[:, face] for i, r in zip(parameters.identity, rest, strict=True)])
    shapes = shapes - shapes.mean(1, keepdim=True)
    size = shapes.flatten(1).norm(dim=1)[:, None, None]
    mean = model.verts[face] - model.verts[face].mean(0)
    shapes = shapes / size.clamp_min(1e-6) * mean.norm()
    albedo = torch.cdist(
        parameters.albedo.double(), parameters.albedo.double(), compute_mode="donot_use_mm_for_euclid_dist"
    )
    return rigid_distances(shapes.cpu().numpy()) + ALBEDO_SHARE * albedo.cpu().numpy()


def same_person(distance: np.ndarray, like: int | None = None, limit: float = STRANGER) -> list[int]:
    """Which of B fits show the person.

    Args:
        distance: (B, B). like: the fit that is the person; None: whoever is on most photos, of two as frequent the one
            who comes first.
        limit: mean distance within a person.
    Returns:
        places, in order.
    """
    count = len(distance)
    if count == 1:
        return [0]
    if like is not None:
        return [k for k in range(count) if distance[like, k] <= limit]
    group = fcluster(linkage(squareform(distance, checks=False), "average"), limit, "distance")
    sizes = np.bincount(group)
    largest = [number for number in group if sizes[number] == sizes.max()][0]
    return [k for k in range(count) if group[k] == largest]


def nearest_distance(distance: np.ndarray, members: Sequence[int], stranger: int) -> float:
    """Mean distance of one who is left out to the person."""
    return float(distance[stranger, list(members)].mean())
