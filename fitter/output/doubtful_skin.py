"""Where a photo shows skin without telling what it is like: behind glasses, around whatever else lies over a face, and
beside a mouth that something hides.

These are places of a face and not pixels: what a lens does to the skin behind it (gloss, the shadow of a rim, a bridge
as thin as a hair) is finer and fainter than a parser sees, and a piece of beard looks like a stain once its middle is
gone.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from ..anatomy.landmarks import EYE_CORNERS
from ..anatomy.parts import LABEL, MASKS
from ..compute.smoothstep import smoothstep
from ..fit.result import FitResult, Sighting
from ..geometry.convex_hull import convex_hull
from ..geometry.polygon import polygon_pixels
from ..model.face_model import FaceModel
from ..scene.scene import Scene
from .seen_pixels import SeenPixels

_BEHIND, _FEATURES = ("skin", "nose"), ("right_eye", "left_eye", "right_brow", "left_brow")
_RIM, _RIM_FADE = 4.0, 8.0  # mm beyond a frame's outline that its shadow and gloss reach, and over which they end
_LID, _LID_FADE = 3.0, 4.0  # mm around eyes and brows, which are believed

_SHADE = 12.0  # mm around what lies over a face: its blurred border, its shadow
# Of wire frames a parser sees a few pixels here and there: on 22 photos of four people some within this share of the
# outer eye corners' distance from the middle of the eyes in each of the seven with frames, none in the others (rimless
# glasses it does not see).
_NEAR = 0.9
_ABOVE, _BELOW, _FADE = 14.0, 30.0, 6.0  # mm from the height of the eyes, and over which glasses' band fades

_CORE = 8.0  # mm on the mean face beyond the corners of the mouth: so far the middle of a beard reaches
_CHEEK, _CHEEK_FADE = 4.0, 14.0  # mm below the nose where a beard's place begins, and over which
_DEPTH = 16.0  # mm behind the lips: the neck is no part of it
_HIDDEN, _SEEN = 0.25, 0.5  # of that middle: less, and its sides are not believed; more, and they are


def behind_glasses(scene: Scene, pixels: SeenPixels) -> np.ndarray:
    """(V,) in [0, 1]: how far a vertex is skin behind or beside glasses; 0 everywhere if nobody wears any."""
    model = scene.model
    zone, labels = np.zeros(len(model.verts)), model.vertex_label.cpu().numpy()
    if not pixels.glasses.any():
        return zone
    row, column = np.nonzero(pixels.glasses)
    lenses = polygon_pixels(pixels.glasses.shape, convex_hull(np.stack([column, row], 1) + 0.5))
    depth, scale = float(np.median(-scene.verts_in("camera")[:, 2])), float(pixels.window.scale)
    pixel = depth / (float(scene.camera.focal[0, 0]) * scale)  # mm
    near = smoothstep(1 - (ndimage.distance_transform_edt(~lenses) * pixel - _RIM) / _RIM_FADE)
    zone = scene.looked_up(near, pixels.window) * np.isin(labels, [LABEL[name] for name in _BEHIND])
    features = np.isin(labels, [LABEL[name] for name in _FEATURES])
    if features.any():
        place = _place(model)
        zone *= smoothstep((cKDTree(place[features]).query(place)[0] - _LID) / _LID_FADE)
    return zone


def clear_of_occluders(result: Sighting | FitResult) -> np.ndarray | None:
    """(V,) in [0, 1]: how far a vertex lies away from what lies over the face, and from the band across the face in
    which glasses and their shadows lie if that is at the eyes; None where nothing lies over it.

    Another photo that shows the place is worth more than what `behind_glasses` leaves of this one: the band is wider,
    and a few pixels of a frame are enough.
    """
    scene, observation, model = result.scene, result.observation, result.scene.model
    over = observation.part_masks[0, MASKS.index("occluder")].cpu().numpy() > 0.5
    if not over.any():
        return None
    away = ndimage.distance_transform_edt(~over) * scene.pixel_in(result.window)
    clear = scene.looked_up(smoothstep(away / _SHADE), result.window)
    if _at_eyes(over, observation.landmarks[0, list(EYE_CORNERS)].cpu().numpy()):
        eyes = model.landmarks(model.verts[None])[0, list(EYE_CORNERS), 1].mean()
        height = (model.verts[:, 1] - eyes).cpu().double().numpy()
        clear *= smoothstep(np.maximum(height - _ABOVE, -_BELOW - height) / _FADE)
    return clear


def _at_eyes(over: np.ndarray, corners: np.ndarray) -> bool:
    """Whether a mask (S, S) has a pixel near the middle of the eyes' four corners (4, 2), outer ones first and last."""
    apart = float(np.linalg.norm(corners[0] - corners[-1]))
    row, column = np.nonzero(over)
    return bool((np.hypot(column - corners[:, 0].mean(), row - corners[:, 1].mean()) < _NEAR * apart).any())


def beside_hidden_mouth(scene: Scene, shown: np.ndarray) -> np.ndarray:
    """(V,) in [0, 1]: how far a vertex is of a beard's place whose middle, around mouth and chin, is hidden.

    Args:
        shown: (V,) in [0, 1], how far the photo shows a vertex or the one on the other side of the face.
    """
    model, place = scene.model, _place(scene.model)
    nose, lips, skin = (
        _labelled(model, *names) for names in (("nose",), ("upper_lip", "lower_lip"), ("skin", "head"))
    )  # fmt: skip
    if not nose.any() or not lips.any():
        return np.zeros(len(place))
    below, aside = place[nose, 1].min() - place[:, 1], np.abs(place[:, 0])
    core = skin & (below > 0) & (aside < aside[lips].max() + _CORE) & (place[:, 2] > place[lips, 2].min() - _DEPTH)
    if not core.any():
        return np.zeros(len(place))
    hidden = 1 - smoothstep((shown[core].mean() - _HIDDEN) / (_SEEN - _HIDDEN))
    return hidden * skin * smoothstep((below - _CHEEK) / _CHEEK_FADE)


def _place(model: FaceModel) -> np.ndarray:
    """(V, 3) mm: the mean face."""
    return model.verts.cpu().double().numpy()


def _labelled(model: FaceModel, *names: str) -> np.ndarray:
    """(V,) bool."""
    return np.isin(model.vertex_label.cpu().numpy(), [LABEL[name] for name in names])
