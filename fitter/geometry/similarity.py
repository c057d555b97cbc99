"""Similarity transforms between point sets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Similarity:
    """x -> scale * rotation @ x + translation.

    Attributes:
        scale: units of the target per unit of the source.
        rotation: (3, 3). translation: (3,) in the target's unit.
    """

    scale: float
    rotation: np.ndarray
    translation: np.ndarray

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) source -> (N, 3) target."""
        return self.scale * points @ self.rotation.T + self.translation

    def inverse(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) target -> (N, 3) source."""
        return (points - self.translation) @ self.rotation / self.scale


def fit_similarity(
    source: np.ndarray, target: np.ndarray, *, scale: bool, weights: np.ndarray | None = None
) -> Similarity:
    """The least-squares motion that takes one point set to another.

    Args:
        source, target: (N, 3), point n of one belongs to point n of the other; any unit.
        scale: whether the size may change.
        weights: (N,) not negative, of any sum. Default: all 1.
    Source: Umeyama 1991, eq. 34 to 42, weighted.
    """
    weights = np.ones(len(source)) if weights is None else weights
    weights = weights / weights.sum()
    source_mean, target_mean = weights @ source, weights @ target
    a, b = source - source_mean, target - target_mean
    left, singular, right = np.linalg.svd(b.T @ (weights[:, None] * a))
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])  # a rotation, not a reflection
    rotation = left @ np.diag(sign) @ right
    size = float((singular * sign).sum() / (weights @ (a * a).sum(1))) if scale else 1.0
    return Similarity(size, rotation, target_mean - size * rotation @ source_mean)
