"""The mouth's lining stays behind the skin, whoever smiles: what lies under a patch of skin goes where that patch goes.

Mean, components and expressions add up, so a lining with motions of its own comes through the skin in one sum or the
other. Flesh between them keeps about its thickness instead, in each component and each expression alike.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from ...geometry.triangles import vertex_normals
from .head import Head
from .lips import SEAM, UPPER_EDGE, find_lips

FLESH = 4.0  # mm of it at least between skin and lining, less only near the lips, where one becomes the other
SLOPE = 0.5  # mm of flesh per mm from there
PATCH = 5.0  # mm, standard deviation of the patch of skin that a point of the lining goes with
NEAR, FAR = 15.0, 35.0  # mm from the skin: up to there the lining goes with it, from there on with tongue and throat


def with_lining_behind_skin(head: Head, mirror: np.ndarray) -> Head:
    """The head with the mouth's lining under the skin in the mean, and moved by it in components and expressions.

    Args:
        mirror: (C,) each control vertex's mirror image.
    """
    inner, lips = head.only("mouth"), find_lips(head)
    skin = np.setdiff1d(head.piece("skin"), lips.column[: UPPER_EDGE + 1])  # not the lips' wet side
    # apart at rest and with an open mouth, or the lining of one lip would go with the other
    apart = cdist(head.mean[inner], head.mean[skin]) ** 2
    opened = head.mean + head.unit("jawOpen")
    apart = (apart + cdist(opened[inner], opened[skin]) ** 2) / 2
    patch = np.exp(-(apart - apart.min(1, keepdims=True)) / (2 * PATCH**2))
    patch /= patch.sum(1, keepdims=True)
    share = np.clip((FAR - np.sqrt(apart.min(1))) / (FAR - NEAR), 0, 1)
    share = (share**2 * (3 - 2 * share))[:, None]

    mean, identity, expression = head.mean.copy(), head.identity.copy(), head.expression.copy()
    for basis in (identity, expression):
        for moved in basis:
            moved[inner] += share * (patch @ moved[skin] - moved[inner])
    quads = head.base.quads[np.isin(head.base.group, ("skin", "neck"))]
    outwards = patch @ vertex_normals(head.mean, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]))[skin]
    outwards /= np.linalg.norm(outwards, axis=1, keepdims=True)
    seam, _ = cKDTree(head.mean[lips.column[SEAM]]).query(head.mean[inner])
    wanted = np.minimum(FLESH, SLOPE * seam)
    above = np.einsum("nsx,nx->ns", head.mean[skin] - head.mean[inner][:, None], outwards)
    flesh = np.where(patch > 0.05 * patch.max(1, keepdims=True), above, np.inf).min(1)
    mean[inner] -= (share[:, 0] * np.maximum(wanted - flesh, 0))[:, None] * outwards
    mean[inner] = (mean[inner] + mean[mirror[inner]] * [-1, 1, 1]) / 2
    return replace(head, mean=mean, identity=identity, expression=expression)
