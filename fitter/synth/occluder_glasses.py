"""Glasses: frames of several shapes and lenses from clear to black.

The label `glasses` is given to the frame and to lenses that hide the eye. A clear or lightly tinted lens keeps the
label of what is seen through it, as photos' labels do: an eye behind a reading glass is an eye.
"""

from __future__ import annotations

import numpy as np

from ..anatomy.landmarks import EYE_CORNERS, NOSE_TIP
from ..anatomy.parts import LABEL
from .backgrounds import random_color
from .brush import blurred
from .occluder_layer import FaceFrame, Layer, bright_colors, fill, smooth_outline, strokes

# Half outlines in lens units: x from the nose (-1) to the temple (1), y downwards.
_SHAPES = {
    "round": [(np.cos(a), 0.92 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 16, endpoint=False)],
    "rectangle": [(-0.95, -0.55), (-0.3, -0.62), (0.4, -0.62), (1.0, -0.58), (1.02, 0.0), (0.92, 0.52), (0.3, 0.6),
                  (-0.4, 0.6), (-0.88, 0.5), (-1.0, 0.0)],
    "aviator": [(-0.9, -0.62), (-0.2, -0.72), (0.5, -0.72), (1.02, -0.55), (0.98, 0.1), (0.6, 0.85), (0.0, 1.05),
                (-0.5, 0.75), (-0.85, 0.1)],
    "cat": [(-0.9, -0.45), (-0.2, -0.6), (0.5, -0.75), (1.1, -0.85), (1.0, -0.2), (0.75, 0.45), (0.1, 0.65),
            (-0.6, 0.5), (-0.95, 0.05)],
    "wayfarer": [(-0.95, -0.65), (0.0, -0.72), (0.6, -0.74), (1.05, -0.7), (0.98, -0.1), (0.72, 0.6), (0.1, 0.72),
                 (-0.5, 0.65), (-0.85, 0.2)],
}  # fmt: skip


def draw_glasses(image: np.ndarray, labels: np.ndarray, frame: FaceFrame, rng: np.random.Generator) -> list[Layer]:
    """The lenses' layer, then the frame's."""
    shape = np.array(_SHAPES[str(rng.choice(list(_SHAPES)))])
    lens_width = frame.size * rng.uniform(0.15, 0.215)
    tall = lens_width * rng.uniform(0.72, 1.05)
    drop = rng.uniform(-0.01, 0.07) * frame.size
    outlines, inner, outer = [], [], []
    for eye, sign in ((EYE_CORNERS[:2], -1.0), (EYE_CORNERS[2:], 1.0)):
        corner = frame.landmarks[list(eye)]
        middle = corner.mean(0) + frame.down * drop
        # the eye's own width tells how far this half of the face is turned away
        turned = np.clip(abs(float((corner[1] - corner[0]) @ frame.right)) / (0.17 * frame.size), 0.25, 1.1)
        across = frame.right * lens_width * turned
        middle = middle + frame.right * sign * 0.1 * lens_width * turned
        points = smooth_outline(middle + shape[:, :1] * sign * across + shape[:, 1:] * frame.down * tall)
        outlines.append(points)
        inner.append(middle - sign * across * 0.98 - frame.down * tall * 0.25)
        outer.append(middle + sign * across * 1.02 - frame.down * tall * 0.45)
    lenses = np.maximum(fill(frame.side, outlines[0]), fill(frame.side, outlines[1]))
    layers = [_lens(image, lenses, outlines, frame, rng)]
    color = bright_colors(rng)
    thickness = frame.size * rng.choice([0.008, 0.012, 0.02, 0.034], p=[0.25, 0.3, 0.25, 0.2])
    kind = rng.choice(["full", "half", "rimless"], p=[0.75, 0.15, 0.1])
    curves = []
    for points in outlines:
        if kind == "full":
            curves.append(np.concatenate([points, points[:1]]))
        elif kind == "half":
            upper = (points - points.mean(0)) @ frame.down < tall * 0.1
            start = int(np.flatnonzero(upper & ~np.roll(upper, 1))[0]) if upper.any() and not upper.all() else 0
            rolled = np.roll(points, -start, 0)
            curves.append(rolled[: int(upper.sum())])
    lift = frame.down * tall * rng.uniform(0.05, 0.3)
    curves.append(np.stack([inner[0], (inner[0] + inner[1]) / 2 - lift, inner[1]]))
    for side, ear in enumerate((127, 356)):
        away = (frame.landmarks[ear] - frame.landmarks[NOSE_TIP]) @ frame.right * (-1.0 if side == 0 else 1.0)
        if away > 0.12 * frame.size:  # the temple piece on the side that is turned to the viewer
            curves.append(np.stack([outer[side], frame.landmarks[ear] - frame.down * 0.02 * frame.size]))
    mask = strokes(frame.side, curves, max(1.0, thickness), 0.4)
    gradient = 1 + 0.3 * np.linspace(-1, 1, frame.side)[:, None, None] * rng.normal()
    paint = np.broadcast_to(color, (frame.side, frame.side, 3)) * gradient
    if rng.random() < 0.25:  # metal
        paint = paint * 0.6 + 0.4 * (0.5 + 0.5 * np.sin(np.arange(frame.side) * rng.uniform(0.1, 0.5)))[None, :, None]
    layers.append(Layer(np.clip(paint, 0, 1).astype(np.float32), mask, LABEL["glasses"]))
    return layers


def _lens(image, lenses, outlines, frame, rng) -> Layer:
    side = frame.side
    if rng.random() < 0.55:  # clear: a faint tint and perhaps a reflection
        opacity = np.float32(rng.uniform(0, 0.12))
        color = np.broadcast_to(random_color(rng, 0.4, 1.0, 0.3), (side, side, 3)).astype(np.float32)
        alpha = lenses * opacity
        if rng.random() < 0.5:
            glare = strokes(side, [np.stack([o[rng.integers(len(o))], o[rng.integers(len(o))]]) for o in outlines],
                            frame.size * rng.uniform(0.01, 0.06), 1.0)  # fmt: skip
            alpha = np.maximum(alpha, glare * lenses * rng.uniform(0.2, 0.8))
            color = np.where(glare[..., None] > 0.1, 1.0, color).astype(np.float32)
        return Layer(color, alpha.astype(np.float32), LABEL["glasses"], np.zeros_like(lenses))
    tint = random_color(rng, 0.0, 0.25, 1.0) if rng.random() < 0.8 else random_color(rng, 0.2, 0.9, 1.0)
    opacity = rng.uniform(0.35, 1.0)
    down = np.linspace(-1, 1, side, dtype=np.float32)[:, None, None]
    color = tint * (1 + 0.5 * down * rng.normal())
    if rng.random() < 0.6:  # the world mirrored in it
        bright = blurred(image[::-1, ::-1], 3)
        color = color + rng.uniform(0.05, 0.5) * bright
    color = np.broadcast_to(color, (side, side, 3))
    alpha = (lenses * opacity).astype(np.float32)
    # through glass darker than this, nobody could outline the eye
    covers = lenses if opacity > 0.6 else np.zeros_like(lenses)
    return Layer(np.clip(color, 0, 1).astype(np.float32), alpha, LABEL["glasses"], covers)
