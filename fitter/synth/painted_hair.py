"""Hair of rendered heads: a hairline in the painting frame, a shell of some thickness over it, and strands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..anatomy.parts import LABEL
from ..compute.smoothstep import smoothstep
from ..observe.segment.morphology import shrink
from .backgrounds import noise_texture, sample_noise
from .brush import blurred, paint_stroke, slopes
from .heads import SKIN, Head

# Degrees around the head's upright axis, 0 in front; the hairline's height in mm there, by style.
_ANGLES = (0, 30, 50, 62, 74, 90, 106, 114, 130, 180)
_LINES = {
    "cropped": (98, 97, 78, 48, 22, 46, 40, 10, -25, -35),
    "receding": (122, 104, 84, 52, 30, 48, 42, 12, -20, -30),
    "high": (118, 112, 95, 70, 55, 58, 56, 45, 30, 20),
    "over_ears": (92, 92, 72, 40, -5, -5, -10, -25, -45, -55),
    "bob": (94, 92, 70, 25, -45, -60, -65, -70, -75, -80),
    "long": (96, 93, 72, 30, -75, -105, -120, -130, -135, -140),
    "fringe": (64, 64, 58, 40, 10, 20, 10, 0, -35, -45),
    "fringe_long": (62, 61, 55, 20, -70, -100, -120, -130, -135, -140),
}
_THICKNESS = {
    "cropped": (1, 16), "receding": (1, 8), "high": (2, 25), "over_ears": (8, 26), "bob": (10, 35), "long": (8, 30),
    "fringe": (6, 22), "fringe_long": (8, 28),
}  # fmt: skip


@dataclass(frozen=True)
class Hairstyle:
    """line: (10,) mm by _ANGLES; thickness: mm of the shell, 0 is painted on the skin; color: (3,)."""

    line: np.ndarray
    side: float
    thickness: float
    jag: float
    curl: float
    wet: float
    covers_ears: bool
    color: np.ndarray
    start: tuple[float, float]


def random_hairstyle(color: np.ndarray, rng: np.random.Generator) -> Hairstyle | None:
    """Any style, None for the bald."""
    if rng.random() < 0.1:
        return None
    name = str(rng.choice(list(_LINES), p=[0.3, 0.08, 0.08, 0.14, 0.1, 0.12, 0.1, 0.08]))
    line = np.array(_LINES[name], np.float32) + rng.normal(0, 4) + rng.normal(0, 3, len(_ANGLES))
    thickness = rng.uniform(*_THICKNESS[name])
    if rng.random() < 0.06:
        thickness = rng.uniform(30, 60)  # afro
    if name in ("cropped", "receding", "high") and rng.random() < 0.35:
        thickness = 0.0
    covers = name in ("over_ears", "bob", "long", "fringe_long")
    return Hairstyle(
        line, float(rng.normal(0, 8)), float(thickness), float(rng.uniform(0.5, 4)), float(rng.random() < 0.3),
        float(rng.uniform(0, 1)), covers, color, (float(rng.uniform(0, 512)), float(rng.uniform(0, 512))),
    )  # fmt: skip


def draw_wisps(image: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Thin hairs that stand out over the outline of the hair; too thin to be labelled.

    Args:
        image: (S, S, 3) float32; labels: (S, S).
    Returns:
        (S, S, 3) float32.
    """
    size = image.shape[0]
    hair = labels == LABEL["hair"]
    edge = np.argwhere(hair & ~shrink(hair, 1.5))
    if len(edge) < 20:
        return image
    slope_x, slope_y = slopes(blurred(hair.astype(np.float32), 4))
    drawn = image.copy()
    length = size * rng.uniform(0.01, 0.06)
    droop = rng.uniform(-0.3, 0.8)
    for row, column in edge[rng.integers(0, len(edge), int(rng.integers(20, 150)))]:
        away = -np.array([slope_x[row, column], slope_y[row, column]])
        away = away / max(float(np.hypot(*away)), 1e-6)
        along = away * rng.uniform(0.2, 1) + np.array([-away[1], away[0]]) * rng.normal(0, 0.7)
        step = length * rng.uniform(0.3, 1) * along
        start = np.array([column, row]) - step * 0.3
        points = np.stack([start, start + 0.5 * step, start + step + [0, droop * length * rng.uniform(0, 1)]])
        paint_stroke(drawn, points + 0.5, 1, image[row, column] * rng.uniform(0.6, 1.3))
    return image + (np.clip(drawn, 0, 1) - image) * np.float32(rng.uniform(0.3, 0.9))


