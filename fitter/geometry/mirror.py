"""Where a head's plane of symmetry lies, which vertex mirrors which, and the middle of an eyeball."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree


def middle_x(verts: np.ndarray, rounds: int = 8) -> float:
    """x in mm of the plane that the mesh is most symmetric about.

    Each vertex is mirrored; its image lies off the nearest vertex by twice the plane's error. The median is robust
    against what has no counterpart.

    Args:
        verts: (V, 3) mm, x to the side.
        rounds: at most; it ends sooner where a step is below 1e-4 mm.
    """
    at = float(np.median(verts[:, 0]))
    tree = cKDTree(verts)
    for _ in range(rounds):
        image = verts * [-1, 1, 1] + [2 * at, 0, 0]
        _, nearest = tree.query(image)
        step = float(np.median(verts[nearest, 0] - image[:, 0])) / 2
        at += step
        if abs(step) < 1e-4:
            break
    return at


def mirrored_vertices(verts: np.ndarray, group: np.ndarray) -> np.ndarray:
    """(V,) the vertex nearest to each vertex's mirror image in x = 0, inside the group that mirrors its own.

    Meshes whose sides have different triangles get the nearest vertex: what is mirrored with it (colours, votes) is
    smooth.

    Args:
        verts: (V, 3) mm, x to the side, symmetric about x = 0.
        group: (V,) int; groups that have no vertex near their image on the own side (eyes) mirror into the group that
            has.
    """
    out = np.arange(len(verts))
    image = verts * [-1, 1, 1]
    trees = {number: cKDTree(verts[group == number]) for number in np.unique(group)}
    for number in trees:
        mine = np.flatnonzero(group == number)
        found = {other: tree.query(image[mine]) for other, tree in trees.items()}
        best = min(found, key=lambda other: float(found[other][0].mean()))
        out[mine] = np.flatnonzero(group == best)[found[best][1]]
    return out


def sphere_centre(points: np.ndarray) -> np.ndarray:
    """(3,) centre of the sphere that fits (N, 3) points best (algebraic least squares; Coope 1993)."""
    points = points.astype(np.float64)
    origin = points.mean(0)
    local = points - origin
    system = np.concatenate([2 * local, np.ones((len(local), 1))], 1)
    return origin + np.linalg.lstsq(system, (local**2).sum(1), rcond=None)[0][:3]


def centre_weights(points: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(N,) smallest weights that sum to 1 and give `centre` (3,) as the weighted sum of the (N, 3) points: the point an
    eyeball turns about moves with the eyeball whatever the face."""
    system = np.concatenate([points.T.astype(np.float64), np.ones((1, len(points)))])
    wanted = np.append(centre, 1.0)
    even = np.full(len(points), 1 / len(points))
    return even + np.linalg.lstsq(system, wanted - system @ even, rcond=None)[0]
