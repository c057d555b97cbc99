"""Which pixels of the photo are not the skin that lies there: strands, brims, frames and their shadows.

A parser sees what is as broad as a few of its pixels. What remains on the skin is found by its colour: skin differs
from the fitted face by something smooth (light that nine harmonics do not tell, make-up, a tan), and what lies over it
by something sudden. Sudden and dark are brows, lashes, nostrils, stubble and moles as well: where those belong, and
where a spot is as small as a mole, the photo is believed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..anatomy.landmarks import LANDMARKS7
from ..anatomy.parts import LABEL
from ..geometry.camera import WindowTransform
from ..model.face_model import FaceModel
from ..observe.segment.morphology import distance_to, grow
from ..photo.window import sample_window
from ..render.view import View
from ..scene.scene import Scene
from .seen_pixels import SeenPixels

SIDE = 448  # pixels of the picture that is looked at: about half a millimetre each
_LEAST = 112  # of one for a small texture, which keeps nothing finer

_SMOOTH = 18.0  # mm: what is broader is light or complexion
_COARSE = 4  # pixels of the picture to one of its smooth fit
_ROUNDS = 4  # of the robust smooth fit: each leaves out what the one before did not explain

_DARK, _VERY_DARK = 2.5, 4.0  # deviations, and at least these logarithms of brightness:
_DARK_AT_LEAST, _VERY_DARK_AT_LEAST = 0.16, 0.32
_ODD, _ODD_AT_LEAST = 4.0, 0.22  # the same of colour at equal brightness

_HUE, _HUE_AT_LEAST = 3.5, 0.2  # the same against the whole face, in medians of it

_VERY_ODD = 0.6  # of colour: nobody's skin, however much of it there is

_MOLE = 6.0  # mm across: a smaller spot alone is the person's own
_THIN = 3.5  # mm: the mean width of a strand, a wire rim, a stroke
_SLENDER = 0.3  # and its mean width as a share of its length
_OWN_DARK = 4.0  # mm around eyes, brows and lips: lashes, liner, hairs
_NOSTRILS = 15.0  # mm around the bottom of the nose
# mm around them: lids, bags, frowns and smile lines are dark and thin
_FOLDS = {"eyes and brows": 14.0, "nose": 24.0, "mouth": 16.0}
_GLASSES, _RIM, _BESIDE = 30.0, 20.0, 6.0  # mm: what is so near to them and so long is a rim; its gloss beside it
_BEARD = 15.0  # mm: what is shorter and by itself, below the nose, is a tuft or a bare spot
_WORN = 10.0  # mm from what lies over the face and is no hair
_GLOSS_AT_LEAST = 0.25  # of the logarithm of brightness
_TOUCHING = 3.0  # mm from hair or an occluder: belongs to it
_GROWN = 1.5  # mm added around what was found: its blurred border

_HAIR = 2.5  # mm: how broad a single strand is at most in a photo, with its blur
_LINE, _LINE_AT_LEAST = 4.0, 0.07  # deviations of, and least, logarithms of brightness against both sides of it
_STRAND, _STRAIGHT = 14.0, 0.1  # mm of length at least, and how far it spreads aside in relation
_ASLANT = 0.25  # sine of the slope: wrinkles of a forehead are more level

_LUMA = np.array((0.299, 0.587, 0.114))


@dataclass(frozen=True)
class SkinCheck:
    """What the colours say of a window of the photo.

    Attributes:
        window: photo pixels -> pixels of the picture (B = 1); pixel: mm of one on the face.
        foreign: (S, S) bool: something lies over the face there.
        typical: (S, S) bool: all but the dark on the skin around eyes, brows and lips.
        teeth: (S, S) bool: the mesh shows teeth there, and the photo something as pale.
        beyond: (S, S) bool: the head goes on there under hair, and the photo shows no skin any more.
    """

    window: WindowTransform
    pixel: float
    foreign: np.ndarray
    typical: np.ndarray
    teeth: np.ndarray
    beyond: np.ndarray

    def sharper(self, mask: np.ndarray) -> np.ndarray:
        """A mask (R, R) of the same square in this picture's pixels: the nearest one."""
        return _resized(mask, self.window.size)

    def at(self, scene: Scene) -> np.ndarray:
        """(V,) float64: 1 for vertices on typical pixels, 0 for others."""
        return scene.looked_up(self.typical, self.window).astype(float)


