"""Random people to photograph: shape, expression, gaze, pose. Numbers only; nothing is drawn here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .heads import Head


@dataclass(frozen=True)
class Person:
    """identity (I,) deviations, expression by ARKit name, gaze (2, 2) radians, pose: yaw, pitch, roll in radians."""

    identity: np.ndarray
    expression: dict[str, float]
    gaze: np.ndarray
    pose: tuple[float, float, float]
    focal: float  # in sides of the photo


def random_person(head: Head, rng: np.random.Generator) -> Person:
    """Anyone: yaw to 70 degrees, eyes closed or wide, mouth shut, smiling or wide open."""
    count = len(head.identity)
    strength = rng.uniform(0.5, 1.1)
    identity = np.clip(rng.standard_normal(count) * strength, -2.2, 2.2)
    yaw = np.radians(70) * np.sign(rng.standard_normal()) * rng.beta(1.0, 1.7)
    pitch = np.radians(np.clip(rng.normal(0, 11), -28, 28))
    roll = np.radians(np.clip(rng.normal(0, 10), -35, 35))
    gaze = np.radians([rng.normal(0, 14), rng.normal(0, 8)]).clip(-0.55, 0.55)
    pair = np.stack([gaze, gaze]) + np.radians(rng.normal(0, 1.5, (2, 2)))
    expression = random_expression(head.expression_names, gaze, rng)
    return Person(identity, expression, pair, (yaw, pitch, roll), float(rng.uniform(1.6, 6.0)))


def random_expression(names: tuple[str, ...], gaze: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """Activations in [0, 1] by name; lids follow the gaze."""
    out: dict[str, float] = {}

    def both(stem: str, amount: float, spread: float = 0.15) -> None:
        for side in ("Left", "Right", ""):
            name = stem + side
            if name in names:
                value = amount * (1 + rng.normal(0, spread))
                out[name] = float(np.clip(max(out.get(name, 0.0), value), 0, 1))

    down = max(0.0, -gaze[1]) / 0.5
    both("eyeLookDown", down, 0.0)
    both("eyeLookUp", max(0.0, gaze[1]) / 0.5, 0.0)
    kinds = ["rest", "smile", "open", "wide", "pucker", "press", "random"]
    mouth = rng.choice(kinds, p=[0.2, 0.2, 0.2, 0.1, 0.07, 0.05, 0.18])
    if mouth == "smile":
        both("mouthSmile", rng.uniform(0.3, 1.0))
        both("cheekSquint", rng.uniform(0, 0.8))
        both("jawOpen", rng.uniform(0, 0.35) if rng.random() < 0.6 else 0.0)
        both("mouthUpperUp", rng.uniform(0, 0.6))
        both("mouthLowerDown", rng.uniform(0, 0.5))
    elif mouth in ("open", "wide"):
        both("jawOpen", rng.uniform(0.15, 0.6) if mouth == "open" else rng.uniform(0.6, 1.0))
        both("mouthUpperUp", rng.uniform(0, 0.7))
        both("mouthLowerDown", rng.uniform(0, 0.7))
        both("mouthFunnel", rng.uniform(0, 0.5) if rng.random() < 0.4 else 0.0)
        both("mouthStretch", rng.uniform(0, 0.6) if rng.random() < 0.4 else 0.0)
    elif mouth == "pucker":
        both("mouthPucker", rng.uniform(0.3, 1.0))
        both("mouthFunnel", rng.uniform(0, 0.7))
    elif mouth == "press":
        both("mouthPress", rng.uniform(0.3, 1.0))
        both("mouthRollLower", rng.uniform(0, 0.8))
        both("mouthRollUpper", rng.uniform(0, 0.8))
    elif mouth == "random":
        for name in rng.choice([n for n in names if n.startswith(("mouth", "jaw", "cheek", "nose"))], 5, replace=False):
            out[str(name)] = float(rng.uniform(0, 0.8))
    eyes = rng.random()
    if eyes < 0.14:
        both("eyeBlink", rng.uniform(0.85, 1.0), 0.03)
    elif eyes < 0.26:
        both("eyeBlink", rng.uniform(0.2, 0.85))
    elif eyes < 0.33:
        side = rng.choice(["Left", "Right"])
        out["eyeBlink" + side] = float(rng.uniform(0.7, 1.0))
        out["cheekSquint" + side] = float(rng.uniform(0.2, 0.8))
    elif eyes < 0.48:
        both("eyeWide", rng.uniform(0.3, 1.0))
    elif eyes < 0.62:
        both("eyeSquint", rng.uniform(0.3, 1.0))
    brows = rng.random()
    if brows < 0.2:
        both("browDown", rng.uniform(0.3, 1.0))
    elif brows < 0.45:
        both("browInnerUp", rng.uniform(0.2, 1.0))
        both("browOuterUp", rng.uniform(0, 1.0))
    if rng.random() < 0.1:
        both("noseSneer", rng.uniform(0.3, 1.0))
    if rng.random() < 0.1:
        both("cheekPuff", rng.uniform(0.3, 0.9))
    return {name: value for name, value in out.items() if value > 0.01}
