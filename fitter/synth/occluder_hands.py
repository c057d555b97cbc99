"""Hands: a palm and five articulated fingers of tapered capsules, shaded as one relief."""

from __future__ import annotations

import numpy as np

from ..anatomy.parts import LABEL
from .backgrounds import image_noise, random_color
from .brush import blurred, cover, ellipse, slopes
from .occluder_layer import FaceFrame, Layer, own_skin

# Per finger: where it starts on the palm (across, along; in palm widths), length of its three bones, radius.
_FINGERS = ((-0.42, 1.0, (0.42, 0.26, 0.20), 0.105), (-0.14, 1.06, (0.47, 0.30, 0.21), 0.110),
            (0.14, 1.02, (0.44, 0.28, 0.20), 0.105), (0.40, 0.90, (0.34, 0.21, 0.17), 0.090))  # fmt: skip
_THUMB = ((-0.5, 0.25), (0.40, 0.33, 0.26), 0.13)


def draw_hand(
    image: np.ndarray,
    labels: np.ndarray,
    frame: FaceFrame,
    rng: np.random.Generator,
    tip: np.ndarray | None = None,
    coming_from: float | None = None,
) -> Layer:
    """A hand before the face.

    Args:
        tip: (2,) window pixels the fingers reach to; default somewhere on the face.
        coming_from: radians of the direction the arm comes from, 0 the viewer's right, pi / 2 below.
    """  # fmt: skip
    if tip is None:
        tip = frame.at(rng.normal(0, 0.28), rng.normal(0.1, 0.28))
    if coming_from is None:
        coming_from = rng.uniform(-0.35, np.pi + 0.35)
    width = frame.size * rng.uniform(0.36, 0.56)
    along = -np.array([np.cos(coming_from), np.sin(coming_from)])
    across = np.array([-along[1], along[0]]) * rng.choice([-1.0, 1.0])
    bend = rng.normal(0, 0.15) if rng.random() < 0.6 else rng.uniform(0.2, 1.1)  # open, or curling
    reach = 1.0 + 0.9 * np.cos(bend) if bend < 0.9 else 1.0
    palm = np.asarray(tip) - along * width * (reach + 0.3) * rng.uniform(0.4, 1.0)  # fingertips, or all of the palm

    def point(a: float, b: float) -> np.ndarray:
        return palm + width * (a * across + b * along)

    relief = np.zeros((frame.side, frame.side), np.float32)
    wrist = point(0, -0.25)
    elbow = point(rng.normal(0, 0.5), -3.5)
    _capsule(relief, elbow, wrist, width * 0.42, width * 0.33, 0.0)
    for start, end in ((-0.32, -0.36), (-0.12, -0.12), (0.1, 0.12), (0.28, 0.34)):
        _capsule(relief, point(start * 0.9, -0.1), point(end, 0.92), width * 0.22, width * 0.17, 0.02 * width)
    _capsule(relief, point(-0.1, 0.05), point(_THUMB[0][0], _THUMB[0][1] + 0.15), width * 0.22, width * 0.16, 0.0)
    # a palm is one surface, the bones below show as soft ridges
    smooth = blurred(relief, max(0.6, 0.06 * width))
    relief = np.where(relief > 0, 0.35 * relief + 0.65 * smooth, 0).astype(np.float32)
    nails = []
    spread = rng.uniform(0.0, 0.22)
    fist = rng.random() < 0.15
    for number, (a, b, bones, radius) in enumerate(_FINGERS):
        if rng.random() < 0.08:
            continue
        angle = (a * 1.0) * spread * 2 + rng.normal(0, 0.04)
        curl = 1.5 if fist else max(0.0, bend + rng.normal(0, 0.12))
        height = 0.05 + 0.01 * number
        nails.append(_finger(relief, point(a, b), angle, curl, bones, radius, along, across, width, height))
    if rng.random() < 0.85:
        angle = rng.uniform(-1.1, -0.25)
        nails.append(_finger(relief, point(*_THUMB[0]), angle, 0.15, _THUMB[1], _THUMB[2], along, across, width, 0.08))
    return _shaded(relief, nails, own_skin(image, labels, rng), width, frame, elbow, wrist, rng)


