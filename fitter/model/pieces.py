"""What a head model's triangles are made of: skin, eyes, teeth, tongue. Programs that show a head want a material for
each."""

from __future__ import annotations

import numpy as np

from ..anatomy.parts import LABEL
from ..compute.derived import derived
from ..geometry.mesh_graph import connected_pieces, polygon_sides
from .face_model import FaceModel

PIECES = ("skin", "eyes", "teeth", "tongue")

_MIDDLE = 0.2  # of half a piece's breadth: how near to the head's middle a vertex is in the middle of the piece
_BOTH = 0.5  # a piece spans both sides of the head when it reaches so far on the one as on the other


def face_pieces(model: FaceModel) -> np.ndarray:
    """(F,) uint8: which of PIECES each triangle belongs to. Skin is what is nothing else, the mouth's lining included.

    A model file names eyeballs and the inside of the mouth, but neither teeth nor tongue: in the mouth, connected
    pieces of the mesh of their own are told apart by their form. A tongue fills the middle, rows of teeth go around it;
    gums that are one with the tongue are counted with it.
    """
    return derived(model, "pieces", _face_pieces)


def _face_pieces(model: FaceModel) -> np.ndarray:
    faces, verts = model.faces.cpu().numpy(), model.verts.cpu().double().numpy()
    number = connected_pieces(polygon_sides(faces), len(verts))
    ball = np.bincount(number, model.eyeball.cpu().numpy() > 0) > 0
    in_mouth = model.vertex_label.cpu().numpy() == LABEL["mouth_inside"]
    inside = np.bincount(number, in_mouth) > 0.5 * np.bincount(number)
    kind = np.where(ball, PIECES.index("eyes"), np.where(inside, PIECES.index("teeth"), 0)).astype(np.uint8)
    for piece in np.flatnonzero(inside & ~ball):
        if _fills_the_middle(verts[number == piece]):
            kind[piece] = PIECES.index("tongue")
    return kind[number[faces[:, 0]]]


def _fills_the_middle(points: np.ndarray) -> bool:
    """Whether there is something of a piece (N, 3) in the middle of its rear half."""
    right, left = -points[:, 0].min(), points[:, 0].max()
    if min(right, left) < _BOTH * max(right, left):
        return False  # one tooth of a side
    behind = points[:, 2] < (points[:, 2].min() + points[:, 2].max()) / 2
    return bool((behind & (np.abs(points[:, 0]) < _MIDDLE * max(right, left))).any())