def check_skin(scene: Scene, pixels: SeenPixels, lit: np.ndarray, texels: int = 1024) -> SkinCheck:
    """Hold the photo against the fitted face.

    Args:
        pixels: what of the photo may be used.
        lit: (V, 3) the fitted colours in [0, 1].
        texels: side of the texture that it is for.
    """
    window, side = pixels.window, min(SIDE, max(_LEAST, 4 * texels))
    fine = WindowTransform(window.origin.cpu(), window.scale.cpu() * (side / window.size), side)
    picture, inside = sample_window(pixels.photo, fine)
    seen = scene.view(fine)
    labels = scene.parts_in(seen)
    faces, pixel = scene.model.faces.cpu().numpy(), scene.pixel_in(fine)

    valid, covered, features = (
        _resized(mask, side) & (inside > 0.5) for mask in (pixels.valid, pixels.covered, pixels.features)
    )
    skin = valid & np.isin(labels, (LABEL["skin"], LABEL["nose"], LABEL["head"]))
    teeth = _teeth(scene, seen, labels, picture, skin) & ~covered & (inside > 0.5)
    worn = _resized(pixels.covered & ~pixels.hair, side) & (inside > 0.5)
    hair = grow(_resized(pixels.hair, side) & (inside > 0.5), _TOUCHING / pixel)
    beyond = seen.seen & hair & ~ndimage.binary_fill_holes(valid | worn)
    if skin.mean() < 0.0025:
        return SkinCheck(fine, pixel, np.zeros_like(skin), np.ones_like(skin), teeth, beyond)
    difference = np.log(picture.astype(np.float32) / 255 + 0.03)
    difference -= np.log(np.clip(seen.interpolate(lit, faces), 0, 1) + 0.03)
    rest, usual = _unexplained(difference, skin, _SMOOTH / pixel)
    bright = rest @ _LUMA
    odd = _length(rest - bright[..., None])
    spread, odd_spread = _deviation(bright[skin]), _deviation(odd[skin])

    place = seen.interpolate(scene.model.verts.cpu().numpy(), faces)  # of each pixel on the mean face
    nose, *mouth = scene.model.landmarks(scene.model.verts[None])[0, list(LANDMARKS7)].cpu().numpy()[4:]
    from_nose = _length(place - nose)
    # beside glasses or a hand what is dark is their rim or shadow, also around eyes, and what is bright is their gloss
    worn = grow(worn, _WORN / pixel) & ~features
    parts = np.isin(labels, [LABEL[name] for name in _DARK_PARTS])
    own = (grow(parts | features, _OWN_DARK / pixel) | (from_nose < _NOSTRILS)) & (~worn | parts)
    from_eyes = distance_to(np.isin(labels, [LABEL[name] for name in _EYES_AND_BROWS])) * pixel
    folds = (from_eyes < _FOLDS["eyes and brows"]) | (from_nose < _FOLDS["nose"])
    folds |= np.min([_length(place - corner) for corner in mouth], axis=0) < _FOLDS["mouth"]
    folds &= ~worn
    beard = place[..., 1] < nose[1] + 5  # mm: from just above the nose's bottom on
    dark = bright < -max(_DARK * spread, _DARK_AT_LEAST)
    very = bright < -max(_VERY_DARK * spread, _VERY_DARK_AT_LEAST)
    strange = odd > max(_ODD * odd_spread, _ODD_AT_LEAST)
    candidate = skin & ~own & ((dark & ~beard) | very & ~beard | strange)
    over = grow(covered, _TOUCHING / pixel)
    foreign = _foreign(candidate, (very & ~beard | strange) & ~folds, over, pixel)
    foreign |= _foreign(skin & ~features & _other_hue(difference, skin), np.zeros_like(skin), over, pixel)
    foreign |= skin & ~own & (odd > _VERY_ODD)
    foreign &= ~_single(foreign & beard, over, _BEARD / pixel)
    rims = foreign & (from_eyes < _GLASSES) & ~over
    beside = grow(rims & ~_single(rims, over, _RIM / pixel), _BESIDE / pixel) & ~features
    foreign |= skin & beside & (np.abs(bright) > max(_DARK * spread, _DARK_AT_LEAST))
    foreign |= skin & worn & (bright > max(_DARK * spread, _GLOSS_AT_LEAST))
    forehead = skin & ~own & ~folds & (place[..., 1] > _brows(scene.model))
    foreign |= _strands(bright, forehead, place, pixel)
    foreign = grow(foreign, _GROWN / pixel)
    return SkinCheck(fine, pixel, foreign, ~(own & skin & ~usual), teeth, beyond)


