"""Input that is wrong on purpose: landmarks off, masks ragged, cut or missing, something before the face.

Everything random comes of the photo's name, so a photo is spoilt in the same way for every energy that is compared.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import ndimage

from facefit.anatomy.landmarks import CHIN, LEFT_MOUTH_CORNER, RIGHT_MOUTH_CORNER
from facefit.anatomy.parts import MASKS, PARTS
from facefit.observe.observation import Observation
from facefit.photo.photo import Photo

SHARE = 0.5  # of the landmarks
OFFSET = 0.05  # of the face's size, the mean of the landmarks' width and height
RAGGED = 0.02  # of the face's size: how far borders of masks wander
MISSING = ("left_eye", "left_brow", "nose", "lower_lip")
COVERED = 0.2  # of the face's size, radius of what lies before the face


@dataclass(frozen=True)
class Corruption:
    """One way to spoil the input.

    Attributes:
        about: what it does, for the report.
        photo: changes the picture before anything looks at it, given (478, 2) landmarks of the clean one.
        observation: changes what was seen.
    """

    about: str
    photo: Callable[[Photo, np.ndarray, np.random.Generator], Photo] | None = None
    observation: Callable[[Observation, np.random.Generator], Observation] | None = None


def generator(name: str) -> np.random.Generator:
    """The random numbers of one photo, the same in every process."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def face_size(landmarks: np.ndarray) -> float:
    """(L, 2) -> the mean of their width and height."""
    return float(np.ptp(landmarks, axis=0).mean())


def _displaced(observation: Observation, rng: np.random.Generator, together: bool) -> Observation:
    points = observation.landmarks[0].numpy().copy()
    chosen = rng.choice(len(points), round(SHARE * len(points)), replace=False)
    angle = rng.uniform(0, 2 * np.pi, 1 if together else len(chosen))
    length = OFFSET * face_size(points)
    points[chosen] += length * np.stack([np.cos(angle), np.sin(angle)], -1)
    return replace(observation, landmarks=torch.from_numpy(points.astype(np.float32))[None])


def landmarks_scattered(observation: Observation, rng: np.random.Generator) -> Observation:
    return _displaced(observation, rng, together=False)


def landmarks_shifted(observation: Observation, rng: np.random.Generator) -> Observation:
    return _displaced(observation, rng, together=True)


def masks_ragged(observation: Observation, rng: np.random.Generator) -> Observation:
    """All masks warped by one smooth random field, as a parser's borders wander."""
    size = observation.size
    length = RAGGED * face_size(observation.landmarks[0].numpy())
    noise = [rng.standard_normal((size, size)).astype(np.float32) for _ in range(2)]
    field = [ndimage.gaussian_filter(part, 4.0, mode="mirror") for part in noise]
    right, down = (length * part / part.std() for part in field)
    y, x = np.mgrid[:size, :size]
    warped = [
        ndimage.map_coordinates(mask, (y + down, x + right), order=1, mode="grid-constant")
        for mask in observation.part_masks[0].numpy()
    ]
    return replace(observation, part_masks=torch.from_numpy(np.stack(warped))[None])


def masks_missing(observation: Observation, rng: np.random.Generator) -> Observation:
    """Some parts were not found at all: they are skin now, as a parser that misses a part writes it."""
    masks = observation.part_masks.clone()
    skin = MASKS.index("skin")
    for name in MISSING:
        masks[:, skin] = torch.maximum(masks[:, skin], masks[:, MASKS.index(name)])
        masks[:, MASKS.index(name)] = 0
    return replace(observation, part_masks=masks)


def masks_covered(observation: Observation, rng: np.random.Generator) -> Observation:
    """Something before the mouth's corner that the segmenter takes for skin: the parts below it are cut off."""
    here = torch.from_numpy(_disc(observation.landmarks[0].numpy(), (observation.size,) * 2, rng)).float()
    masks = observation.part_masks.clone()
    for channel, name in enumerate(PARTS):
        masks[:, channel] = torch.maximum(masks[:, channel], here) if name == "skin" else masks[:, channel] * (1 - here)
    return replace(observation, part_masks=masks)


def photo_covered(photo: Photo, landmarks: np.ndarray, rng: np.random.Generator) -> Photo:
    """A blue-grey disc, shaded like a ball, painted before a corner of the mouth."""
    here = _disc(landmarks, photo.pixels.shape[:2], rng)
    shade = ndimage.gaussian_filter(here.astype(np.float32), 0.1 * face_size(landmarks), mode="mirror")[..., None]
    colour = np.array((70, 90, 120), np.float32) * (0.5 + 0.7 * shade)
    pixels = np.where(here[..., None], colour, photo.pixels).clip(0, 255).astype(np.uint8)
    return replace(photo, pixels=pixels)


def _disc(landmarks: np.ndarray, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """(H, W) bool: around a point between a corner of the mouth and the chin."""
    corner, chin = landmarks[RIGHT_MOUTH_CORNER if rng.random() < 0.5 else LEFT_MOUTH_CORNER], landmarks[CHIN]
    centre = 0.7 * corner + 0.3 * chin
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    return np.hypot(x - centre[0], y - centre[1]) < COVERED * face_size(landmarks)


CORRUPTIONS = {
    "none": Corruption("as it comes"),
    "landmarks_scattered": Corruption(
        "half of the landmarks displaced by 5 % of the face's size, each in its own direction",
        observation=landmarks_scattered,
    ),
    "landmarks_shifted": Corruption(
        "half of the landmarks displaced by 5 % of the face's size, all in one direction",
        observation=landmarks_shifted,
    ),
    "masks_ragged": Corruption("borders of the masks wander by 2 % of the face's size", observation=masks_ragged),
    "masks_missing": Corruption(
        "left eye, left brow, nose and lower lip missing in the masks (called skin)", observation=masks_missing
    ),
    "masks_covered": Corruption(
        "a disc over a corner of the mouth that the masks call skin, cutting the lips", observation=masks_covered
    ),
    "photo_covered": Corruption(
        "a disc painted over a corner of the mouth before detection and segmentation", photo=photo_covered
    ),
}
