"""Noise textures and photo-like backgrounds, drawn by code: nothing here comes from a photo."""

from __future__ import annotations

import functools
import math

import numpy as np
from numba import njit

from ..geometry.convex_hull import convex_hull
from .brush import blurred, box, ellipse, paint, paint_stroke

NOISE_SIDE = 512


@functools.lru_cache(maxsize=128)  # 1 MB each
def noise_texture(exponent: float, seed: int = 0, stretch: float = 1.0) -> np.ndarray:
    """A tileable random texture whose amplitude falls with frequency as 1 / f^exponent.

    Args:
        exponent: 0 is white noise, 1 looks like skin, 2 like clouds.
        seed: of the texture.
        stretch: how much longer the grains are along the rows' direction (y) than across: strands for 8 and more.
    Returns:
        (512, 512) float32 of mean 0 and standard deviation 1.
    """
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft2(rng.standard_normal((NOISE_SIDE, NOISE_SIDE)))
    fy = np.fft.fftfreq(NOISE_SIDE)[:, None] * stretch
    fx = np.fft.rfftfreq(NOISE_SIDE)[None]
    frequency = np.hypot(fx, fy)
    frequency[0, 0] = 1.0
    spectrum *= frequency**-exponent
    spectrum[0, 0] = 0.0
    texture = np.fft.irfft2(spectrum, s=(NOISE_SIDE, NOISE_SIDE))
    return (texture / texture.std()).astype(np.float32)


