"""The same face in another model's topology: its components fitted to the surface of a fit, then what they miss.

1. The target model's identity, expression and joints are fitted to points of the source's surface, each compared with
   the target's triangles of the same part (convert.surface_fit). All 478 landmarks, which every model carries, are
   the start and hold what may slide. Expressions of the same name start where the source has them.
2. The gaze is that of the source: its eyeballs' turn, measured on the vertices.
3. Smooth offsets of the vertices (facefit.convert.residual) close what is left; eyeballs and teeth move rigidly.

Everything happens in the source's model space, in millimetres; sizes are never changed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from scipy.spatial import cKDTree

from ..anatomy.landmarks import FACE_OVAL, IRISES
from ..anatomy.parts import LABEL
from ..geometry.closest_point import ClosestPoint
from ..geometry.polygon import inside
from ..geometry.rotation import rotation_vector
from ..geometry.similarity import Similarity, fit_similarity
from ..geometry.triangles import sample_triangles, triangle_normals
from ..metrics.scan_distance import distance_figures
from ..model.face_model import FaceModel
from ..scene.parameters import Parameters
from ..scene.scene import Scene
from .regions import BALLS, FINE, NONE, Regions, oval, regions
from .residual import surface_offsets
from .surface_fit import GroupedSurface, Samples, SurfaceFit, fit_surface

FACE_POINTS, HEAD_POINTS = 4000, 1000  # sampled on the source
NOISE = 0.7  # mm; half of it would fit 0.02 mm better, with components twice as far from the mean
FINE_WEIGHT = 4.0  # of a point of lips and lids, which are small and must meet
HEAD_WEIGHT = 0.02  # of a point of the head behind the face: models disagree on ears and necks
DIRECTIONS = ("source_to_target", "target_to_source")


@dataclass(frozen=True)
class Conversion:
    """A face in two topologies.

    Attributes:
        source: the face that was given.
        result: the face in the target model: its parameters and pose; `result.model` is the target with the offsets
            added to its mean face, so that its vertices are the converted face at the target's own place.
        motion: the target's model space -> the source's; a rigid motion.
        residual: whether there are offsets.
        errors: mm, "components" and, with offsets, "residual" -> DIRECTIONS -> median, mean, p90, vertices.
        seconds: wall time.
    """

    source: Scene
    result: Scene
    motion: Similarity
    residual: bool
    errors: Mapping[str, Mapping[str, Mapping[str, float]]]
    seconds: dict[str, float] = field(default_factory=dict)

    def verts_in(self, space: str) -> np.ndarray:
        """(V, 3) float64 mm of the converted face in the source's "model" or in "camera" space."""
        return self.result.verts_in(space) if space == "camera" else self.motion(self.result.verts_in("model"))


@torch.no_grad()
def convert(source: Scene, model: FaceModel, *, residual: bool = True, seed: int = 0) -> Conversion:
    """Give a fitted face in another model.

    Args:
        model: the target, on the CPU.
        residual: also move vertices where the target's components cannot follow; without, the face is the target's
            parameters and nothing else.
        seed: of the points that are sampled.
    Raises:
        ValueError: the target is the model that was fitted.
    """
    if model.checksum and model.checksum == source.model.checksum:
        raise ValueError(f"the fit is of {model.name} {model.version} already")
    began = time.perf_counter()
    shown = Shown(source)
    target = regions(model)
    fit = _components(shown, model, target, seed)
    value = _parameters(source, model, fit)
    verts = fit.motion(_shape(model, value))
    seconds = {"components": time.perf_counter() - began}
    errors = {"components": surface_errors(shown, model, target, verts)}
    result = replace(source, model=model, parameters=value)
    if residual:
        began = time.perf_counter()
        offsets = _offsets(shown, model, target, verts)
        errors["residual"] = surface_errors(shown, model, target, verts + offsets)
        moved = rest_offsets(model, value, offsets @ fit.motion.rotation)
        result = replace(result, model=replace(model, verts=model.verts + torch.from_numpy(moved).float()))
        seconds["residual"] = time.perf_counter() - began
    return Conversion(source, result, fit.motion, residual, errors, seconds)


