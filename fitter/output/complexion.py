"""The smooth colour of a whole head: what the photo shows of it, carried on to where it shows nothing.

It is sought as the ratio between the photo and the fitted colours, in logarithms: light and complexion multiply. Where
the photo shows only the other side of the face, the ratio changes from place to place as there, but goes on from what
is seen beside it (Perez, Gangnet and Blake 2003: a picture is continued by its gradients): copied as it is, half a face
in another light would end in a line along its middle.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from ..compute.sparse_solve import factored
from ..geometry.mesh_graph import connected_pieces, edge_matrix, mesh_edges

_SMOOTH = 7.0  # mm: what is broader goes into the base, what is finer (brows, lips, pores) into the detail

_LOCAL = 60.0  # mm over which light that falls on one place alone gives way to the usual complexion

_HALF = 0.15  # of a vertex's weight, at which it counts half: what is seen askew tells its smooth colour all the same

_TRACE = 1e-4  # pull of teeth and eyeballs to the fitted colour: all teeth are as those that are seen

_BLACK = 0.03  # of 1, added to both sides of a ratio: below, a ratio says nothing

_MOST = 1.0  # of a ratio's logarithm


def complete(
    painted: np.ndarray, weight: np.ndarray, lit: np.ndarray, faces: np.ndarray, verts: np.ndarray, mirror: np.ndarray
) -> np.ndarray:
    """The smooth colours of all vertices.

    Minimises sum weight (x - ratio)^2 + (smooth / edge)^2 sum over edges (x_i - x_j - g_ij)^2 + a faint pull to what is
    usual, where g is the difference of the mirrored ends, as far as the photo shows only those.

    Args:
        painted, weight: (V, 3) and (V,) what the photo shows around each vertex, and how much of that.
        lit: (V, 3) the fitted colours. faces: (F, 3); verts: (V, 3) mm; mirror: (V,) the vertex on the other side.
    Returns:
        (V, 3).
    """
    count, edges = len(verts), mesh_edges(faces)
    piece = connected_pieces(edges, count)
    skin = piece == np.bincount(piece, weight).argmax()  # eyeballs, teeth and tongue are pieces of their own
    weight = np.where(skin, weight * (1 + _HALF) / (weight + _HALF), weight)
    ratio = np.clip(np.log((painted + _BLACK) / (lit + _BLACK)), -_MOST, _MOST)
    ratio[~skin] = (painted - lit)[~skin]  # the ratio of a black iris would tint the white around it
    length = float(np.linalg.norm(verts[edges[:, 0]] - verts[edges[:, 1]], axis=1).mean())
    stiffness = (_SMOOTH / max(length, 1e-3)) ** 2
    adjacency = edge_matrix(edges, np.full(len(edges), stiffness), count).tocsc()
    pull = np.where(skin, (_SMOOTH / _LOCAL) ** 2, _TRACE)
    diagonal = np.asarray(adjacency.sum(1)).ravel() + weight + pull
    solver = factored(sparse.diags(diagonal) - adjacency)

    seen = np.clip(weight, 0, 1)
    usual = np.zeros_like(ratio)
    usual[skin] = seen[skin] @ ratio[skin] / max(seen[skin].sum(), 1e-6)  # none, where nothing is seen at all
    known = weight[:, None] * ratio
    alone = solver.solve(known + pull[:, None] * usual)

    # what only the other side shows
    first, second = edges.T
    other = alone[mirror]
    copied = np.minimum(seen[mirror][first], seen[mirror][second]) * (1 - np.maximum(seen[first], seen[second]))
    flow = stiffness * copied[:, None] * (other[first] - other[second])
    goal = usual + (seen[mirror] * (1 - seen))[:, None] * (other - usual)
    right = known + pull[:, None] * goal
    for channel in range(3):
        right[:, channel] += np.bincount(first, flow[:, channel], count)
        right[:, channel] -= np.bincount(second, flow[:, channel], count)
    found = solver.solve(right)
    return np.where(skin[:, None], (lit + _BLACK) * np.exp(found) - _BLACK, lit + found)