def sample_noise(texture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The texture at (x, y) texels, repeated without end: float32 of the shape of x (2-D)."""
    x, y = np.broadcast_arrays(x, y)
    return _wrapped(texture, np.ascontiguousarray(x, np.float64), np.ascontiguousarray(y, np.float64))


@njit(cache=True)
def _wrapped(texture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear with repetition: scipy's map_coordinates takes ten times as long."""
    last = NOISE_SIDE - 1  # a power of two less one
    out = np.empty(x.shape, np.float32)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            left, top = math.floor(x[i, j]), math.floor(y[i, j])
            a, b = x[i, j] - left, y[i, j] - top
            x0, y0 = int(left) & last, int(top) & last
            x1, y1 = (x0 + 1) & last, (y0 + 1) & last
            upper = texture[y0, x0] * (1 - a) + texture[y0, x1] * a
            lower = texture[y1, x0] * (1 - a) + texture[y1, x1] * a
            out[i, j] = upper * (1 - b) + lower * b
    return out


def image_noise(size: int, exponent: float, grain: float, rng: np.random.Generator) -> np.ndarray:
    """(size, size) float32 noise of mean about 0 and deviation 1; `grain`: texels per pixel (smaller is coarser)."""
    exponent = round(exponent * 4) / 4  # few textures, each made once
    angle = rng.uniform(0, 2 * np.pi)
    c, s = np.cos(angle) * grain, np.sin(angle) * grain
    x0, y0 = rng.uniform(0, NOISE_SIDE, 2)
    row, column = np.ogrid[:size, :size]
    return sample_noise(
        noise_texture(exponent, int(rng.integers(4))), c * column - s * row + x0, s * column + c * row + y0
    )


def random_color(
    rng: np.random.Generator, low: float = 0.05, high: float = 0.95, saturation: float = 0.7
) -> np.ndarray:
    """(3,) float32 RGB; `saturation` in [0, 1] is the most there can be."""
    grey = rng.uniform(low, high)
    tint = rng.uniform(low, high, 3)
    return np.clip(grey + (tint - grey) * rng.uniform(0, saturation), 0, 1).astype(np.float32)


def draw_background(size: int, rng: np.random.Generator) -> np.ndarray:
    """A picture that could lie behind a head: plain walls, gradients, stripes, blurred rooms and leaves, clutter.

    Args:
        size: side in pixels.
        rng: of everything random.
    Returns:
        (size, size, 3) float32 RGB in [0, 1].
    """
    kinds = (_wall, _wall, _clouds, _stripes, _clutter, _clutter, _leaves, _bokeh, _room, _skin_tones)
    image = kinds[rng.integers(len(kinds))](size, rng)
    if rng.random() < 0.5:  # a light that falls off
        ramp = _ramp(size, rng) * rng.uniform(0.1, 0.5)
        image = image * (1 - ramp[..., None])
    sigma = rng.choice([0, 0.8, 2, 5])
    if sigma:
        image = blurred(image, sigma * size / 256)
    if rng.random() < 0.15:
        image = np.repeat(image.mean(2, keepdims=True), 3, 2)
    return np.clip(image, 0, 1).astype(np.float32)


def _ramp(size: int, rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    return np.clip(np.cos(angle) * x + np.sin(angle) * y + 0.5, 0, 1)


def _wall(size: int, rng: np.random.Generator) -> np.ndarray:
    low, high = random_color(rng), random_color(rng)
    if rng.random() < 0.6:
        high = np.clip(low + rng.normal(0, 0.08, 3), 0, 1)
    ramp = _ramp(size, rng)[..., None]
    image = low * (1 - ramp) + high * ramp
    return image + rng.uniform(0, 0.05) * image_noise(size, rng.uniform(0.3, 1.5), rng.uniform(0.3, 2), rng)[..., None]


def _clouds(size: int, rng: np.random.Generator) -> np.ndarray:
    share = 1 / (1 + np.exp(-2 * image_noise(size, rng.uniform(1.2, 2.2), rng.uniform(0.3, 1.5), rng)))[..., None]
    return random_color(rng) * share + random_color(rng) * (1 - share)


def _stripes(size: int, rng: np.random.Generator) -> np.ndarray:
    wave = _ramp(size, rng) * rng.uniform(3, 30) * 2 * np.pi
    bend = image_noise(size, 2.0, 0.5, rng) * rng.uniform(0, 1.5)
    share = (np.sin(wave + bend) > rng.uniform(-0.7, 0.7)).astype(np.float32)[..., None]
    return random_color(rng) * share + random_color(rng) * (1 - share)


def _clutter(size: int, rng: np.random.Generator) -> np.ndarray:
    """Overlapping boxes, discs and lines, the nearest in more detail."""
    image = _wall(size, rng).astype(np.float32)
    for _ in range(rng.integers(6, 40)):
        color = random_color(rng)
        x, y = (int(v) for v in rng.uniform(-0.1, 1.1, 2) * size)
        across, tall = (int(v) for v in rng.uniform(0.03, 0.4, 2) * size)
        kind = rng.integers(4)
        if kind == 0:
            paint(image, box((x, y), (across, tall), rng.uniform(-20, 20)), color)
        elif kind == 1:
            paint(image, ellipse((x, y), (across / 2 + 1, tall / 2 + 1), rng.uniform(0, 180)), color)
        elif kind == 2:
            end = (int(x + rng.normal(0, 0.4) * size), int(y + rng.normal(0, 0.4) * size))
            paint_stroke(image, np.array([(x, y), end]), int(rng.integers(1, max(2, size // 24))), color)
        else:
            corners = np.array([x, y]) + rng.normal(0, 0.12, (int(rng.integers(3, 7)), 2)) * size
            paint(image, convex_hull(corners), color)
    return image + 0.03 * image_noise(size, 0.8, 1.0, rng)[..., None]


def _leaves(size: int, rng: np.random.Generator) -> np.ndarray:
    base = np.array([rng.uniform(0.1, 0.5), rng.uniform(0.25, 0.7), rng.uniform(0.05, 0.35)], np.float32)
    light = image_noise(size, rng.uniform(0.8, 1.4), rng.uniform(0.5, 2), rng)[..., None]
    hue = image_noise(size, 1.5, 0.6, rng)[..., None]
    return base * np.clip(1 + 0.45 * light, 0.1, 2.2) + hue * np.array([0.05, 0.02, -0.02])


def _bokeh(size: int, rng: np.random.Generator) -> np.ndarray:
    image = np.ascontiguousarray(np.broadcast_to(random_color(rng, 0.02, 0.4), (size, size, 3)).astype(np.float32))
    for _ in range(rng.integers(8, 40)):
        centre, color = rng.uniform(0, 1, 2) * size, random_color(rng, 0.3, 1)
        radius = rng.uniform(0.01, 0.09) * size + 1
        light = np.zeros_like(image)
        paint(light, ellipse(centre, (radius, radius)), color)
        image = image + light * rng.uniform(0.2, 0.8)
    return image


def _room(size: int, rng: np.random.Generator) -> np.ndarray:
    """Wall, floor or window edges: large upright and level rectangles."""
    image = np.ascontiguousarray(_wall(size, rng).astype(np.float32))
    for _ in range(rng.integers(2, 9)):
        left, top = (rng.uniform(-0.2, 1, 2) * size).astype(int)
        right, bottom = (np.array([left, top]) + rng.uniform(0.1, 0.8, 2) * size).astype(int)
        color = random_color(rng, 0.05, 1.0, 0.4)
        image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = color
        if rng.random() < 0.5:
            edge = color * rng.uniform(0.3, 1.4)
            corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)])
            paint_stroke(image, corners, int(rng.integers(1, 6)), edge)
    return image + 0.03 * image_noise(size, 1.2, 1.0, rng)[..., None]


def _skin_tones(size: int, rng: np.random.Generator) -> np.ndarray:
    """Wood, sand, skin and hair colours behind the head: colour alone must not tell what a face is."""
    tone = np.array([0.75, 0.55, 0.42], np.float32) * rng.uniform(0.3, 1.25)
    share = image_noise(size, rng.uniform(0.8, 1.6), rng.uniform(0.4, 2), rng)[..., None]
    return np.clip(tone * (1 + rng.uniform(0.05, 0.3) * share), 0, 1)
