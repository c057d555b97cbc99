"""The default segmenter: landmark polygons, and around and over them what the colours of this photo say.

Nothing is learned beforehand but MediaPipe's person mask (its network lies inside the package). The landmarks say where
skin is for sure; its colours, those of the hair above it and of the background make three histograms of this very
photo, and each pixel takes the class that its colour, its texture and its place make likely, in a few rounds. A hand
before the face has the colours of skin and is taken for it; what it holds is hair or background by its colours.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage import color

from ...anatomy.landmarks import CHIN, FOREHEAD, LEFT_SIDE, NOSE_TIP, RIGHT_SIDE
from ...anatomy.parts import LABEL
from ...geometry.camera import WindowTransform
from .contract import Segmentation, check_window
from .morphology import distance_to, grow
from .occluders import glasses_mask
from .person import person_mask
from .polygons import face_region, polygon_labels

SKIN, HAIR, BACKGROUND = 0, 1, 2
BINS = (24, 16, 16)  # of lightness and the two colour axes
ROUNDS = 2
# Skin this far beyond the landmarks (in heights of the face) is still cheek and jaw.
FACE_RIM = 0.04


def _guided(guide: np.ndarray, value: np.ndarray, radius: int, epsilon: float) -> np.ndarray:
    """Guided filter (He et al. 2013) with a grey guide: smooths `value` (S, S, C) but not over the guide's edges."""

    def mean(x: np.ndarray) -> np.ndarray:
        return ndimage.uniform_filter(x, 2 * radius + 1, mode="mirror", axes=(0, 1))

    guide = guide[..., None]
    centre, average = mean(guide), mean(value)
    gain = (mean(guide * value) - centre * average) / (mean(guide * guide) - centre * centre + epsilon)
    return mean(gain) * guide + mean(average - gain * centre)


def _blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    """(S, S) or (S, S, C) smoothed within the picture's plane."""
    return ndimage.gaussian_filter(picture, sigma, mode="mirror", axes=(0, 1))


class _Colours:
    """Each pixel's place in a histogram of colour and one of texture."""

    def __init__(self, image: np.ndarray) -> None:
        lab = color.rgb2lab(image)
        grey = lab[..., 0] / 100
        self.guide = grey
        size = image.shape[0]
        smooth = _blurred(lab, max(0.6, size / 320))
        # Lightness by its square root of contrast: shadows differ as much as lights to the eye, not in number.
        place = [
            np.clip(smooth[..., 0] / 100 * BINS[0], 0, BINS[0] - 1e-3),
            np.clip((smooth[..., 1] + 40) / 80 * BINS[1], 0, BINS[1] - 1e-3),
            np.clip((smooth[..., 2] + 40) / 80 * BINS[2], 0, BINS[2] - 1e-3),
        ]
        self.bin = np.ravel_multi_index([p.astype(int) for p in place], BINS)
        detail = grey - _blurred(grey, size / 90)
        energy = np.sqrt(_blurred(detail * detail, size / 90))
        self.texture = np.clip((np.log(energy + 1e-3) + 7) / 6 * 12, 0, 11.99).astype(int)

    def log_likelihood(self, weight: np.ndarray) -> np.ndarray:
        """(S, S) log density of each pixel's colour and texture under the pixels that `weight` (S, S) picks."""
        total = weight.sum() + 1e-6
        colour = np.bincount(self.bin.ravel(), weight.ravel(), int(np.prod(BINS))).reshape(BINS)
        for axis in range(3):
            colour = _smooth(colour, axis)
        colour = (colour + 3e-5 * total) / (total * (1 + 3e-5 * colour.size))
        texture = np.bincount(self.texture.ravel(), weight.ravel(), 12)
        texture = _smooth(texture, 0)
        texture = (texture + 0.02 * total) / (total * (1 + 0.02 * 12))
        return np.log(colour.ravel()[self.bin]) + 0.5 * np.log(texture[self.texture])


def _smooth(histogram: np.ndarray, axis: int) -> np.ndarray:
    """Spread every bin to its neighbours by (1, 4, 6, 4, 1) / 16."""
    moved = np.moveaxis(histogram, axis, 0)
    padded = np.concatenate([np.zeros((2, *moved.shape[1:])), moved, np.zeros((2, *moved.shape[1:]))])
    kernel = np.array([1, 4, 6, 4, 1]) / 16
    out = sum(w * padded[k : k + len(moved)] for k, w in enumerate(kernel))
    return np.moveaxis(out, 0, axis)


def _ramp(value: np.ndarray, start: float, stop: float) -> np.ndarray:
    return np.clip((value - start) / (stop - start), 0, 1)