def _finger(relief, base, angle, curl, bones, radius, along, across, width, height):
    """Adds one finger; returns its tip, direction and radius."""
    at, direction = base, np.cos(angle) * along + np.sin(angle) * across
    lean = 0.0
    for bone, length in enumerate(bones):
        lean += curl * (0.5 if bone == 0 else 0.7)
        seen = max(0.25, np.cos(min(lean, 1.4)))  # a bone that bends towards the viewer looks shorter
        end = at + direction * length * width * seen
        taper = 1 - 0.12 * bone
        _capsule(relief, at, end, radius * width * taper, radius * width * (taper - 0.1), height * width)
        at = end
    return at, direction, radius * width * 0.7


def _capsule(relief: np.ndarray, start, end, radius0: float, radius1: float, base: float) -> None:
    """Raise `relief` (S, S) to the upper half of a tapered capsule, in pixels of height; in place."""
    side = relief.shape[0]
    largest = max(radius0, radius1) + 1
    low = np.clip(np.floor(np.minimum(start, end) - largest).astype(int), 0, side)
    high = np.clip(np.ceil(np.maximum(start, end) + largest).astype(int), 0, side)
    if (high <= low).any():
        return
    x = np.arange(low[0], high[0], dtype=np.float32)[None] + 0.5 - start[0]
    y = np.arange(low[1], high[1], dtype=np.float32)[:, None] + 0.5 - start[1]
    step = np.asarray(end) - start
    share = np.clip((x * step[0] + y * step[1]) / max(float(step @ step), 1e-6), 0, 1)
    distance2 = (x - share * step[0]) ** 2 + (y - share * step[1]) ** 2
    radius = radius0 + (radius1 - radius0) * share
    height = np.sqrt(np.clip(radius * radius - distance2, 0, None))
    patch = relief[low[1] : high[1], low[0] : high[0]]
    np.maximum(patch, np.where(height > 0, height + base, 0), out=patch)


def _shaded(relief, nails, tone, width, frame, elbow, wrist, rng) -> Layer:
    side = frame.side
    alpha = blurred((relief > 0).astype(np.float32), 0.6)
    smooth = blurred(relief, max(0.6, 0.012 * width))
    slope_x, slope_y = slopes(smooth)
    up = 1 / np.sqrt(1 + slope_x**2 + slope_y**2)
    direction = rng.uniform(0, 2 * np.pi)
    tilt = rng.uniform(0.2, 0.8)
    lit = up - (slope_x * np.cos(direction) + slope_y * np.sin(direction)) * up * tilt
    shade = np.clip(rng.uniform(0.35, 0.6) + 0.55 * lit, 0.15, 1.35)
    shade *= 1 + 0.03 * image_noise(side, 1.0, 1.0, rng) + 0.05 * image_noise(side, 1.8, 1.0, rng)
    color = np.clip(tone * rng.uniform(0.75, 1.15), 0, 1) * shade[..., None]
    color[..., 1:] *= 1 - 0.06 * np.clip(1.2 - up, 0, 1)[..., None]  # edges are redder
    polish = random_color(rng, 0.2, 0.9, 1.0) if rng.random() < 0.3 else tone * np.array([1.15, 1.05, 1.05])
    if rng.random() < 0.6:
        seen = np.zeros((side, side), np.float32)
        for at, along, radius in nails:
            degrees = np.degrees(np.arctan2(along[1], along[0]))
            nail = ellipse(at + along * radius * 0.15, (radius * 0.75, radius * 0.5), degrees)
            seen = np.maximum(seen, cover((side, side), nail))
        seen = 0.7 * seen[..., None]
        color = color * (1 - seen) + seen * np.clip(polish, 0, 1) * shade[..., None]
    if rng.random() < 0.5:  # a sleeve
        step = wrist - elbow
        y, x = np.mgrid[:side, :side].astype(np.float32)
        share = ((x - elbow[0]) * step[0] + (y - elbow[1]) * step[1]) / max(float(step @ step), 1e-6)
        sleeve = (share < rng.uniform(0.75, 1.0))[..., None]
        color = np.where(sleeve, random_color(rng) * shade[..., None], color)
    return Layer(np.clip(color, 0, 1).astype(np.float32), alpha, LABEL["occluder"])
