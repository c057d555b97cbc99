"""Expressions by name: what data sets of photos hardly have, closed eyes, winks, open mouths, frowns.

Source: Wang et al. 2024, sec. 3.5 (closed eyes, open mouth and frown are what they synthesise).
"""

from __future__ import annotations

import numpy as np

from .people import random_expression

NAMED = ("any", "neutral", "closed-eyes", "wink", "open-mouth", "frown", "smile")

# What each has of its own: the face units that begin so are not left to chance.
_REGION = {
    "closed-eyes": ("eye",),
    "wink": ("eye", "cheekSquint"),
    "open-mouth": ("mouth", "jaw", "cheek", "tongue"),
    "frown": ("mouth", "jaw", "cheek", "brow", "tongue"),
    "smile": ("mouth", "jaw", "cheek", "tongue"),
}
# Lowest and highest activation of its units, both sides alike; 0 now and then where the lowest is below.
_UNITS: dict[str, dict[str, tuple[float, float]]] = {
    "closed-eyes": {"eyeBlink": (0.92, 1.0)},
    "wink": {},
    "open-mouth": {"jawOpen": (0.4, 1.0), "mouthLowerDown": (-0.4, 0.6), "mouthUpperUp": (-0.4, 0.5)},
    "frown": {"mouthFrown": (0.6, 1.0), "browDown": (0.5, 1.0), "mouthShrugLower": (-0.4, 0.5)},
    "smile": {"mouthSmile": (0.5, 1.0), "cheekSquint": (-0.3, 0.7), "jawOpen": (-0.3, 0.3)},
}
_MOVED = 0.5  # share of photographs in which the rest of the face moves too


def has_units(names: tuple[str, ...]) -> bool:
    """Whether a model's expressions are the face units of ARKit, as far as they are needed here."""
    return {"jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "mouthSmileLeft", "browDownLeft"} <= set(names)


def check_expressions(wanted: tuple[str, ...], names: tuple[str, ...], where: str) -> None:
    """Refuse what a model cannot do.

    Raises:
        ValueError: neither one of NAMED nor one of the model's own `names`; or the model has other units than ARKit's.
    """
    for name in wanted:
        if name in ("any", "neutral") or name in names:
            continue
        if name not in NAMED:
            raise ValueError(f"expression {name!r}; accepted: {', '.join(NAMED)}, or units of {where}")
        if not has_units(names):
            raise ValueError(f"expression {name!r}: {where} has no face units of ARKit; accepted: any, neutral")


def drawn_expression(
    wanted: str, names: tuple[str, ...], activation: bool, gaze: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """(E,) float32 coefficients of a model's expressions.

    Args:
        wanted: of NAMED, or of `names`: that unit, and little else.
        names: of the model's expressions. activation: whether they are activations in [0, 1] or standard deviations.
        gaze: (2,) yaw and pitch in radians, which the lids follow.
    """
    if wanted == "neutral":
        return np.zeros(len(names), np.float32)
    if wanted in names:
        return np.array([(name == wanted) * rng.uniform(0.5, 1.0) for name in names], np.float32)
    if not has_units(names):
        drawn = rng.uniform(-0.6, 0.6, len(names)).clip(0, 1) if activation else rng.normal(0, 0.7, len(names))
        return drawn.clip(-2, 2).astype(np.float32)
    anything = random_expression(names, gaze, rng)
    if wanted != "any":
        moved = rng.random() < _MOVED
        anything = {
            name: value for name, value in anything.items() if moved and not name.startswith(_REGION[wanted])
        } | _named(wanted, names, rng)
    return np.array([anything.get(name, 0.0) for name in names], np.float32)


def with_expression(
    wanted: str, names: tuple[str, ...], expression: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """(E,) activations with the region of one of NAMED (but any and neutral) given over to it, the rest as it was."""
    units = _named(wanted, names, rng)
    return np.array(
        [
            units.get(name, 0.0 if name.startswith(_REGION[wanted]) else value)
            for name, value in zip(names, expression, strict=True)
        ],
        np.float32,
    )


def _named(wanted: str, names: tuple[str, ...], rng: np.random.Generator) -> dict[str, float]:
    if wanted == "wink":
        side = str(rng.choice(["Left", "Right"]))
        found = {f"eyeBlink{side}": rng.uniform(0.95, 1.0), f"cheekSquint{side}": rng.uniform(0.2, 0.8)}
    else:
        found = {}
        for stem, (low, high) in _UNITS[wanted].items():
            strength = max(0.0, rng.uniform(low, high))
            found |= {stem + side: strength for side in ("", "Left", "Right")}
    return {name: float(value) for name, value in found.items() if name in names}