class _Place:
    """Where each pixel is on the head: level (chin 0, forehead 1) and distance from the face in the face's heights."""

    def __init__(self, shape: tuple[int, int], landmarks: np.ndarray) -> None:
        up = landmarks[FOREHEAD] - landmarks[CHIN]
        self.height = max(float(np.hypot(*up)), 1.0)
        up = up / self.height
        y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
        self.level = ((x - landmarks[CHIN, 0]) * up[0] + (y - landmarks[CHIN, 1]) * up[1]) / self.height
        # A turned head hides its far ear: how much so on the side of each pixel.
        across = np.array([-up[1], up[0]])  # from the person's right to the left
        right, nose, left = (float(landmarks[k] @ across) for k in (RIGHT_SIDE, NOSE_TIP, LEFT_SIDE))
        turned = np.clip((0.5 - (nose - right) / max(left - right, 1e-6)) / 0.2, -1, 1)  # 1: the right side is far
        self.far = np.clip(np.where(x * across[0] + y * across[1] < nose, turned, -turned), 0, 1)
        self.face = face_region(shape, landmarks)
        self.inside = distance_to(~self.face) / self.height
        self.outside = distance_to(self.face) / self.height

    def priors(self, person: np.ndarray) -> np.ndarray:
        """(S, S, 3) of skin, hair, background."""
        top = _ramp(self.level, 0.75, 0.95)
        low = _ramp(self.level, 0.12, -0.05)
        side = 1 - top - low
        near = np.exp(-self.outside / 0.15)
        skin_out = (
            top * (0.02 + 0.5 * near) + side * (0.05 + 0.4 * near) * (1 - 0.5 * self.far) + low * (0.35 + 0.35 * near)
        )
        hair_out = top * (0.9 - 0.4 * near) + side * (0.55 - 0.2 * near) + low * 0.1
        cloth = _ramp(self.level, -0.1, -0.35)
        rim = np.exp(-self.inside / 0.04)
        hair_in = 0.003 + rim * (0.3 * _ramp(self.level, 0.7, 0.95) + 0.15 * _ramp(self.level, 0.2, 0.4))
        back_in = 0.002 + 0.1 * rim
        skin = np.where(self.face, 1 - hair_in - back_in, skin_out * (1 - cloth * 0.7))
        hair = np.where(self.face, hair_in, hair_out * (1 - cloth * 0.5))
        back = np.where(self.face, back_in, 0.03 + 0.5 * cloth)
        person = np.clip(person, 0.03, 0.97)
        return np.stack(
            [skin * person, hair * person, back * person + (1 - person) * np.where(self.face, back_in, 1)], -1
        )


class ColorSegmenter:
    """See the module. Some 140 ms a face of 224 pixels on one CPU core; no state is kept from face to face."""

    def segment(self, image: np.ndarray, landmarks: np.ndarray, window: WindowTransform | None = None) -> Segmentation:
        """See PartSegmenter; `window` is not used."""
        check_window(image, landmarks)
        shape = image.shape[:2]
        landmarks = landmarks.astype(np.float64)
        polygons = polygon_labels(shape, landmarks)
        colours, place = _Colours(image), _Place(shape, landmarks)
        person = person_mask(image)
        classes = self._classes(colours, place, person, polygons)
        glasses = glasses_mask(colours.guide, landmarks)
        return self._labels(classes, polygons, place, glasses)

    def _classes(self, colours: _Colours, place: _Place, person: np.ndarray, polygons: np.ndarray) -> np.ndarray:
        """(S, S, 3) probabilities of skin, hair, background."""
        unit = place.height
        features = (polygons != 0) & (polygons != LABEL["skin"]) & (polygons != LABEL["nose"])
        features = grow(features, 0.03 * unit)
        core = (place.inside > 0.06) & (place.level < 0.75) & ~features
        prior = place.priors(person)
        posterior = prior / prior.sum(-1, keepdims=True)
        radius = max(1, round(unit * 0.02))
        for round_number in range(ROUNDS):
            weight = posterior.copy()
            weight[features & place.face] = 0
            if round_number == 0:
                weight[..., SKIN] = core
                # Skin colours beyond the face are neck and ears, not the first guess of hair or background.
                like = colours.log_likelihood(core.astype(float))
                foreign = like < np.percentile(like[core], 3) if core.any() else np.ones_like(core)
                weight[..., HAIR] = (posterior[..., HAIR] > 0.5) & foreign & (place.level > 0.5)
                weight[..., BACKGROUND] = (posterior[..., BACKGROUND] > 0.6) & foreign
            else:
                weight[core, SKIN] += 0.5
            score = np.stack([colours.log_likelihood(weight[..., k]) for k in range(3)], -1)
            few = weight.sum((0, 1)) < 0.002 * weight[..., 0].size
            score[..., few] = score[..., few].min(initial=-9.0) if few.any() else 0
            score += np.log(prior)
            score -= score.max(-1, keepdims=True)
            posterior = np.exp(score)
            posterior /= posterior.sum(-1, keepdims=True)
            posterior = np.clip(_guided(colours.guide, posterior, radius, 1e-3), 1e-4, 1)
            posterior /= posterior.sum(-1, keepdims=True)
        return posterior

    def _labels(self, classes: np.ndarray, polygons: np.ndarray, place: _Place, glasses: np.ndarray) -> Segmentation:
        winner = classes.argmax(-1)
        labels = np.array([LABEL["skin"], LABEL["hair"], LABEL["background"]], np.uint8)[winner]
        parts = (polygons != 0) & (polygons != LABEL["skin"])
        # Strands of hair lie over brows, nose and eyes too, but there the colour of the part itself is dark.
        labels[parts] = polygons[parts]
        # Beyond what the landmarks cover, skin is forehead above, ear beside and neck below.
        aside = (labels == LABEL["skin"]) & (place.outside > FACE_RIM)
        labels[aside & (place.level < 0.8)] = LABEL["ear"]
        labels[aside & (place.level < 0.25)] = LABEL["neck"]
        labels[glasses] = LABEL["glasses"]
        return Segmentation(labels, classes.max(-1).astype(np.float32))
