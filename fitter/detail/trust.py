"""Whether photos can tell shape from paint: how far their lights differ.

Displacement and albedo explain one picture equally well; only light from elsewhere tells them apart. Two arrangements
look like many lights and are one: a lamp that turns with the head, and a room in which the head turns. Each is a
hypothesis that can be tested without any surface: one light, fixed to the head or to the camera, with an exposure for
each photo, against a light for each photo. What the one light leaves more is the `diversity` of the lights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..compute.smoothstep import smoothstep
from ..render.harmonics import sh_basis
from .patch import Patch
from .samples import PatchSample
from .shared_surface import SurfaceWeights, fit_light, tilted

# Diversity up to which photos say as little as those of one light, and from which all is believed. Measured on renders
# of two scans, 8 and 4 photos: light from elsewhere in each .129 to .186 (one set of four .061); a room in which the
# head turns 0 to .038; light fixed to the head 0 to .017.
_SAME, _DIVERSE = 0.045, 0.10

# What of a displacement is believed where lights do not tell it from paint: not nothing, for skin is smooth and paint
# has edges of colour. Ten rendered people of another head model, whose true surface is known, say how much: in one
# room the true displacement is .59 and .48 times the one that is found, under one light fixed to the head .48 and .34,
# of pairs of photos .44 and .38, in the bands of 3 to 6 and 6 to 12 mm (least squares; they correlate by .15 to .39).
# It is the least of these less its standard deviation over draws of the people, .34 - .13. More cautious weights in its
# place (displacement .15, albedo and noise .2) find less that is true: what is shape becomes paint, and what they find
# correlates by .05 to .27.
_ONE_LIGHT = 0.2

# Photos that are believed no more than one light, and from how many lights alone decide: two lights leave one direction
# of the normals to the priors (of eight pairs one got worse by .05 mm with all that was found).
_FEW, _ENOUGH = 2, 4

# Residual of a light for each photo (log luminance) from which on nothing is believed: the photos are not of this
# surface, or not of skin. The same renders, with highlights and a tone curve among them, have .08 to .22.
_UNEXPLAINED = 0.35

_HUBER = 0.15  # of log luminance: beyond, residuals count linearly
_CHANCE = 0.3  # photos' worth of belief in the fitted albedo, when a vertex takes the mean of what the photos say
_ROUNDS = 2

FULL = SurfaceWeights()


@dataclass(frozen=True)
class Trust:
    """How far the photos are believed.

    Attributes:
        photos: how many show the patch. residual: of log luminance, under a light for each photo.
        diversity: of log luminance; see the module.
        share: 0 where they have one light to 1 where each has its own; None: the surface stays as it is.
    """

    photos: int
    residual: float
    diversity: float
    share: float | None

    @property
    def believed(self) -> float:
        """What the displacement that they tell of is multiplied by: the mean of what it is worth with lights that tell
        it from paint and with one that does not."""
        return 0.0 if self.share is None else self.share + (1 - self.share) * _ONE_LIGHT

    @property
    def diverse(self) -> bool:
        """Whether the lights differ enough to tell more than what a single one does."""
        return self.share is not None and self.share >= 0.5


def trust(patch: Patch, samples: Sequence[PatchSample], albedo: np.ndarray) -> Trust:
    """How far the samples of P photos are to be believed.

    Args:
        albedo: (N,) logarithm of the luminance of the fitted albedo.
    """
    used = [sample for sample in samples if (sample.weight * patch.skin).sum() > 0.05 * patch.skin.sum()]
    if len(used) < 2:
        return Trust(len(used), float("nan"), 0.0, None)
    rest = np.zeros(patch.count)
    in_camera = [tilted(patch, rest, sample.turn) for sample in used]
    in_head = [normals @ _rotation(sample) for normals, sample in zip(in_camera, used, strict=True)]
    each = _residual(patch, used, albedo, in_camera, common=False)
    one = min(_residual(patch, used, albedo, normals, common=True) for normals in (in_camera, in_head))
    diversity = float(np.sqrt(max(one**2 - each**2, 0.0)))
    share = float(smoothstep((diversity - _SAME) / (_DIVERSE - _SAME)))
    share *= float(smoothstep((len(used) - _FEW) / (_ENOUGH - _FEW)))
    return Trust(len(used), each, diversity, None if each > _UNEXPLAINED else share)


def _rotation(sample: PatchSample) -> np.ndarray:
    """(3, 3) the head's own turn among those of its vertices, which expressions move."""
    left, _, right = np.linalg.svd(np.average(sample.turn, axis=0, weights=sample.weight + 1e-9))
    return left @ right


def _residual(
    patch: Patch, samples: Sequence[PatchSample], albedo: np.ndarray, normals: Sequence[np.ndarray], common: bool
) -> float:
    """What one light (`common`), or one for each photo, leaves of the log luminances: robust RMS."""
    seen = np.stack([sample.luminance for sample in samples])
    weight = np.stack([sample.weight * patch.skin for sample in samples])
    basis = [sh_basis(torch.from_numpy(normal)).numpy() for normal in normals]
    for last in (*[False] * (_ROUNDS - 1), True):
        if common:
            shade = _one_light(seen, weight, albedo, normals, basis)
        else:
            lights = [
                fit_light(row, counted, albedo, normal)
                for row, counted, normal in zip(seen, weight, normals, strict=True)
            ]
            shade = np.stack([_log(b @ light) for b, light in zip(basis, lights, strict=True)])
        left = seen - shade - albedo
        if not last:  # each vertex its own paint
            counted = weight / np.maximum(np.abs(left) / (2 * FULL.noise), 1)
            albedo = albedo + (counted * left).sum(0) / (counted.sum(0) + _CHANCE)
    off = np.abs(left)
    huber = np.where(off < _HUBER, off**2, 2 * _HUBER * off - _HUBER**2)
    return float(np.sqrt((weight * huber).sum() / weight.sum()))


def _one_light(
    seen: np.ndarray, weight: np.ndarray, albedo: np.ndarray, normals: Sequence[np.ndarray], basis: Sequence[np.ndarray]
) -> np.ndarray:
    """(P, N) log shading by one light, each photo with an exposure of its own."""
    exposure = np.zeros(len(seen))
    for _ in range(4):
        light = fit_light(
            (seen - exposure[:, None]).reshape(-1), weight.reshape(-1), np.tile(albedo, len(seen)),
            np.concatenate(normals),
        )  # fmt: skip
        shade = np.stack([_log(b @ light) for b in basis])
        left = seen - albedo - shade
        exposure = np.array(
            [np.median(row[sure]) if sure.any() else 0.0 for row, sure in zip(left, weight > 0.2, strict=True)]
        )
    return shade + exposure[:, None]


def _log(shade: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(shade, 0.02))
