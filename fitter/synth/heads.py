"""Heads to photograph: every head model in one painting frame.

The painting frame is the mean face of ICT-FaceKit in millimetres (x to the subject's left, y up, z to the viewer); the
default model's mean is scaled into it axis by axis, any other one is bent into it by its landmarks. Skin, brows, lips,
beard and hairline are painted by that position, which a vertex keeps under every identity and expression, so one
painter serves all meshes and its labels are exact.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import ndimage
from scipy.interpolate import RBFInterpolator

from ..anatomy.landmarks import IRISES, LEFT_UPPER_LID, RIGHT_UPPER_LID
from ..anatomy.parts import LABEL
from ..geometry.polygon import inside
from ..model.face_model import FaceModel
from ..model.model_file import load_model
from ..render import load_renderer
from ..render.lighting import vertex_normals

# Kinds of surface.
SKIN, EYE_RIGHT, EYE_LEFT, MOUTH, TEETH = range(5)

# Outlines of the ear seen from the side: (z, y) in mm of each mean face.
EAR_SIDE = ((9, 28), (8, 33), (3, 36.5), (-3, 36.5), (-10, 34), (-16, 26), (-18.5, 16), (-16, 4), (-11, -6), (-4, -14),
            (4, -20), (11, -22), (18, -21), (17, -10), (14, 0), (13, 10), (9, 18))  # fmt: skip
_EAR_OWN = ((-73, 10.5), (-77, 12), (-83, 13), (-90.3, 11.3), (-94.6, 8.3), (-97.1, 3.4), (-98.7, -3.1), (-98.3, -10.3),
            (-96.8, -16.5), (-94.1, -22), (-90.6, -26.1), (-86, -30.2), (-81.7, -34.5), (-77.9, -36.7), (-70, -38.5),
            (-62, -38), (-63.5, -27.5), (-68.5, -17), (-70.5, -8.5), (-74.5, 1.5))  # fmt: skip
# Own model -> painting frame, from the corners of eyes and mouth, the nose and the chin of both mean faces.
_OWN_TO_PAINT = ((1.0, 0.0), (0.97, 35.4), (1.07, 75.5))
_OWN_CENTRE = (0.0, -20.0, -70.0)  # mm in the default model's axes, what its head turns about
_GIVE = 1.0  # how far landmarks may be missed when a model is bent into the painting frame
_LONG_NECK = 200.0  # mm below the eyes, in the painting frame: a model that reaches farther has shoulders


@dataclass(frozen=True)
class Head:
    """A linear head model made ready for painting. V vertices, F faces.

    Attributes:
        name: of the model.
        verts: (V, 3) float32 mean, mm.
        identity: (I, V * 3) float32 mm per standard deviation.
        expression: (E, V * 3) float32 mm at activation 1.
        expression_names: ARKit's.
        faces: (F, 3) int64.
        kind: (F,) uint8 of SKIN, EYE_RIGHT, ...
        paint: (V, 3) float32 painting frame.
        eyeball: (V,) 0 none, 1 right, 2 left.
        ear: (V,) float32 in [0, 1].
        lips: (V, 3) float32 share of upper lip, lower lip and mouth inside, or None where the painting frame tells.
        openness: (V,) float32 in [0, 1], how much of the sky a vertex sees on the mean face.
        landmark_faces, landmark_bary: (478,), (478, 3): MediaPipe's points on the surface.
        centre: (3,) mm the head turns about.
        lid: (9, 2) margin of the upper lid in the painting frame: distance from the middle, increasing, and height.
        frame: (2, 3) factor and offset of each axis that take the model's axes to the painting frame, about.
        ends_at_neck: it always needs shoulders.
    """

    name: str
    verts: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    expression_names: tuple[str, ...]
    faces: np.ndarray
    kind: np.ndarray
    paint: np.ndarray
    eyeball: np.ndarray
    ear: np.ndarray
    lips: np.ndarray | None
    openness: np.ndarray
    landmark_faces: np.ndarray
    landmark_bary: np.ndarray
    centre: np.ndarray
    lid: np.ndarray
    frame: np.ndarray
    ends_at_neck: bool

    @property
    def eyes(self) -> list[int]:
        """1 and 2, as far as the model has these eyeballs."""
        return [int(eye) for eye in np.unique(self.eyeball) if eye]

    def shape(self, identity: np.ndarray, expression: dict[str, float], gaze: np.ndarray) -> np.ndarray:
        """(I,) deviations, named activations and (2, 2) yaw and pitch of right and left eye in radians -> (V, 3) mm."""
        activation = np.array([expression.get(name, 0.0) for name in self.expression_names], np.float32)
        used = np.flatnonzero(activation)
        offset = identity.astype(np.float32) @ self.identity + activation[used] @ self.expression[used]
        verts = self.verts + offset.reshape(-1, 3)
        for eye in self.eyes:
            of_eye = self.eyeball == eye
            ball = verts[of_eye]
            centre = (ball.min(0) + ball.max(0)) / 2
            verts[of_eye] = (ball - centre) @ turn(gaze[eye - 1, 0], gaze[eye - 1, 1], 0.0).T + centre
        return verts

    def landmarks(self, verts: np.ndarray) -> np.ndarray:
        """(V, 3) -> (478, 3)."""
        return np.einsum("lc,lcd->ld", self.landmark_bary, verts[self.faces[self.landmark_faces]])


def turn(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """(3, 3) rotation by radians: yaw about y (positive looks to +x), then pitch (positive looks up), then roll."""
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return (about_z @ about_x @ about_y).astype(np.float32)


@functools.lru_cache(maxsize=1)
def own_head() -> Head:
    """The bundled model (CC0)."""
    return replace(default_head(load_model()), name="facefit")


def default_head(model: FaceModel) -> Head:
    """The default model, whose place in the painting frame is known."""
    verts = model.verts.numpy()
    paint = np.stack([verts[:, k] * s + o for k, (s, o) in enumerate(_OWN_TO_PAINT)], 1).astype(np.float32)
    ear = share_inside(_EAR_OWN, verts) * (np.abs(verts[:, 0]) > 58)
    return _made_ready(model, paint, ear, np.array(_OWN_TO_PAINT, np.float32).T, np.array(_OWN_CENTRE, np.float32))


def model_head(model: FaceModel, reference: FaceModel) -> Head:
    """Any model, bent into the painting frame by its landmarks; `reference`: the default model."""
    if model.checksum == reference.checksum and model.name == reference.name:
        return default_head(model)
    skin = slice(IRISES.start)
    theirs, ours = (each.landmarks(each.verts[None])[0, skin].double().numpy() for each in (model, reference))
    aim = ours * [s for s, _ in _OWN_TO_PAINT] + [o for _, o in _OWN_TO_PAINT]
    verts = model.verts.double().numpy()
    bent = RBFInterpolator(theirs, aim, kernel="linear", degree=1, smoothing=_GIVE)(verts).astype(np.float32)
    factor = aim.std(0) / np.maximum(theirs.std(0), 1e-3)
    frame = np.stack([factor, aim.mean(0) - factor * theirs.mean(0)]).astype(np.float32)
    ends = float(bent[:, 1].min()) > -_LONG_NECK
    ear = share_inside(EAR_SIDE, bent) * (np.abs(bent[:, 0]) > 60)
    place = np.array([o + s * c for (s, o), c in zip(_OWN_TO_PAINT, _OWN_CENTRE, strict=True)], np.float32)
    return _made_ready(model, bent, ear, frame, (place - frame[1]) / frame[0], ends)


def _made_ready(
    model: FaceModel, paint: np.ndarray, ear: np.ndarray, frame: np.ndarray, centre: np.ndarray, ends: bool = True
) -> Head:
    verts = model.verts.numpy()
    faces = model.faces.numpy()
    label = model.part_weight.argmax(1).numpy()
    kind = np.full(len(faces), SKIN, np.uint8)
    eyeball = model.eyeball.numpy()
    kind[(label[faces] == LABEL["mouth_inside"]).all(1)] = MOUTH
    for eye in (1, 2):
        kind[(eyeball[faces] == eye).all(1)] = EYE_RIGHT if eye == 1 else EYE_LEFT
    # the model's own palette tells its teeth: the lightest of what lies inside the mouth
    light = model.albedo_mean.numpy().mean(1)
    inside = kind == MOUTH
    kind[inside & (light[faces].mean(1) > 0.6)] = TEETH
    part = model.part_weight.numpy()
    return Head(
        name=model.name,
        verts=verts,
        identity=model.identity_basis.flatten(1).numpy(),
        expression=model.expression_basis.flatten(1).numpy(),
        expression_names=model.expression_names,
        faces=faces,
        kind=kind,
        paint=paint,
        eyeball=eyeball,
        ear=ear,
        lips=part[:, [LABEL["upper_lip"], LABEL["lower_lip"], LABEL["mouth_inside"]]],
        openness=sky_share(verts, faces),
        landmark_faces=model.landmark_faces.numpy(),
        landmark_bary=model.landmark_bary.numpy(),
        centre=centre,
        lid=lid_margin(paint[faces[model.landmark_faces.numpy()]], model.landmark_bary.numpy()),
        frame=frame,
        ends_at_neck=ends,
    )


def lid_margin(corners: np.ndarray, bary: np.ndarray) -> np.ndarray:
    """(478, 3, 3) corners of the landmarks' faces in the painting frame, and their weights -> (9, 2), see Head.lid."""
    points = np.einsum("lc,lcd->ld", bary, corners)
    both = [np.abs(points[list(loop), :2]) for loop in (RIGHT_UPPER_LID, LEFT_UPPER_LID)]
    mean = (both[0] + both[1]) / 2
    return mean[np.argsort(mean[:, 0])]


