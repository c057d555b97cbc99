"""Who is who among fits of single photos: the person, and who else was photographed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from torch import Tensor

from ..metrics.verification import rigid_distances
from ..model.face_model import FaceModel
from ..scene.parameters import Parameters

# The distance of two fits is that of their neutral faces (RMS, mm, laid on each other and brought to one size, for a
# photo without a known lens says little of size) and so much for each standard deviation of albedo between them.
#
# How the numbers were chosen, with head 2.1: 98 photos of seven people (two sessions each, turned by up to 45 degrees),
# 16 renders of two scans (lenses of 11 to 31 degrees, another light in each) and 37 photos of other people. 360 albums
# were drawn, three to eight photos of one person and one or two of another. Each of the nine people was left out in
# turn and the limit taken at which 0.5 % of the others' own photos are left out, for leaving out a person's own photo
# does more harm than letting in a stranger's. Of the person left out 0.5 % of the photos were lost then, and so many
# strangers found: without albedo 49 %, with 0.2 64 %, with 0.3 75 %, with 0.4 77 %, with 0.6 73 %, with 0.8 69 %.
ALBEDO_SHARE = 0.4

# Mean distance beyond which photos show two people. 2.7 by the above; since fits observe points and normals,
# albums like these of 118 photos of 27 people lose .7 % of the own photos at 2.7 and find 79 % of the strangers, at 2.8
# .4 and 75 %. Without points and normals 2.7 lost .1 % of 60 of these photos and found 72 %, with them .2 and 78 %.
STRANGER = 2.8

# The same for the mean distance of photos that show one person to a reference, drawn the same way: 0.8 % of the own
# photos lost and 63 % of the strangers found with a reference of one photo, 0.6 and 72 % with one of four
# fitted together. Each photo judged by itself: 0.8 and 43 %. That was at 2.8; moved as the limit above.
UNLIKE = 2.9


@dataclass(frozen=True)
class Reference:
    """Somebody who is known already.

    Attributes:
        identity, albedo: (1, I) and (1, A), standard deviations of the model's components.
    """

    identity: Tensor
    albedo: Tensor

    @classmethod
    def of(cls, parameters: Parameters) -> Reference:
        """The first photo of some."""
        return cls(parameters.identity[:1].cpu(), parameters.albedo[:1].cpu())


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


def same_person(distance: np.ndarray, limit: float = STRANGER) -> list[int]:
    """Which of B fits show the person: whoever is on most photos, of two as frequent the one who comes first.

    Args:
        distance: (B, B). limit: mean distance within a person.
    Returns:
        places, in order.
    """
    group = _groups(distance, limit)
    sizes = np.bincount(group)
    largest = [number for number in group if sizes[number] == sizes.max()][0]
    return [k for k in range(len(group)) if group[k] == largest]


def like_reference(to_reference: np.ndarray, distance: np.ndarray, most: float, limit: float = STRANGER) -> list[int]:
    """Which of B fits show the person of a reference.

    Photos that show one person among themselves are judged together: their mean tells more than one photo does.

    Args:
        to_reference: (B,) distances; distance: (B, B). most: mean distance of a person's photos to the reference.
        limit: mean distance within a person.
    Returns:
        places, in order.
    """
    group = _groups(distance, limit)
    return [k for k in range(len(group)) if to_reference[group == group[k]].mean() <= most]


def _groups(distance: np.ndarray, limit: float) -> np.ndarray:
    """(B,) numbers from 1: who shows the same person, by average linkage."""
    if len(distance) == 1:
        return np.ones(1, int)
    return fcluster(linkage(squareform(distance, checks=False), "average"), limit, "distance")


def nearest_distance(distance: np.ndarray, members: Sequence[int], stranger: int) -> float:
    """Mean distance of one who is left out to the person, of (B, B) distances."""
    return float(distance[stranger, list(members)].mean())
