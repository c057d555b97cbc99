"""Hair before the face: fringes, locks along the cheeks, single strands; labelled hair where they hide the face."""

from __future__ import annotations

import numpy as np

from ..anatomy.parts import LABEL
from .backgrounds import image_noise
from .brush import blurred, lay, stroke_cover
from .occluder_layer import FaceFrame, Layer, bezier, own_hair, soften
from .painted_skin import hair_color

_SHADES = 8


def draw_hair(image: np.ndarray, labels: np.ndarray, frame: FaceFrame, rng: np.random.Generator) -> Layer:
    """One arrangement of curved strands from the hairline."""
    kind = rng.choice(["fringe", "side", "lock", "strands", "curtain"], p=[0.3, 0.25, 0.2, 0.1, 0.15])
    draw = {"fringe": _fringe, "side": _side, "lock": _lock, "strands": _strands, "curtain": _curtain}[str(kind)]
    guides = draw(frame, rng)
    color = own_hair(image, labels, rng)
    if color is None or rng.random() < 0.25:
        color = hair_color(rng)
    side = frame.side
    paint: np.ndarray = np.empty((side, side, 3), np.float32)
    paint[:] = color
    thin = kind == "strands"
    wide = frame.size * (rng.uniform(0.003, 0.007) if thin else rng.uniform(0.004, 0.013))
    spread = rng.uniform(0.15, 0.45)
    mask = stroke_cover((side, side), guides, wide)
    # by a few shades at once, each next over the last: a call per strand would take longer than all else
    for first in range(_SHADES):
        shade = float(np.clip(1 + rng.normal(0, spread), 0.3, 1.9))
        share = stroke_cover((side, side), guides[first::_SHADES], wide)
        lay(paint, share, np.clip(color * shade, 0, 1))
    paint = blurred(paint, 0.6) * (1 + 0.08 * image_noise(side, 1.8, 1.0, rng))[..., None]
    return Layer(np.clip(paint, 0, 1), soften(mask, 0.45), LABEL["hair"])


def _bundle(roots: np.ndarray, guide: np.ndarray, count: int, jitter: float, rng: np.random.Generator) -> list:
    """Strands like `guide` (4, 2) offsets from roots; `jitter` in pixels grows towards the tips."""
    out = []
    for root in roots[rng.integers(0, len(roots), count)]:
        offset = guide * rng.uniform(0.8, 1.1) + rng.normal(0, jitter, (4, 2)) * np.array([[0.3], [0.5], [0.8], [1]])
        out.append(bezier(root + offset, 14))
    return out


def _fringe(frame: FaceFrame, rng: np.random.Generator) -> list:
    """Straight or swept across the forehead, down to the brows or the eyes."""
    count = int(rng.integers(110, 280))
    length = rng.uniform(0.28, 0.54) * frame.size
    sweep = rng.normal(0, 0.12) * frame.size
    left, right = frame.reach()
    if rng.random() < 0.3:
        left, right = sorted(rng.uniform(left, right, 2))
    across = np.linspace(left, right, count)
    height = -0.68 - 0.06 * np.cos(across * 2.5) + rng.normal(0, 0.015, count)
    roots = np.stack([frame.at(x, y) for x, y in zip(across, height, strict=True)])
    bow = rng.normal(0, 0.05) * frame.size
    guide = np.stack([0 * frame.down, length * 0.35 * frame.down + bow * frame.right,
                      length * 0.7 * frame.down + (0.5 * sweep + bow) * frame.right,
                      length * frame.down + sweep * frame.right])  # fmt: skip
    out = []
    for root, x in zip(roots, across, strict=True):
        share = 1 - 0.35 * abs(x) * rng.uniform(0, 1)
        strand = guide * share * rng.uniform(0.85, 1.08) + rng.normal(0, 0.012, (4, 2)) * frame.size
        out.append(bezier(root + strand, 12))
    return out


def _side(frame: FaceFrame, rng: np.random.Generator) -> list:
    """From a parting on one side over forehead and temple, down past the other cheek."""
    sign = rng.choice([-1.0, 1.0])
    start = frame.at(-sign * rng.uniform(0.0, 0.25), -0.62)
    end = np.array([sign * rng.uniform(0.38, 0.55), rng.uniform(-0.1, 0.7)])
    roots = start + rng.normal(0, 0.05, (60, 2)) * frame.size
    guide = np.stack([np.zeros(2), frame.at(sign * 0.25, -0.52) - start, frame.at(sign * 0.45, -0.3) - start,
                      frame.at(*end) - start])  # fmt: skip
    return _bundle(roots, guide, int(rng.integers(90, 260)), 0.045 * frame.size, rng)


def _lock(frame: FaceFrame, rng: np.random.Generator) -> list:
    """One lock that falls into the face."""
    x = rng.uniform(*frame.reach()) * 0.85
    start = frame.at(x, -0.66)
    wave = rng.normal(0, 0.15, 2)
    stop = rng.uniform(-0.1, 0.6)
    guide = np.stack([np.zeros(2), frame.at(x + wave[0], -0.3) - start, frame.at(x + wave[1], 0.0) - start,
                      frame.at(x + rng.normal(0, 0.12), stop) - start])  # fmt: skip
    roots = start + np.linspace(-1, 1, 40)[:, None] * frame.right * frame.size * rng.uniform(0.01, 0.05)
    return _bundle(roots, guide, int(rng.integers(30, 110)), 0.02 * frame.size, rng)


def _strands(frame: FaceFrame, rng: np.random.Generator) -> list:
    """A few thin hairs anywhere."""
    out = []
    for _ in range(int(rng.integers(4, 24))):
        x = rng.uniform(-0.5, 0.5)
        points = [(x, -0.6), (x + rng.normal(0, 0.2), -0.2), (x + rng.normal(0, 0.2), 0.1)]
        points.append((x + rng.normal(0, 0.25), rng.uniform(-0.1, 0.7)))
        out.append(bezier(np.stack([frame.at(*p) for p in points]), 18))
    return out


def _curtain(frame: FaceFrame, rng: np.random.Generator) -> list:
    """Long hair on both sides of the face, over the cheeks and the ears."""
    out = []
    edges = {-1.0: frame.reach()[0], 1.0: frame.reach()[1]}
    inner = rng.uniform(-0.14, 0.02)
    stop = rng.uniform(0.4, 1.1)
    for sign in rng.choice([-1.0, 1.0], int(rng.integers(1, 3)), replace=False).tolist():
        for _ in range(int(rng.integers(90, 220))):
            x = edges[sign] + sign * (inner + rng.uniform(0, 0.2))
            points = [(edges[sign] * rng.uniform(0.05, 0.4), -0.68), (x + rng.normal(0, 0.03), -0.5)]
            points += [(x + rng.normal(0, 0.04), 0.0), (x + rng.normal(0, 0.05), stop * rng.uniform(0.8, 1.1))]
            out.append(bezier(np.stack([frame.at(*p) for p in points]), 16))
    return out
