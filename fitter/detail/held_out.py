"""How much of a surface is believed: as much as foretells photos that were held out.

A displacement that explains shadows, highlights or a light which the model of light cannot follow explains the photos
that it was found from, and no other one: where light comes from elsewhere the same dents shade otherwise. So the
surface is found from some of the photos, and what it adds to the shading of the others is held against what they show.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .patch import Patch
from .samples import PatchSample
from .shared_surface import SurfaceWeights, fit_light, shading, solve_surface, tilted, unsureness

_FOLDS = 4
_BROAD = 24.0  # mm: what is broader light explains as well
_PHOTOS = 2  # that a vertex has to be known from, to be asked in another one


def amplitude(patch: Patch, samples: Sequence[PatchSample], albedo: np.ndarray, weights: SurfaceWeights) -> float:
    """By what the displacement of some photos has to be multiplied to explain the others best: in [0, 1].

    Above 1 it is 1: that fewer photos leave more to the prior is no reason to exaggerate what all of them say.

    Args:
        patch: of N vertices. samples: of P >= 2 photos; a quarter of them is held out in turn.
        albedo: (N,) logarithms, and weights: as of `solve_surface`.
    """
    folds = min(len(samples), _FOLDS)
    agreeing = strength = 0.0
    for fold in range(folds):
        known = [sample for place, sample in enumerate(samples) if place % folds != fold]
        found = solve_surface(patch, known, albedo, weights, rounds=1)
        sure = np.minimum(sum(sample.weight for sample in known) / _PHOTOS, 1)
        for sample in samples[fold::folds]:
            light = fit_light(sample.luminance, sample.weight * patch.skin, found.albedo,
                              tilted(patch, found.displacement, sample.turn))  # fmt: skip
            shade, jacobian = shading(patch, np.zeros(patch.count), sample.turn, light)
            counted = sample.weight * patch.skin * sure
            left = fine(patch, sample.luminance - np.log(shade) - found.albedo, counted)
            foretold = fine(patch, jacobian @ found.displacement, counted)
            unsure = unsureness(patch, np.log(shade) + found.albedo, weights)
            counted = counted * patch.mass / unsure**2 / np.maximum(np.abs(left) / (2 * unsure), 1)
            agreeing += float((counted * foretold * left).sum())
            strength += float((counted * foretold**2).sum())
    return float(np.clip(agreeing / max(strength, 1e-12), 0, 1))


def fine(patch: Patch, values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """A field (N,) without what is broad, of which there is (N,) `weight`."""
    return values - patch.smoothed(values * weight, _BROAD) / np.maximum(patch.smoothed(weight, _BROAD), 1e-3)
