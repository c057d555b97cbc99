"""The light of a photograph: a key light with its shadows, a sky of spherical harmonics, and gloss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..render.harmonics import SH0, sh_basis
from .heads import turn

LIGHTS = ("any", "soft", "lamp", "back")


@dataclass(frozen=True)
class Light:
    """What shines on a head; camera space.

    Attributes:
        rotation: (3, 3) camera space -> space in which the key light looks along -z; its last row points to the light.
        key: strength of the key light, and warmth (3,): its colour.
        sky: strength of the sky, and sh (9, 3): its coefficients, bands 0 to 2.
        power, shine: exponent and strength of the gloss.
        contrast: exponent of the finished picture.
    """

    rotation: np.ndarray
    key: float
    warmth: np.ndarray
    sky: float
    sh: np.ndarray
    power: float
    shine: float
    contrast: float


def light_direction(rng: np.random.Generator, kind: str = "any") -> np.ndarray:
    """(3, 3) rotation of a random key light, see Light.rotation; "back" shines from behind the head."""
    rotation = turn(rng.uniform(-1.7, 1.7), rng.uniform(-0.5, 1.1), 0.0)
    if kind == "back":
        rotation = turn(np.copysign(rng.uniform(2.2, 2.9), rng.normal()), rng.uniform(0.0, 0.6), 0.0)
    return rotation


def random_light(rotation: np.ndarray, rng: np.random.Generator, kind: str = "any") -> Light:
    """Of LIGHTS: "soft" is a bright sky, "lamp" a strong key light, "back" one from behind, "any" soft or lamp."""
    hard = rng.random() < 0.25
    hard = hard if kind == "any" else kind != "soft"
    key = rng.uniform(0.6, 1.1) if hard else rng.uniform(0, 0.6)
    warmth = 1 + rng.normal(0, 0.08) * np.array([1, 0, -1], np.float32)
    sky = rng.uniform(0.12, 0.35) if hard else rng.uniform(0.45, 0.9)
    sh = np.zeros((9, 3), np.float32)
    sh[0] = 1 / SH0
    sh[1:4] = rng.normal(0, 0.35, (3, 1)) + rng.normal(0, 0.05, (3, 3))
    sh[1] += 0.3
    sh[4:] = rng.normal(0, 0.12, (5, 1))
    power = rng.uniform(8, 60)
    return Light(rotation, key, warmth, sky, sh, power, rng.uniform(0, 0.25), rng.uniform(0.85, 1.1))


def lit(
    albedo: np.ndarray, normal: np.ndarray, gloss: np.ndarray, openness: np.ndarray, shadow: np.ndarray, light: Light
) -> np.ndarray:
    """(S, S, 3) colours under the light.

    Args:
        albedo: (S, S, 3) sRGB-encoded reflectance. normal: (S, S, 3) unit, camera space.
        gloss, openness, shadow: (S, S): how it shines, how much of the sky it sees, 0 where no key light comes.
    """
    to_light = light.rotation[2]
    cosine = np.clip(normal @ to_light, 0, 1) * shadow
    basis = sh_basis(torch.from_numpy(np.ascontiguousarray(normal))).numpy()
    ambient = np.clip(basis @ light.sh, 0.1, None) * light.sky * (0.3 + 0.7 * openness[..., None])
    half = to_light + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half)
    shine = np.clip(normal @ half, 0, 1) ** light.power * gloss * shadow * light.shine
    key = light.key * light.warmth * cosine[..., None]
    color = albedo * (ambient + key) + (shine * (0.3 + light.key))[..., None] * light.warmth
    return color**light.contrast