def hair_height(paint: np.ndarray, style: Hairstyle) -> np.ndarray:
    """(..., 3) painting frame -> (...) mm above the hairline, without its jags; `side` lifts one side's fringe."""
    angle = np.degrees(np.arctan2(paint[..., 0], paint[..., 2] - 10))
    line = np.interp(np.abs(angle), _ANGLES, style.line)
    line = line + style.side * np.sign(angle) * np.clip(1 - np.abs(angle) / 60, 0, 1) * np.clip(np.abs(angle) / 8, 0, 1)
    return (paint[..., 1] - line).astype(np.float32)


def hair_shell(head: Head, verts: np.ndarray, style: Hairstyle) -> tuple[np.ndarray, np.ndarray]:
    """The hair's outer surface.

    Returns:
        (V, 3) mm, and the faces of `head.faces` it consists of, as indices.
    """
    height = hair_height(head.paint, style)
    up = np.clip((head.paint[:, 1] - 40) / 40, 0, 1)
    outward = np.stack([head.paint[:, 0], up * (head.paint[:, 1] - 40), head.paint[:, 2] - 5], 1)
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-3)
    angle = np.arctan2(head.paint[:, 0], head.paint[:, 2] - 20)
    grain = 0.35 if style.curl else 0.12
    lumps = sample_noise(
        noise_texture(1.6, 9), (angle * 85 * 6 * grain + style.start[0])[:, None],
        (head.paint[:, 1] * 6 * grain + style.start[1])[:, None],
    )[:, 0]  # fmt: skip
    rise = smoothstep(height / max(8.0, style.thickness))
    offset = np.where(height > 0, 0.6 + style.thickness * rise * np.clip(1 + 0.35 * lumps, 0.3, 2), -2.0)
    if not style.covers_ears:
        offset = np.where(head.ear > 0.05, -2.0, offset)
    grown = (height > -8) & (head.eyeball == 0)
    chosen = np.flatnonzero(grown[head.faces].any(1) & (head.kind == SKIN))
    return verts + outward.astype(np.float32) * offset[:, None].astype(np.float32), chosen


def paint_hair(paint: np.ndarray, style: Hairstyle, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Strands.

    Args:
        paint: (S, S, 3) painting frame.
    Returns:
        (S, S, 3) float32 reflectance, and (S, S) float32 height above the jagged hairline in mm.
    """
    angle = np.arctan2(paint[..., 0], paint[..., 2] - 20)
    around, along = angle * 85, paint[..., 1]
    bend = sample_noise(noise_texture(2.0, 1), around * 1.5, along * 1.5 + style.start[0]) * (6 if style.curl else 2)
    strands = sample_noise(
        noise_texture(0.8, 10, 3.0 if style.curl else 12.0),
        (around + bend) * 2.5 + style.start[0],
        along * 1.5,
    )
    locks = sample_noise(noise_texture(1.6, 11, 6.0), (around + bend) * 0.9 + style.start[1], along)
    light = np.clip(1 + 0.28 * strands + 0.18 * locks, 0.25, 2.2)
    shine = np.clip(np.sin(along * 0.05 + style.start[0]), 0, 1) ** 6 * style.wet * 0.25 * np.clip(0.5 + strands, 0, 2)
    color = style.color * light[..., None] + shine[..., None] * (0.3 + style.color)
    if style.color.mean() < 0.3 and rng.random() < 0.15:  # greying
        color = color + np.clip(strands - 0.8, 0, 1)[..., None] * 0.5
    height = hair_height(paint, style) + style.jag * (strands + locks) * 0.7
    return np.clip(color, 0.005, 1).astype(np.float32), height