def share_inside(outline: tuple, verts: np.ndarray) -> np.ndarray:
    """(V,) float32: 1 where (z, y) lies within the outline, falling to 0 a millimetre and a half outside."""
    corner, points = np.array(outline, np.float64), verts[:, [2, 1]].astype(np.float64)
    edge = np.roll(corner, -1, 0) - corner
    share = np.clip(((points[:, None] - corner) * edge).sum(-1) / (edge * edge).sum(-1), 0, 1)
    distance = np.linalg.norm(corner + share[..., None] * edge - points[:, None], axis=-1).min(1)
    return np.where(inside(points, corner), 1, np.clip(1 - distance / 1.5, 0, 1)).astype(np.float32)


def orthographic(verts: np.ndarray, rotation: np.ndarray) -> tuple[torch.Tensor, np.ndarray]:
    """(V, 3) mm -> (1, V, 4) and (V, 4) float32: clip space of a parallel projection along -z after `rotation` (3, 3),
    all of them in it."""
    turned = (verts - verts.mean(0)) @ rotation.T
    reach = float(np.linalg.norm(turned, axis=1).max()) * 1.02
    clip = np.concatenate([turned[:, :2], -turned[:, 2:]], 1) / reach
    clip = np.concatenate([clip, np.ones((len(clip), 1))], 1).astype(np.float32)
    return torch.from_numpy(clip)[None], clip