_EYES_AND_BROWS = ("right_eye", "left_eye", "right_brow", "left_brow")
_DARK_PARTS = (*_EYES_AND_BROWS, "upper_lip", "lower_lip", "mouth_inside")


def _brows(model: FaceModel) -> float:
    """mm: the height of the brows on the mean face."""
    brows = np.isin(model.vertex_label.cpu().numpy(), [LABEL["right_brow"], LABEL["left_brow"]])
    return float(model.verts[:, 1].cpu().numpy()[brows].mean()) if brows.any() else np.inf


def _teeth(scene: Scene, seen: View, labels: np.ndarray, picture: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """(S, S) bool: where the mesh shows teeth, which are what is pale and grey in a mouth, and the photo too."""
    albedo = scene.model.albedo_mean.cpu().numpy().clip(0, 1)
    pale = (albedo.max(1) > 0.5) & (albedo.max(1) - albedo.min(1) < 0.3 * albedo.max(1))
    mesh = seen.interpolate(pale[:, None].astype(np.float32), scene.model.faces.cpu().numpy())[..., 0] > 0.5
    mesh &= labels == LABEL["mouth_inside"]
    red, green, blue = np.moveaxis(picture, 2, 0)
    highest = np.maximum(np.maximum(red, green), blue)
    grey = highest - np.minimum(np.minimum(red, green), blue) < 0.35 * highest
    usual = np.median(picture[skin] @ _LUMA) if skin.any() else 0.0
    return mesh & grey & (picture @ _LUMA > 0.6 * usual)


def _length(vectors: np.ndarray) -> np.ndarray:
    """(S, S, 3) -> (S, S). As np.linalg.norm, which takes ten times as long for an axis of three."""
    x, y, z = np.moveaxis(vectors, 2, 0)
    return np.sqrt(x * x + y * y + z * z)


def _other_hue(difference: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """(S, S) bool: where the hue differs from that of most of the skin: a glove, or a phone, that a parser took for
    skin. No light is that uneven."""
    hue = difference - (difference @ _LUMA)[..., None]
    far = _length(hue - np.median(hue[skin], axis=0))
    return far > max(_HUE * float(np.median(far[skin])), _HUE_AT_LEAST)


def _resized(mask: np.ndarray, side: int) -> np.ndarray:
    """(R, R) -> (side, side), the nearest pixel."""
    at = ((np.arange(side) + 0.5) * len(mask) / side).astype(int)
    return mask[at[:, None], at]


def _deviation(values: np.ndarray) -> float:
    """Standard deviation of most of the values, by the median of their sizes."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _unexplained(difference: np.ndarray, skin: np.ndarray, smooth: float) -> tuple[np.ndarray, np.ndarray]:
    """What of the difference (S, S, 3) is not smooth, and where skin (S, S) agrees with the smooth rest. Smoothing by a
    Gaussian of `smooth` pixels, of what agreed in the round before (Tukey's weights)."""
    weight, width = skin.astype(np.float32), smooth / _COARSE
    for _ in range(_ROUNDS):
        shares = ndimage.gaussian_filter(_shrunk(weight), width)
        fit = np.stack(
            [ndimage.gaussian_filter(_shrunk(weight * channel), width) for channel in np.moveaxis(difference, 2, 0)], 2
        ) / np.maximum(shares, 1e-6)[..., None]  # fmt: skip
        fit = np.repeat(np.repeat(fit, _COARSE, 0), _COARSE, 1)
        fit = ndimage.uniform_filter(fit, (_COARSE, _COARSE, 1))
        rest = difference - fit
        size = _length(rest)
        scale = 4.7 * max(float(np.median(size[skin])), 0.03)
        weight = np.where(skin, np.clip(1 - (size / scale) ** 2, 0, 1) ** 2, 0).astype(np.float32)
    return rest, skin & (weight > 0.2)


def _shrunk(values: np.ndarray) -> np.ndarray:
    """(S, S) -> (S / _COARSE, S / _COARSE), means."""
    count = len(values) // _COARSE
    rows = values.reshape(count, _COARSE, -1).sum(1)  # along rows first: memory is read in its order
    return rows.reshape(count, count, _COARSE).sum(2) / _COARSE**2


def _single(mask: np.ndarray, over: np.ndarray, length: float) -> np.ndarray:
    """The connected pieces of a mask (S, S) that are shorter than `length` pixels and do not touch `over`."""
    number, count = ndimage.label(mask, np.ones((3, 3)))
    if count == 0:
        return mask
    touching = ndimage.maximum(over, number, np.arange(1, count + 1)).astype(bool)
    short = [np.hypot(*(side.stop - side.start for side in box)) < length for box in ndimage.find_objects(number)]
    return np.concatenate([[False], ~touching & np.array(short)])[number]


def _foreign(candidate: np.ndarray, sure: np.ndarray, over: np.ndarray, pixel: float) -> np.ndarray:
    """The connected candidates (S, S) that touch what lies over the face, or are thin and longer than a mole."""
    number, count = ndimage.label(candidate, np.ones((3, 3)))
    if count == 0:
        return candidate
    index = np.arange(1, count + 1)
    touching = ndimage.maximum(over, number, index).astype(bool)
    certain = ndimage.maximum(sure, number, index).astype(bool)
    area = ndimage.sum_labels(candidate, number, index) * pixel**2
    boxes = ndimage.find_objects(number)
    length = np.array([np.hypot(*(side.stop - side.start for side in box)) for box in boxes]) * pixel
    thin = (length > _MOLE) & (area < np.minimum(_THIN, _SLENDER * length) * length)
    chosen = np.concatenate([[False], touching & (area > 2) | certain & thin])
    return chosen[number]


def _strands(bright: np.ndarray, free: np.ndarray, place: np.ndarray, pixel: float) -> np.ndarray:
    """Single strands: straight, thin lines that are darker than both sides, which may be gloss, and aslant.

    Args:
        bright: (S, S) logarithms of brightness; free: (S, S) bool, where no fold is expected.
        place: (S, S, 3) mm of each pixel on the mean face; pixel: mm of one.
    """
    found = np.zeros_like(free)
    width = 2 * max(round(_HAIR / pixel / 2), 1) + 1
    free = ndimage.minimum_filter(free, width)
    if not free.any():
        return found
    depth = ndimage.grey_closing(bright.astype(np.float32), width) - bright
    line = free & (depth > max(_LINE * _deviation(depth[free]), _LINE_AT_LEAST))
    number, _ = ndimage.label(line, np.ones((3, 3)))
    for index, box in enumerate(ndimage.find_objects(number), start=1):
        if np.hypot(*(side.stop - side.start for side in box)) * pixel < _STRAND:
            continue
        inside = number[box] == index
        at = place[box][inside][:, :2]
        values, axes = np.linalg.eigh(np.cov(at.T))
        if np.sqrt(max(values[0], 0)) < _STRAIGHT * np.sqrt(values[1]) and abs(axes[1, 1]) > _ASLANT:
            found[box] |= inside
    return found
