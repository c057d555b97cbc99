"""A stored window -> what the networks see in training: turned, shifted, mirrored, dyed, relit, blurred, occluded, with
landmarks as wrong as a detector's."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from facefit.anatomy.landmarks import (
    CHIN,
    FACE_OVAL,
    FOREHEAD,
    LEFT_BROW,
    LEFT_EYE,
    LIPS_OUTER,
    MIRROR,
    NOSE,
    RIGHT_BROW,
    RIGHT_EYE,
)
from facefit.anatomy.parts import LABEL, LABELS
from facefit.observe.segment.face_crops import (
    CLASS_LABEL,
    CLASSES,
    MIRROR_CLASS,
    Crop,
    crop_input,
    exposure,
    face_crops,
)
from facefit.observe.segment.morphology import pieces
from facefit.synth.backgrounds import draw_background
from facefit.synth.brush import blurred, jpeg, resized
from facefit.synth.occluders import draw_occluder
from training.parser.recolour import complexion, dyed
from training.parser.samples import IGNORE

# LABELS -> place in the parser's output; what is no class of it says nothing.
CLASS_OF_LABEL = np.full(256, IGNORE, np.uint8)
CLASS_OF_LABEL[CLASS_LABEL] = np.arange(len(CLASSES))
MIRROR_LABEL = np.arange(256, dtype=np.uint8)
for _number, _name in enumerate(LABELS):
    _other = _name.replace("right", "left") if "right" in _name else _name.replace("left", "right")
    MIRROR_LABEL[_number] = LABEL[_other]
_GROUPS = (RIGHT_EYE, LEFT_EYE, RIGHT_BROW, LEFT_BROW, LIPS_OUTER, NOSE, FACE_OVAL)


@dataclass(frozen=True)
class Augmentation:
    """How often and how far; shares of pictures in [0, 1], lengths in heights of the face.

    Attributes:
        turn: degrees, deviation; zoom: deviation of the logarithm; shift: deviation.
        occluder, background, grey: shares of pictures with each.
        hair, skin: shares of photos whose hair and skin get another colour.
        landmark: deviation of the errors put on the landmarks, common to a part; drop: share of parts left out.
    """

    turn: float = 12.0
    zoom: float = 0.08
    shift: float = 0.025
    occluder: float = 0.35
    background: float = 0.5
    grey: float = 0.2
    hair: float = 0.4
    skin: float = 0.3
    landmark: float = 0.010
    drop: float = 0.06


NONE = Augmentation(turn=0, zoom=0, shift=0, occluder=0, background=0, grey=0, hair=0, skin=0, landmark=0, drop=0)


def disturbed(landmarks: np.ndarray, rng: np.random.Generator, how: Augmentation) -> np.ndarray:
    """Landmarks with the errors of a detector: a similarity of all, a shift and stretch of each part, noise."""
    points = landmarks.astype(np.float64)
    height = float(np.hypot(*(points[FOREHEAD] - points[CHIN])))
    error = how.landmark * height
    centre = points.mean(0)
    points = points + rng.normal(0, error, 2) + (points - centre) * rng.normal(0, how.landmark, 2)
    for group in _GROUPS:
        index = list(group)
        middle = points[index].mean(0)
        points[index] += rng.normal(0, 0.8 * error, 2) + (points[index] - middle) * rng.normal(0, 5 * how.landmark, 2)
    return points + rng.normal(0, 0.2 * error, points.shape)


def moved(crop: Crop, rng: np.random.Generator, how: Augmentation) -> Crop:
    """The same crop, laid less exactly."""
    angle = np.radians(rng.normal(0, how.turn))
    zoom = float(np.exp(rng.normal(0, how.zoom)))
    linear = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.full(2, crop.side / 2)
    shift = rng.normal(0, how.shift, 2) * crop.side
    matrix = linear @ crop.matrix
    matrix[:, 2] += middle - linear @ middle + shift
    return replace(crop, matrix=matrix)


def relit(image: np.ndarray, rng: np.random.Generator, how: Augmentation) -> np.ndarray:
    """Other exposure, contrast, colours, light from one side, focus and sensor; (S, S, 3) float32 in [0, 1]."""
    size = image.shape[0]
    if rng.random() < how.grey:
        image = np.repeat(image @ np.array([[0.3], [0.59], [0.11]], np.float32), 3, 2)
    elif rng.random() < 0.5:  # other cameras mix the colours
        image = image @ (np.eye(3) + rng.normal(0, 0.06, (3, 3))).astype(np.float32)
    image = np.clip(image, 0, 1) ** np.float32(np.exp(rng.normal(0, 0.25)))
    image = (image - 0.5) * np.float32(np.exp(rng.normal(0, 0.2))) + 0.5 + np.float32(rng.normal(0, 0.08))
    image = image * np.exp(rng.normal(0, 0.08, 3)).astype(np.float32)
    if rng.random() < 0.5:
        way = rng.normal(0, 1, 2)
        way /= max(np.hypot(*way), 1e-6)
        y, x = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
        slope = (x * way[0] + y * way[1]) * rng.uniform(1, 6)
        image = image * np.exp(rng.uniform(0, 0.9) * np.tanh(slope))[..., None].astype(np.float32)
    if rng.random() < 0.35:
        image = blurred(image, rng.uniform(0.4, 2.2) * size / 384)
    if rng.random() < 0.2:  # a photo that was small
        small = int(size * rng.uniform(0.2, 0.6))
        image = resized(resized(image, small), size)
    if rng.random() < 0.4:
        image = image + rng.normal(0, rng.uniform(0.005, 0.05), image.shape).astype(np.float32)
    image = np.clip(image, 0, 1)
    if rng.random() < 0.25:
        image = jpeg(image, int(rng.uniform(25, 90)))
    return image


def other_background(image: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Another picture behind the person, also where the photo ended; the border is soft."""
    behind = np.isin(labels, (LABEL["background"], IGNORE)).astype(np.float32)
    # inner unlabelled specks belong to the person
    piece, _ = pieces(behind > 0)
    behind[np.bincount(piece.ravel())[piece] < 0.01 * labels.size] = 0
    soft = blurred(behind, rng.uniform(0.6, 1.5))[..., None]
    return image * (1 - soft) + draw_background(labels.shape[0], rng) * soft, labels