class Shown:
    """The source's surface in its model space, by regions, searched in once."""

    def __init__(self, source: Scene) -> None:
        self.model, self.verts, self.parameters = source.model, source.verts_in("model"), source.parameters
        self.where, self.faces = regions(source.model), source.model.faces.cpu().numpy()
        self.oval = oval(self.model, self.verts)
        known = self.where.face != NONE
        self.surface = GroupedSurface(self.verts, self.faces[known], self.where.face[known])

    def samples(self, chosen: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points (N, 3), normals (N, 3), groups (N,), spread evenly over the triangles `chosen`
        (F,) bool."""
        chosen = np.flatnonzero(chosen)
        corners = self.verts[self.faces[chosen]]
        which, share = sample_triangles(corners, count, seed)
        points = (corners[which] * share[:, :, None]).sum(1)
        return points, triangle_normals(corners[which]), self.where.face[chosen[which]]

    def face(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`samples` of the face itself (`Regions.drawn`): points (N, 3), normals (N, 3), groups (N,)."""
        return self.samples(self.where.drawn[self.faces].all(1), count, seed)

    def head(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`samples` of the head's skin behind the face, as of `face`; N = 0 for a mask."""
        behind = (self.model.vertex_label.numpy() == LABEL["head"]) & self.where.skin
        if not behind[self.faces].all(1).any():  # a mask
            return np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0, int)
        return self.samples(behind[self.faces].all(1), count, seed)


def _components(shown: Shown, model: FaceModel, target: Regions, seed: int) -> SurfaceFit:
    face, head = shown.face(FACE_POINTS, seed), shown.head(HEAD_POINTS, seed + 1)
    fine = np.isin(face[2], FINE)
    weight = np.concatenate([np.where(fine, FINE_WEIGHT, 1.0), np.full(len(head[0]), HEAD_WEIGHT)])
    points, normals, group = (np.concatenate(pair) for pair in zip(face, head, strict=True))
    samples = Samples(points, normals, group, weight)
    landmarks = shown.model.landmarks(torch.from_numpy(shown.verts).float()[None])[0].double().numpy()
    # the oval's points lie on the outline of a view, the irises' move with the gaze
    landmarks[list(FACE_OVAL)] = landmarks[IRISES] = np.nan
    known = (target.face != NONE) & ~np.isin(target.face, BALLS)
    faces = model.faces.numpy()[known]
    return fit_surface(
        model, samples, landmarks, size=False, noise=NOISE, faces=faces, face_group=target.face[known],
        usual=_same_expression(shown, model),
    )  # fmt: skip


def _same_expression(shown: Shown, model: FaceModel) -> np.ndarray:
    """(E,) the source's activations under the target's names; 0 for names of its own and coefficients without one."""
    usual = np.zeros(len(model.expression_names))
    if model.activation and shown.model.activation:
        known = dict(zip(shown.model.expression_names, shown.parameters.expression[0].tolist(), strict=True))
        usual[:] = [known.get(name, 0.0) for name in model.expression_names]
    return usual.clip(0, 1)


def _parameters(source: Scene, model: FaceModel, fit: SurfaceFit) -> Parameters:
    """The fit's coefficients, the source's gaze and its pose, all for the target."""
    named = {"identity": fit.identity, "expression": fit.expression, "joints": fit.joints}
    tensors = {name: torch.from_numpy(value).float()[None] for name, value in named.items()}
    value = replace(Parameters.zeros(model.sizes), **tensors, sh=source.parameters.sh)
    rotation, translation = source.pose()
    turn = torch.from_numpy(rotation @ fit.motion.rotation)[None]
    at = rotation @ fit.motion.translation + translation
    value = replace(value, rotvec=rotation_vector(turn).float(), translation=torch.from_numpy(at).float()[None])
    looks, rests = _looks(source.model, source.verts_in("model")), _looks(model, _shape(model, value))
    gaze = torch.zeros(1, 2, 2)
    for eye in range(2):
        look, rest = looks[eye], rests[eye]
        if look is not None and rest is not None:
            gaze[0, eye] = torch.tensor(_angles(look @ fit.motion.rotation) - _angles(rest))
    return replace(value, gaze=gaze)


def _shape(model: FaceModel, value: Parameters) -> np.ndarray:
    return model.shape(value.identity, value.expression, value.gaze, value.joints)[0].double().numpy()


def _looks(model: FaceModel, verts: np.ndarray) -> list[np.ndarray | None]:
    """Where the right and the left eye look (3,): what the turn of its ball does to the z axis; None without a ball."""
    rest, ball = model.verts.double().numpy(), model.eyeball.numpy()
    looks = []
    for mine in (ball == 1, ball == 2):
        looks.append(fit_similarity(rest[mine], verts[mine], scale=True).rotation[:, 2] if mine.any() else None)
    return looks


def _angles(direction: np.ndarray) -> np.ndarray:
    """Yaw and pitch of a direction, radians, as in `FaceModel.shape`."""
    x, y, z = direction
    return np.array([np.arctan2(x, z), np.arctan2(y, np.hypot(x, z))])


def _offsets(shown: Shown, model: FaceModel, target: Regions, verts: np.ndarray) -> np.ndarray:
    """(V, 3) mm in the source's model space."""
    faces = model.faces.numpy()
    samples = shown.face(2 * FACE_POINTS, 2)
    offsets = surface_offsets(verts, faces, target, shown.surface, shown.verts, samples)
    skin = np.flatnonzero(target.skin)
    before = cKDTree(verts[skin])
    lips = np.isin(model.vertex_label.numpy(), (LABEL["upper_lip"], LABEL["lower_lip"])) & target.inner
    mouth = offsets[lips].mean(0) if lips.any() else np.zeros(3)
    label, ball = model.vertex_label.numpy(), model.eyeball.numpy()
    for number in np.unique(target.piece[~target.skin]):
        mine = target.piece == number
        if (ball[mine] > 0).any():
            continue
        teeth = (label[mine] == LABEL["mouth_inside"]).mean() > 0.5  # all teeth and gums together
        offsets[mine] = mouth if teeth else offsets[skin[before.query(verts[mine])[1]]].mean(0)
    for eye, group in enumerate(BALLS):
        mine = ball == eye + 1
        if mine.any():
            lids = offsets[skin[before.query(verts[mine & (verts[:, 2] > verts[mine, 2].mean())])[1]]].mean(0)
            offsets[mine] = _ball_shift(shown, group, verts[mine], lids)
    return offsets


def _ball_shift(shown: Shown, group: int, ball: np.ndarray, lids: np.ndarray) -> np.ndarray:
    """(3,) mm that bring the front of an eyeball onto that of the source's; without one there, what the lids do."""
    if group not in shown.surface.part:
        return lids
    front = ball[ball[:, 2] > np.quantile(ball[:, 2], 0.6)]
    shift = np.zeros(3)
    for _ in range(10):
        _, closest, face = shown.surface(front + shift, np.full(len(front), group))
        normal = triangle_normals(shown.verts[shown.surface.faces[face]])
        gap = ((closest - front - shift) * normal).sum(1)
        shift = shift + np.linalg.solve(normal.T @ normal + 1e-6 * np.eye(3), normal.T @ gap)
    return shift


def rest_offsets(model: FaceModel, value: Parameters, offsets: np.ndarray) -> np.ndarray:
    """Offsets (V, 3) mm of the shown face -> (V, 3) mm of the mean face at rest that skinning turns into them."""
    if model.skeleton is None:
        return offsets  # gaze turns an eyeball about its own middle, and all of a ball has one offset
    shown = _shape(model, value)
    # skinning is affine in the face at rest: its matrix at each vertex, column by column
    axes = [_shape(replace(model, verts=model.verts + axis), value) - shown for axis in torch.eye(3)]
    return np.linalg.solve(np.stack(axes, -1), offsets[:, :, None])[..., 0]


def surface_errors(shown: Shown, model: FaceModel, target: Regions, verts: np.ndarray) -> dict[str, dict[str, float]]:
    """Distances between the two surfaces inside the landmarks' oval, both ways: from the vertices of the one's face
    (skin, nose, brows, lips, lids; no eyeballs, nothing inside the mouth) to the other's skin.

    Args:
        verts: (V, 3) mm of the target in the source's model space.
    Returns:
        DIRECTIONS -> median, mean, p90 (mm) and vertices.
    """
    faces = model.faces.numpy()
    mine = shown.verts[shown.where.inner & inside(shown.verts[:, :2], shown.oval)]
    theirs = verts[target.inner & inside(verts[:, :2], shown.oval)]
    there = ClosestPoint(verts, faces[target.skin[faces].all(1)])(mine)[0]
    back = ClosestPoint(shown.verts, shown.faces[shown.where.skin[shown.faces].all(1)])(theirs)[0]
    return {name: _summary(distance) for name, distance in zip(DIRECTIONS, (there, back), strict=True)}


def _summary(distance: np.ndarray) -> dict[str, float]:
    figures = distance_figures(distance)
    return {**{name: figures[name] for name in ("median", "mean", "p90")}, "vertices": len(distance)}
