"""Occluders drawn by code over a labelled face: what photos with hand labels lack.

Classes that are learned from here: `glasses` (frames and lenses that hide the eye) and `occluder` (hands, telephones,
microphones, cups, masks, scarves, hats, clutter) from nothing else; `hair` also from photos and renders. The labels are
exact by construction. A clear lens keeps what is behind it, a shadow changes no label.
"""

from __future__ import annotations

import numpy as np

from .occluder_glasses import draw_glasses
from .occluder_hair import draw_hair
from .occluder_hands import draw_hand
from .occluder_layer import FaceFrame, Layer, lay_over
from .occluder_things import (
    draw_clutter,
    draw_cup,
    draw_hat,
    draw_mask,
    draw_microphone,
    draw_phone,
    draw_scarf,
)

# How often each is drawn.
SHARES = {
    "hand": 0.22, "glasses": 0.26, "hair": 0.2, "mask": 0.06, "hat": 0.07, "scarf": 0.03, "phone": 0.04,
    "microphone": 0.05, "cup": 0.03, "clutter": 0.04,
}  # fmt: skip
# How often a second one follows.
SECOND = 0.15


def draw_occluder(
    image: np.ndarray, labels: np.ndarray, landmarks: np.ndarray, rng: np.random.Generator, kind: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """A copy of the picture with something before the face.

    Args:
        image: (S, S, 3) float32 RGB in [0, 1].
        labels: (S, S) uint8, facefit.anatomy.parts.LABELS (other numbers are left as they are where nothing is drawn).
        landmarks: (478, 2) window pixels.
        rng: of everything random.
        kind: of SHARES; default a random one, now and then two.
    Returns:
        image and labels of the same shapes and types.
    Raises:
        ValueError: an unknown kind, or shapes that do not fit.
    """
    if image.ndim != 3 or image.shape[:2] != labels.shape or image.shape[0] != image.shape[1]:
        raise ValueError(f"image {image.shape} and labels {labels.shape} do not fit; expected (S, S, 3) and (S, S)")
    if kind is not None and kind not in SHARES:
        raise ValueError(f"kind is {kind!r}; accepted: {', '.join(SHARES)}")
    frame = FaceFrame.of(np.asarray(landmarks, np.float64), image.shape[0])
    kinds = [kind] if kind else [_choose(rng)]
    if kind is None and rng.random() < SECOND:
        kinds.append(_choose(rng))
    for name in kinds:
        for layer in _layers(name, image, labels, frame, rng):
            image, labels = lay_over(image, labels, layer, rng)
    return np.clip(image, 0, 1).astype(np.float32), labels.astype(np.uint8)


def _choose(rng: np.random.Generator) -> str:
    names, shares = list(SHARES), np.array(list(SHARES.values()))
    return str(rng.choice(names, p=shares / shares.sum()))


def _layers(
    name: str, image: np.ndarray, labels: np.ndarray, frame: FaceFrame, rng: np.random.Generator
) -> list[Layer]:
    if name == "hand":
        hands = [draw_hand(image, labels, frame, rng)]
        return hands + ([draw_hand(image, labels, frame, rng)] if rng.random() < 0.25 else [])
    if name == "glasses":
        return draw_glasses(image, labels, frame, rng)
    if name == "hair":
        return [draw_hair(image, labels, frame, rng)]
    if name == "mask":
        return draw_mask(frame, rng)
    if name == "hat":
        return draw_hat(frame, rng)
    if name == "scarf":
        return [draw_scarf(frame, rng)]
    if name == "clutter":
        return [draw_clutter(image, frame, rng)]
    held = {"phone": draw_phone, "microphone": draw_microphone, "cup": draw_cup}[name]
    thing, at = held(frame, rng)
    if rng.random() < 0.5:
        return [thing]
    hand = draw_hand(image, labels, frame, rng, tip=at, coming_from=rng.uniform(0.2, np.pi - 0.2))
    return [thing, hand] if rng.random() < 0.7 else [hand, thing]
