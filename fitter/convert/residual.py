"""What a model's components cannot represent of a surface: smooth offsets of its vertices that bring it there.

Source: Amberg, Romdhani and Vetter 2007, "Optimal step nonrigid ICP algorithms for surface registration" (falling
stiffness, pairs dropped by distance, normals and borders); the stiffness here is the squared graph Laplacian of the
offsets (Sorkine et al. 2004).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import cKDTree

from ..compute.smoothstep import smoothstep
from ..compute.sparse_solve import factored
from ..geometry.mesh_graph import edge_matrix, mesh_edges
from ..geometry.triangles import triangle_normals, triangle_weights, vertex_normals
from .regions import NONE, Regions
from .surface_fit import FACING, GroupedSurface

STIFFNESS = (14.0, 10.0, 7.0, 5.0, 4.0)  # mm: what is broader follows the surface, what is finer stays the model's
FAR = 5.0  # mm; a pair further apart is no pair
BESIDE = 1.0  # mm that a closest point may lie sideways of its point: more, and it is the rim of its region
FADE = 40.0  # mm around the face over which the offsets end
FOLDED = 0.2  # cosine below which a triangle has been turned over, or nearly so
MENDS, MENDED = (
    4,
    30.0,
)  # rounds in which its surroundings are no longer drawn, and how many times as stiff they are then
BEND = 10.0  # mm within which they turn from the slope at the face's border to an even ramp


def surface_offsets(
    verts: np.ndarray, faces: np.ndarray, where: Regions, surface: GroupedSurface, surface_verts: np.ndarray,
    samples: tuple[np.ndarray, np.ndarray, np.ndarray], stiffness: Sequence[float] = STIFFNESS,
) -> np.ndarray:  # fmt: skip
    """Offsets of a mesh's vertices towards a surface, smooth over the mesh, none far from the face.

    Args:
        verts: (V, 3) mm; faces: (F, 3); where: its regions; vertices of `where.drawn` are drawn to the surface.
        surface: the other surface by groups; surface_verts: (V', 3) its vertices.
        samples: points (N, 3), normals (N, 3) and groups (N,) on the surface, drawn to by the nearest triangle, so that
            a coarse mesh too lies in the middle of the surface.
        stiffness: of each round, mm.
    Returns:
        (V, 3) mm; 0 on other pieces than the face's.
    """
    # all that may move: the rest, with the back of the head, need not be solved for
    reach = cKDTree(verts[where.drawn]).query(verts)[0]
    index = np.flatnonzero(where.skin & (reach < FADE))
    local = np.full(len(verts), -1)
    local[index] = np.arange(len(index))
    laplacian = graph_laplacian(verts, faces, local)
    edge = float(np.median(_edge_lengths(verts, faces, local)))
    ramp = (edge / BEND) ** 2 / 4 * _ramp(faces, np.where(where.drawn, -1, local), local)
    rest = smoothstep((reach[index] / FADE - 0.8) / 0.2)
    own = GroupedSurface(verts, *_grouped(faces, where))
    points, normals, groups = samples
    offsets = np.zeros_like(verts)
    drawn = where.drawn[index]
    share = max(1.0, drawn.sum() / max(len(points), 1))
    folded = np.zeros(len(verts), bool)
    for round_, length in enumerate([*stiffness, *[stiffness[-1]] * MENDS]):
        moved = verts + offsets
        if round_ >= len(stiffness):
            found_now = folded_vertices(verts, moved, faces, where.drawn)
            if not found_now.any():
                break
            folded |= found_now
        free = folded[index]
        # from each vertex to the surface
        target, weight = _pairs(moved[index], vertex_normals(moved, faces)[index], where.vertex[index], surface,
                                surface_verts)  # fmt: skip
        weight = weight * (drawn & ~free)
        # from each sample of the surface to the triangle before it
        here = own.moved(moved)
        found, back = _pairs(points, normals, groups, here, moved)
        triangle = local[here.faces[found.face]]
        back = back * (triangle >= 0).all(1) * ~folded[here.faces[found.face]].any(1) * share
        row = np.repeat(np.arange(len(points)), 3)
        bary = sparse.csr_matrix((found.share.reshape(-1), (row, triangle.clip(0).reshape(-1))),
                                 (len(points), len(index)))  # fmt: skip
        weighed = bary.T @ sparse.diags(back)
        bending = laplacian.T @ sparse.diags(np.where(free, MENDED, 1.0)) @ laplacian + ramp
        # (length / edge)^4: a fourth-order smoothness whose reach is `length` on any mesh
        system = sparse.diags(weight + rest + 1e-9) + weighed @ bary + (length / edge) ** 4 / 16 * bending
        right = weight[:, None] * (target.closest - verts[index]) + weighed @ (points - bary @ verts[index])
        offsets[index] = factored(system).solve(right)
    return offsets


def folded_vertices(verts: np.ndarray, moved: np.ndarray, faces: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """(V,) bool: vertices of triangles that the offsets have turned over or nearly so, and their neighbours.

    Args:
        verts, moved: (V, 3) before and after. faces: (F, 3). drawn: (V,) bool, those that were drawn to the surface.
    """
    turned = (triangle_normals(verts[faces]) * triangle_normals(moved[faces])).sum(1) < FOLDED
    out = np.zeros(len(verts), bool)
    out[faces[turned & drawn[faces].any(1)]] = True
    for _ in range(2):
        out[faces[out[faces].any(1)]] = True
    return out


class _Found:
    """Closest points: closest (N, 3), face (N,), share (N, 3) of its corners."""

    def __init__(self, closest: np.ndarray, face: np.ndarray, share: np.ndarray) -> None:
        self.closest, self.face, self.share = closest, face, share


def _pairs(
    points: np.ndarray, normals: np.ndarray, groups: np.ndarray, surface: GroupedSurface, verts: np.ndarray
) -> tuple[_Found, np.ndarray]:
    """The closest points, and how much each pair counts, 0 to 1: nothing where they are far, face elsewhere, or lie at
    the rim of the region."""
    distance, closest, face = surface(points, groups)
    triangle = verts[surface.faces[face]]
    normal = triangle_normals(triangle)
    gap = ((points - closest) * normal).sum(1)
    aside = np.linalg.norm(points - closest - gap[:, None] * normal, axis=1)
    facing = smoothstep(((normals * normal).sum(1) - FACING) / (1 - FACING) * 2)
    weight = np.where(groups == NONE, 0.0, facing * smoothstep(2 * (1 - distance / FAR)))
    return _Found(closest, face, triangle_weights(closest, triangle)), weight / (1 + (aside / BESIDE) ** 4)


def _grouped(faces: np.ndarray, where: Regions) -> tuple[np.ndarray, np.ndarray]:
    known = where.face != NONE
    return faces[known], where.face[known]


def graph_laplacian(verts: np.ndarray, faces: np.ndarray, local: np.ndarray) -> sparse.csr_matrix:
    """(N, N): each vertex minus the mean of its neighbours, the nearer ones counting more (1 / length), so that a mesh
    of uneven triangles is not pulled towards its small ones.

    Args:
        verts: (V, 3) mm; faces: (F, 3).
        local: (V,) number of each vertex among the N that count, -1 for the others.
    """
    count = int(local.max()) + 1
    edges, length = _edges(faces, local), _edge_lengths(verts, faces, local)
    adjacency = edge_matrix(edges, 1 / np.maximum(length, 1e-3), count)
    total = np.maximum(np.asarray(adjacency.sum(1)).ravel(), 1e-12)
    return (sparse.eye(count) - sparse.diags(1 / total) @ adjacency).tocsr()


def _ramp(faces: np.ndarray, chosen: np.ndarray, local: np.ndarray) -> sparse.csr_matrix:
    """(N, N) of the sum of squared differences along the edges between chosen vertices (number, or -1): between two
    ends that are held, an even ramp has the least."""
    count = int(local.max()) + 1
    edges = _edges(faces, chosen)
    return csgraph.laplacian(edge_matrix(edges, np.ones(len(edges)), count))


def _edges(faces: np.ndarray, local: np.ndarray) -> np.ndarray:
    """(E, 2) edges between vertices that have a number in `local` (V,), which rises with the vertex."""
    edges = local[mesh_edges(faces)]
    return edges[(edges >= 0).all(1)]


def _edge_lengths(verts: np.ndarray, faces: np.ndarray, local: np.ndarray) -> np.ndarray:
    """(E,) of the same edges, in the unit of `verts`."""
    ends = verts[np.flatnonzero(local >= 0)][_edges(faces, local)]
    return np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1)