def lit_share(verts: np.ndarray, faces: np.ndarray, rotation: np.ndarray, size: int, slack: float = 2.5) -> np.ndarray:
    """(V,) bool: vertices that a far light sees which shines along -z after `rotation`. slack: mm of tolerance."""
    clip, values = orthographic(verts, rotation)
    rast = load_renderer("cpu").rasterize(clip, torch.from_numpy(faces), size)[0].numpy()
    reach = float(np.linalg.norm(verts - verts.mean(0), axis=1).max()) * 1.02
    column = np.clip(((values[:, 0] + 1) * size / 2).astype(int), 0, size - 1)
    row = np.clip(((1 - values[:, 1]) * size / 2).astype(int), 0, size - 1)
    front = np.where(rast[..., 3] > 0, rast[..., 2], 1.0)
    # the nearest of a neighbourhood's farthest: a vertex at an outline is not in its own shadow
    front = ndimage.maximum_filter(front, 3, mode="nearest")
    return values[:, 2] <= front[row, column] + slack / reach


def sky_share(verts: np.ndarray, faces: np.ndarray, directions: int = 60) -> np.ndarray:
    """(V,) float32 share of the half sphere above each vertex that no part of the head hides."""
    rng = np.random.default_rng(5)
    normal = vertex_normals(torch.from_numpy(verts)[None], torch.from_numpy(faces))[0].numpy()
    seen, total = np.zeros(len(verts), np.float32), np.full(len(verts), 1e-6, np.float32)
    for _ in range(directions):
        rotation = turn(*rng.uniform(-np.pi, np.pi, 3))
        cosine = np.clip((normal @ rotation.T)[:, 2], 0, 1)
        seen += cosine * lit_share(verts, faces, rotation, 256)
        total += cosine
    return seen / total
