"""A person's shapes, adapted to what photos show of their expressions: only where photos that were held out gain by it.

Each landmark that a fit leaves off tells of the shapes that are at work in the photo, and of the face at rest. Both are
fitted to all photos at once, as a Gaussian process of each landmark: shapes change in proportion to how far they move
it. That can as well make expressions worse that no photo shows, for the weights are themselves estimates: with those of
20 photos a simulation went from 2.29 to 2.57 mm. So each photo is held out in turn, and shapes of a group (brows, ...)
are adapted only if they lay no held-out photo worse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.distance import cdist

from ..anatomy.landmarks import FACE_OVAL, IRISES, LANDMARKS, LEFT_EYE, RIGHT_EYE
from ..fit.result import FitResult
from ..model.face_model import FaceModel

PHOTOS = 6  # with an expression, at least
SHOWN = 0.2  # activation of some shape from which on a photo shows an expression

# Shapes by how their names begin. Lids close on the person's own eyes, and what closes the mouth lies over what opens
# it: they stay as they were carried.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "brows": ("brow",), "cheeks and nose": ("cheek", "nose"), "jaw": ("jawLeft", "jawRight", "jawForward"),
    "mouth": ("mouth",),
}  # fmt: skip
STAY = ("mouthClose",)

_CHANGE = 0.3  # standard deviation of a change, as a share of how far the shape moves a point
_REST, _NOISE = 1.5, 1.0  # mm: the same of the face at rest, and of a landmark
_REACH = 10.0  # mm over which changes are alike
_WORSE = 0.02  # mm by which a held-out photo's error may rise: beside a landmark's own noise nothing
_GAIN = 0.99  # of the mean over the held-out photos: at least so much better


@dataclass(frozen=True)
class Shown:
    """What one photo shows.

    Attributes:
        weights: (E,) activations. rotation: (3, 3), translation: (3,) mm, of the head before the camera.
        focal, centre: (2,) pixels. pixels: (478, 2) where landmarks were seen; confidence: (478,).
    """

    weights: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    focal: np.ndarray
    centre: np.ndarray
    pixels: np.ndarray
    confidence: np.ndarray


def shown_by(result: FitResult) -> Shown:
    """What the photo of a fit shows."""
    observation, camera = result.observation, result.camera
    rotation, translation = result.scene.pose()
    pixels = result.window.to_photo(observation.landmarks)[0].double().numpy()
    return Shown(
        weights=result.parameters.expression[0].double().numpy(),
        rotation=rotation,
        translation=translation,
        focal=camera.focal[0].double().numpy(),
        centre=camera.centre[0].double().numpy(),
        pixels=pixels,
        confidence=observation.landmark_confidence[0].double().numpy(),
    )


@dataclass(frozen=True)
class Adapted:
    """Attributes:
    shapes: (E, V, 3) mm.
    held_out: group -> mean error of held-out photos before and after, mm, of each group that was tried.
    groups: those that were adapted. why: why none was tried; empty where some were.
    """

    shapes: np.ndarray
    held_out: dict[str, tuple[float, float]]
    groups: tuple[str, ...]
    why: str = ""

    @property
    def sentence(self) -> str:
        """What was done, in a line."""
        if self.why:
            return f"shapes stay as they were carried: {self.why}"
        said = [
            f"{name} {before:.2f} > {after:.2f} mm{'' if name in self.groups else ' (left)'}"
            for name, (before, after) in self.held_out.items()
        ]
        whole = f"adapted: {', '.join(self.groups)}" if self.groups else "no shapes adapted"
        return f"{whole}; held-out photos: {', '.join(said)}"


def adapted_shapes(model: FaceModel, neutral: np.ndarray, shapes: np.ndarray, photos: Sequence[Shown]) -> Adapted:
    """Shapes that lie better on the person's photos.

    Args:
        model: on the CPU. neutral: (V, 3) mm. shapes: (E, V, 3) mm, carried to the person.
        photos: of the person, whose weights are of these shapes.
    """
    names = list(model.expression_names)
    free = [k for k, name in enumerate(names) if any(name.startswith(each) for each in sum(GROUPS.values(), ()))]
    telling = sum(bool((np.asarray(photo.weights)[free] >= SHOWN).any()) for photo in photos)
    if telling < PHOTOS:
        why = (
            f"{telling} of {len(photos)} photos show an expression (a shape at {SHOWN:g} or more), {PHOTOS} are needed"
        )
        return Adapted(shapes, {}, (), why)
    problem = _Problem(model, neutral, shapes, photos)
    accepted: list[int] = []
    tried: dict[str, tuple[float, float]] = {}
    groups: list[str] = []
    for group, starts in GROUPS.items():
        own = [k for k in free if names[k].startswith(starts) and names[k] not in STAY]
        if not own:
            continue
        before, after = (problem.held_out(chosen, own) for chosen in (accepted, accepted + own))
        tried[group] = float(before.mean()), float(after.mean())
        if (after <= before + _WORSE).all() and after.mean() <= _GAIN * before.mean():
            accepted += own
            groups.append(group)
    if not accepted:
        return Adapted(shapes, tried, ())
    return Adapted(problem.changed(accepted), tried, tuple(groups))


class _Problem:
    def __init__(self, model: FaceModel, neutral: np.ndarray, shapes: np.ndarray, photos: Sequence[Shown]) -> None:
        self.model, self.shapes, self.neutral = model, shapes, neutral
        used = np.ones(LANDMARKS, bool)
        used[[*FACE_OVAL, *RIGHT_EYE, *LEFT_EYE]] = False  # outlines of the head, and lids, which are not adapted
        used[IRISES] = False
        self.used = np.flatnonzero(used)
        self.points = _points(model, neutral[None])[0, used]
        self.moves = _points(model, shapes)[:, used]  # (E, L, 3)
        self.reach = np.linalg.norm(self.moves, axis=2)  # (E, L)
        self.weights = np.stack([np.asarray(photo.weights, np.float64) for photo in photos])
        self.ways = np.stack([photo.rotation[:2] for photo in photos])  # (P, 2, 3)
        self.left, self.rigid = zip(*(self._left(photo) for photo in photos), strict=True)

    def _left(self, photo: Shown) -> tuple[np.ndarray, np.ndarray]:
        """(L, 2) mm that landmarks lie off before the camera, less a rigid motion; (2 L, 6) what those do."""
        verts = self.points + np.einsum("e,eld->ld", photo.weights, self.moves)
        turned = verts @ photo.rotation.T
        placed = turned + photo.translation
        away = -placed[:, 2:]
        pixels = photo.centre + photo.focal * placed[:, :2] / away * (1, -1)
        left = (photo.pixels[self.used] - pixels) / photo.focal * away * (1, -1)
        x, y, z = turned.T
        none, one = np.zeros_like(x), np.ones_like(x)
        motions = [(one, none), (none, one), (x, y), (-y, x), (z, none), (none, z)]
        rigid = np.linalg.qr(np.stack([np.stack(each, 1).ravel() for each in motions], 1))[0]
        left = left * (photo.confidence[self.used, None] > 0)
        return _without(left, rigid), rigid

    def _changes(self, chosen: Sequence[int], photos: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """(C, L, 3) by what shares of their reach shapes change at the landmarks, and (L, 3) mm the face at rest."""
        photos, count = list(photos), len(photos)
        weights = self.weights[np.ix_(photos, list(chosen))]  # (P, C)
        reach = self.reach[list(chosen)]  # (C, L)
        ways = self.ways[photos].reshape(2 * count, 3)
        left = np.stack([self.left[k] for k in photos]).transpose(1, 0, 2).reshape(-1, 2 * count)  # (L, 2 P)
        alike = _REST**2 + _CHANGE**2 * np.einsum("pc,qc,cl->lpq", weights, weights, reach**2)
        kernel = np.repeat(np.repeat(alike, 2, 1), 2, 2) * (ways @ ways.T)
        solved = np.linalg.solve(kernel + _NOISE**2 * np.eye(2 * count), left[..., None])[..., 0].reshape(-1, count, 2)
        pulled = np.einsum("lpi,pid->lpd", solved, self.ways[photos])  # (L, P, 3)
        rest = _REST**2 * pulled.sum(1)
        changes = _CHANGE**2 * np.einsum("pc,cl,lpd->cld", weights, reach, pulled)
        return self._alike(changes, chosen, self.points), rest

    def _alike(self, changes: np.ndarray, chosen: Sequence[int], points: np.ndarray) -> np.ndarray:
        """(C, N, 3) the changes (C, L, 3) at other points (N, 3), as those of the landmarks around."""
        near = np.exp(-0.5 * (cdist(points, self.points) / _REACH) ** 2)  # (N, L)
        weight = self.reach[list(chosen)] ** 2  # (C, L)
        total = np.einsum("nl,cl->cn", near, weight) + 0.05
        return np.einsum("nl,cl,cld->cnd", near, weight, changes) / total[..., None]

    def held_out(self, chosen: Sequence[int], group: Sequence[int]) -> np.ndarray:
        """(P,) RMS of what each photo's landmarks lie off when the others have adapted the chosen shapes, mm, where
        shapes of the group are at work."""
        count = len(self.weights)
        counted = (self.reach[list(group)].max(0) > 0.5).astype(float)
        out = np.empty(count)
        for photo in range(count):
            changes, rest = self._changes(chosen, [k for k in range(count) if k != photo])
            weighted = self.weights[photo, list(chosen), None] * self.reach[list(chosen)]
            moved = rest + np.einsum("cl,cld->ld", weighted, changes)
            off = _without(self.left[photo] - moved @ self.ways[photo].T, self.rigid[photo])
            out[photo] = np.sqrt((counted * (off**2).sum(1)).sum() / max(counted.sum(), 1))
        return out

    def changed(self, chosen: Sequence[int]) -> np.ndarray:
        """(E, V, 3) mm: the shapes, the chosen ones adapted to all photos."""
        changes, _ = self._changes(chosen, range(len(self.weights)))
        skin = (self.model.eyeball == 0).numpy()
        out = self.shapes.copy()
        for place, index in enumerate(chosen):
            share = self._alike(changes[place : place + 1], [index], self.neutral[skin])[0]
            out[index, skin] += np.linalg.norm(self.shapes[index, skin], axis=1, keepdims=True) * share
        return out


def _without(left: np.ndarray, rigid: np.ndarray) -> np.ndarray:
    """(L, 2) without what rigid motions explain."""
    flat = left.ravel()
    return (flat - rigid @ (rigid.T @ flat)).reshape(left.shape)


def _points(model: FaceModel, verts: np.ndarray) -> np.ndarray:
    """(B, V, 3) -> (B, 478, 3)."""
    return model.landmarks(torch.from_numpy(np.ascontiguousarray(verts)).float()).double().numpy()