def example(
    image: np.ndarray, labels: np.ndarray, landmarks: np.ndarray, rng: np.random.Generator, how: Augmentation,
    rendered: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """One stored window as the networks see it.

    Args:
        image: (S, S, 3) uint8; labels: (S, S) LABELS or IGNORE; landmarks: (478, 2) window pixels.
        rendered: the window has its background already.
    Returns:
        face (12, 128, 128), face classes (128, 128), details (2, 12, 96, 96): one eye and the mouth, and their classes
        (2, 96, 96); classes are places in face_crops.CLASSES or IGNORE; in a mirrored crop the left is called
        right.
    """
    image = image.astype(np.float32) / 255
    if how is not NONE:
        if rng.random() < 0.5:
            image, labels = np.ascontiguousarray(image[:, ::-1]), MIRROR_LABEL[labels[:, ::-1]]
            landmarks = (landmarks * (-1, 1) + (labels.shape[1], 0))[MIRROR]
        if not rendered:
            if rng.random() < how.hair:
                image = dyed(image, labels, rng)
            if rng.random() < how.skin:
                image = complexion(image, labels, landmarks, rng)
            if rng.random() < how.background:
                image, labels = other_background(image, labels, rng)
        if rng.random() < how.occluder:
            image, labels = draw_occluder(image.astype(np.float32), labels, landmarks, rng)
        image = relit(image.astype(np.float32), rng, how)
        landmarks = disturbed(landmarks, rng, how)
    light = exposure(image, landmarks)
    inputs, classes = [], []
    face, right_eye, left_eye, mouth = face_crops(landmarks)
    for crop in (face, right_eye if rng.random() < 0.5 else left_eye, mouth):
        crop = moved(crop, rng, how)
        given = crop_input(image, landmarks, crop, light)
        if how.drop:
            given[3:][rng.random(len(given) - 3) < how.drop] = 0
        truth = CLASS_OF_LABEL[crop.sample_labels(labels, IGNORE)]
        if crop.mirrored:
            truth = np.where(truth == IGNORE, IGNORE, MIRROR_CLASS[np.minimum(truth, len(CLASSES) - 1)])
        inputs.append(given)
        classes.append(truth.astype(np.uint8))
    return inputs[0], classes[0], np.stack(inputs[1:]), np.stack(classes[1:])
