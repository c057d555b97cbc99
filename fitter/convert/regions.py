"""Which triangles of a head model are which region of the face, from its part labels: what is compared with what when
two models in different topologies show one face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from ..anatomy.landmarks import FACE_OVAL
from ..anatomy.parts import LABEL
from ..geometry.mesh_graph import connected_pieces, edge_matrix, largest_piece, mesh_edges
from ..model.face_model import FaceModel

# Lips, lids and the nose are compared with their like alone; brows and the rest of the head are skin here, for where
# models end the one and begin the other is a convention.
NONE, SKIN, NOSE, UPPER_LIP, LOWER_LIP, RIGHT_LID, LEFT_LID, RIGHT_BALL, LEFT_BALL = range(9)

BALLS, FINE = (RIGHT_BALL, LEFT_BALL), (UPPER_LIP, LOWER_LIP, RIGHT_LID, LEFT_LID)

BEHIND = 7.0  # mm that lips and lids go on behind their rims, so that a rim is an edge of the surface and not its end

DRAWN = 3.0  # mm of those that are still drawn to the other surface; further in, models differ

_OF_LABEL = {
    "skin": SKIN, "right_brow": SKIN, "left_brow": SKIN, "head": SKIN, "nose": NOSE, "upper_lip": UPPER_LIP,
    "lower_lip": LOWER_LIP, "right_eye": RIGHT_LID, "left_eye": LEFT_LID,
}  # fmt: skip


@dataclass(frozen=True)
class Regions:
    """Of one model.

    Attributes:
        vertex: (V,) and face: (F,) group, NONE to LEFT_BALL; a triangle has the group of most of its corners. Lips and
            lids have their back sides with them, BEHIND mm of them. A ball is its outermost piece.
        skin: (V,) bool: on the piece of the mesh that carries the face. Teeth, lashes and eyeballs are other pieces.
        inner: (V,) bool: of the face itself: labelled, on that piece, neither head nor inside of the mouth.
        drawn: (V,) bool: the same with DRAWN mm behind the rims.
        piece: (V,) number of the connected piece.
    """

    vertex: np.ndarray
    face: np.ndarray
    skin: np.ndarray
    inner: np.ndarray
    drawn: np.ndarray
    piece: np.ndarray


def regions(model: FaceModel) -> Regions:
    """The regions of a model."""
    label, faces = model.vertex_label.cpu().numpy(), model.faces.cpu().numpy()
    ball = model.eyeball.cpu().numpy()
    group = np.zeros(max(LABEL.values()) + 1, int)
    for name, number in _OF_LABEL.items():
        group[LABEL[name]] = number
    edges = mesh_edges(faces)
    mesh = _lengths(model.verts.cpu().double().numpy(), edges)
    piece = connected_pieces(edges, len(label))
    facial = (group[label] != NONE) & (label != LABEL["head"]) & (ball == 0)
    skin = piece == np.bincount(piece, facial).argmax()
    lips = skin & np.isin(group[label], (UPPER_LIP, LOWER_LIP))
    outside = largest_piece(skin & ~lips & (group[label] != NONE), faces, facial)
    vertex = np.where(outside, group[label], NONE)
    # Where lips touch, the labels of their rims are mixed up, for they were seen in pictures. Those along the skin are
    # right; the others are of the lip whose skin is nearer along the surface.
    far = np.inf
    for lip in (UPPER_LIP, LOWER_LIP):
        sure = lips & (group[label] == lip) & (mesh @ outside.astype(float) > 0)
        if sure.any():
            near = csgraph.dijkstra(mesh, directed=False, indices=np.flatnonzero(sure), min_only=True)
            vertex[lips & (near < far)] = lip
            far = np.minimum(near, far)
    near, _, start = csgraph.dijkstra(
        mesh, directed=False, indices=np.flatnonzero(vertex != NONE), min_only=True, return_predecessors=True,
        limit=BEHIND,
    )  # fmt: skip
    behind = skin & (vertex == NONE) & np.isfinite(near)
    vertex[behind] = vertex[start[behind]]
    inner = facial & (outside | lips)
    for side, number in ((1, RIGHT_BALL), (2, LEFT_BALL)):
        if (ball == side).any():  # of a cornea over an inner ball, what is seen
            front = np.flatnonzero(ball == side)[model.verts.cpu().numpy()[ball == side, 2].argmax()]
            vertex[(ball == side) & (piece == piece[front])] = number
    return Regions(vertex, _most(vertex[faces]), skin, inner, inner | (behind & (near < DRAWN)), piece)


def _lengths(verts: np.ndarray, edges: np.ndarray) -> sparse.csr_matrix:
    """(V, V) the lengths of the edges in either direction."""
    length = np.linalg.norm(verts[edges[:, 0]] - verts[edges[:, 1]], axis=1)
    return edge_matrix(edges, np.maximum(length, 1e-6), len(verts))


def _most(corners: np.ndarray) -> np.ndarray:
    """(F, 3) -> (F,) what most corners say; where all differ, the first."""
    a, b, c = corners.T
    return np.where(b == c, b, a)


def oval(model: FaceModel, verts: np.ndarray) -> np.ndarray:
    """(36, 2) the landmarks' oval around the face as seen from the front, mm.

    Args:
        verts: (V, 3) mm in a space whose z points out of the face.
    """
    rows = list(FACE_OVAL)
    corners = verts[model.faces[model.landmark_faces[rows]].cpu().numpy()]
    return (corners * model.landmark_bary[rows].cpu().double().numpy()[:, :, None]).sum(1)[:, :2]
