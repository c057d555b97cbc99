"""Lids that slide on the eyeball of another face as they do on the first one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HELD, FREE = 2.5, 6.0  # mm from the eyeball's surface: up to the first a vertex is held, from the second it is free


@dataclass(frozen=True)
class Socket:
    """What lies on one eyeball.

    Attributes:
        skin: (N,) vertices near it; share: (N,) in [0, 1], how much each is held.
        first, second: (3,) mm, centres of the eyeballs of the two faces.
    """

    skin: np.ndarray
    share: np.ndarray
    first: np.ndarray
    second: np.ndarray


def ball_centre(verts: np.ndarray, ball: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(3,) the point that an eyeball of vertices `ball` (N,) with weights (N,) turns about."""
    return weight @ verts[ball]


def socket(first: np.ndarray, second: np.ndarray, ball: np.ndarray, weight: np.ndarray, skin: np.ndarray) -> Socket:
    """Around the eyeball whose vertices are `ball`, with the weights (N,) that give its centre.

    Args:
        first, second: (V, 3) mm; skin: vertices among which to look.
    """
    centres = ball_centre(first, ball, weight), ball_centre(second, ball, weight)
    radius = np.median(np.linalg.norm(first[ball] - centres[0], axis=1))
    beyond = np.linalg.norm(first[skin] - centres[0], axis=1) - radius
    share = np.clip((FREE - np.abs(beyond)) / (FREE - HELD), 0, 1)
    near = share > 0
    return Socket(skin[near], share[near], *centres)


def held(place: Socket, first: np.ndarray, second: np.ndarray, shape: np.ndarray, carried: np.ndarray) -> np.ndarray:
    """(N, 3) mm to be added to the carried shape at `place.skin`: each vertex rises and sinks over the second face's
    eyeball by as much as over the first one's.

    Args:
        first, second: (V, 3) mm; shape, carried: (V, 3) mm displacements of them.
    """
    at = place.skin
    rise = np.linalg.norm(first[at] + shape[at] - place.first, axis=1) - np.linalg.norm(first[at] - place.first, axis=1)
    out = second[at] + carried[at] - place.second
    length = np.linalg.norm(out, axis=1)
    wanted = np.linalg.norm(second[at] - place.second, axis=1) + rise
    return (place.share * (wanted - length) / length)[:, None] * out
