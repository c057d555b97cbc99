"""The shapes of one person: a head model's expressions, carried to a surface in the model's triangles."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.spatial.transform import Rotation

from ..anatomy.landmarks import INNER_LIP_PAIRS, LID_PAIRS
from ..geometry.mesh_graph import connected_pieces, mesh_edges
from ..model.face_model import FaceModel
from .carry import Carrier
from .contacts import CLOSED, Contacts
from .lids import held, socket
from .looks import balls
from .pieces import carried_piece

OVER = {"mouthClose": "jawOpen"}  # a shape that is made to lie over another one
UP = 1  # axis
ROUNDS = 2  # of closing and of holding to the eyeballs: each moves what the other one has placed by a little


def personal_shapes(model: FaceModel, neutral: np.ndarray) -> np.ndarray:
    """What each of a model's expressions does to a person.

    Adding the mean face's displacements to everybody gives a long chin the jaw of a short one, and other eyes a blink
    that does not close. Here every triangle of the person's skin is turned and stretched as on the mean face
    (facefit.rig.carry); lids and lips that meet there meet here (facefit.rig.contacts), lids slide on the person's own
    eyeballs (facefit.rig.lids), and eyeballs, teeth and tongue move as bodies (facefit.rig.pieces). About two seconds
    of CPU for the default head.

    Args:
        model: on the CPU.
        neutral: (V, 3) mm in model space: the person at rest, in the model's triangles; of its components or not.
    Returns:
        (E, V, 3) float64 mm at activation 1, in the order of `model.expression_names`; 0 where the mean face does not
        move. Of the model's own mean face they are `model.expression_basis`.
    Raises:
        ValueError: another number of vertices, or one that is not finite.
    """
    mean, neutral = model.verts.double().numpy(), np.asarray(neutral, np.float64)
    if neutral.shape != mean.shape or not np.isfinite(neutral).all():
        raise ValueError(f"neutral: shape {neutral.shape}, or not finite; accepted: {mean.shape} finite mm")
    shapes = model.expression_basis.double().numpy()
    if not len(shapes):
        return np.zeros_like(shapes)
    face = _TwoFaces(model, mean, neutral, shapes)
    names, out = list(model.expression_names), np.zeros_like(shapes)
    below = {name: other for name, other in OVER.items() if name in names and other in names}
    for name in sorted(names, key=lambda name: name in below):
        index = names.index(name)
        under = names.index(below[name]) if name in below else None
        out[index] = face.carried(shapes[index], *((None, None) if under is None else (shapes[under], out[under])))
    return out


class _TwoFaces:
    """The mean face and the person."""

    def __init__(self, model: FaceModel, mean: np.ndarray, neutral: np.ndarray, shapes: np.ndarray) -> None:
        faces = model.faces.numpy()
        number = connected_pieces(mesh_edges(faces), len(mean))
        self.skin = np.flatnonzero(number == np.bincount(number).argmax())
        self.loose = [np.flatnonzero(number == k) for k in np.unique(number) if k != number[self.skin[0]]]
        self.mean, self.neutral = mean, neutral
        local = np.full(len(mean), -1)
        local[self.skin] = np.arange(len(self.skin))
        triangles = local[faces[local[faces[:, 0]] >= 0]]
        moved = np.linalg.norm(shapes, axis=2).max(0)[self.skin]
        self.carrier = Carrier(mean[self.skin], neutral[self.skin], triangles, moved)
        upper, lower = (_points(model, local, side) for side in np.array(LID_PAIRS + INNER_LIP_PAIRS).T)
        self.contacts = Contacts(neutral[self.skin], triangles, upper, lower)
        rest, own = (self.contacts.apart(verts[self.skin])[: len(LID_PAIRS)] for verts in (mean, neutral))
        self.wider = taken(rest, own)
        self.sockets = [socket(mean, neutral, ball, weight, self.skin) for _, ball, weight in balls(model)]

    def carried(self, shape: np.ndarray, under: np.ndarray | None, carried_under: np.ndarray | None) -> np.ndarray:
        """(V, 3) mm. Args: `under` and `carried_under` are what both faces do beneath the shape, or None."""
        out = np.zeros_like(shape)
        if not shape.any():
            return out
        skin = self.skin
        out[skin] = self.carrier(shape[skin])
        first = shape if under is None else shape + under
        for _ in range(ROUNDS):
            for place in self.sockets:
                out[place.skin] += held(place, self.mean, self.neutral, shape, out)
            second = out if carried_under is None else out + carried_under
            out[skin] += self.contacts.correction(*self._missing(first, second))
        for piece in self.loose:
            out[piece] = carried_piece(self.mean, self.neutral, piece, shape, out, skin)
        return out

    def _missing(self, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What pairs lack to lie on the person as on the mean face in (V, 3) displacements of the two, and which."""
        apart, skin, lids = self.contacts.apart, self.skin, len(LID_PAIRS)
        rest, way = apart(self.mean[skin]), apart(first[skin])
        # lips lie on each other at rest already, one before the other: what counts is that none rises from there
        stays = (np.abs(rest[:, UP]) <= 2 * CLOSED) & (way[:, UP] <= CLOSED)
        # eyes open and close by shares of what they are open at rest, so that whatever shapes close them together close
        # these
        wanted = np.concatenate([(self.wider @ way[:lids, :, None])[..., 0], way[lids:]]) - apart(second[skin])
        chosen = np.concatenate([np.arange(lids), lids + np.flatnonzero(stays[lids:])])
        return wanted[chosen], chosen


def _points(model: FaceModel, local: np.ndarray, landmarks: np.ndarray) -> sparse.csr_matrix:
    """(N, S) weights of the skin's vertices that give landmarks (N,)."""
    corners = local[model.faces[model.landmark_faces[landmarks]].numpy()]
    weight = np.where(corners >= 0, model.landmark_bary[landmarks].double().numpy(), 0.0)
    row = np.repeat(np.arange(len(landmarks)), 3)
    return sparse.csr_matrix((weight.ravel(), (row, corners.clip(0).ravel())), (len(landmarks), local.max() + 1))


def taken(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(N, 3, 3) the shortest turns, and scales, that take vectors (N, 3) to others; of what is too short, no change."""
    long = np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=1)
    known = np.minimum(*long) > CLOSED
    scale = np.where(known, long[1] / np.maximum(long[0], CLOSED), 1.0)
    axis = np.cross(first, second)
    sine = np.linalg.norm(axis, axis=1)
    angle = np.where(known, np.arctan2(sine, (first * second).sum(1)), 0.0)
    turn = Rotation.from_rotvec(axis * (angle / np.maximum(sine, 1e-12))[:, None])
    return scale[:, None, None] * turn.as_matrix()
