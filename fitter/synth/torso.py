"""Shoulders for a head model that ends at the neck, and what they wear."""

from __future__ import annotations

import numpy as np

from .backgrounds import noise_texture, random_color, sample_noise

# Rings of the body in the painting frame: height, half width, half depth, depth of the middle; mm.
_RINGS = ((-88, 52, 50, -4), (-108, 58, 54, -8), (-122, 78, 60, -12), (-136, 118, 68, -16), (-150, 158, 76, -18),
          (-172, 186, 86, -18), (-210, 200, 98, -16), (-290, 204, 108, -14), (-420, 206, 110, -12))  # fmt: skip
_AROUND = 48


def torso_mesh() -> tuple[np.ndarray, np.ndarray]:
    """(R * 48, 3) float32 vertices in the painting frame, and (F, 3) int64 faces."""
    angle = np.linspace(0, 2 * np.pi, _AROUND, endpoint=False)
    verts = [
        np.stack([half * np.sin(angle), np.full(_AROUND, y), middle + deep * np.cos(angle)], 1)
        for y, half, deep, middle in _RINGS
    ]
    faces = []
    for ring in range(len(_RINGS) - 1):
        a = ring * _AROUND + np.arange(_AROUND)
        b = ring * _AROUND + (np.arange(_AROUND) + 1) % _AROUND
        faces += [np.stack([a, a + _AROUND, b], 1), np.stack([b, a + _AROUND, b + _AROUND], 1)]
    return np.concatenate(verts).astype(np.float32), np.concatenate(faces).astype(np.int64)


def neckline(paint: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(S, S, 3) painting frame -> (S, S) bool: covered by clothes; crew necks, collars and deep necklines."""
    height = rng.uniform(-150, -92)
    slope = rng.uniform(0, 0.5) if height < -115 else rng.uniform(0, 0.1)
    vee = rng.uniform(0, 1.2) * np.clip(35 - np.abs(paint[..., 0]), 0, None) if rng.random() < 0.3 else 0
    return paint[..., 1] < height + slope * np.abs(paint[..., 0]) - vee * (paint[..., 2] > 0)


def paint_clothes(paint: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(S, S, 3) painting frame -> (S, S, 3) float32 reflectance of cloth: plain, striped, checked or patterned."""
    x, y = paint[..., 0], paint[..., 1]
    base, second = random_color(rng), random_color(rng)
    kind = rng.choice(["plain", "plain", "stripes", "checks", "pattern"])
    if kind == "stripes":
        share = np.sin((y if rng.random() < 0.6 else x) * rng.uniform(0.1, 0.6)) > rng.uniform(-0.5, 0.5)
    elif kind == "checks":
        period = rng.uniform(0.1, 0.5)
        share = (np.sin(x * period) > 0) ^ (np.sin(y * period) > 0)
    elif kind == "pattern":
        share = sample_noise(noise_texture(1.5, 12), x * 2, y * 2) > rng.uniform(-0.5, 1)
    else:
        share = np.zeros(x.shape, bool)
    folds = sample_noise(noise_texture(1.8, 13), x * 0.8 + rng.uniform(0, 512), y * 0.5)
    weave = sample_noise(noise_texture(0.2, 14), x * 4, y * 4)
    color = np.where(share[..., None], second, base) * (1 + 0.12 * folds + 0.04 * weave)[..., None]
    return np.clip(color, 0, 1).astype(np.float32)
