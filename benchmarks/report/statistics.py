"""Means with confidence intervals that know that photos of one person are not independent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 4000
LEVEL = 0.95


@dataclass(frozen=True)
class Mean:
    """A mean, its interval of 95 %, and of how many photos and people it is."""

    value: float
    low: float
    high: float
    count: int
    people: int

    def text(self, digits: int = 3, sign: bool = False) -> str:
        form = f"{{:{'+' if sign else ''}.{digits}f}}"
        if self.people < 2:
            return form.format(self.value)
        return f"{form.format(self.value)} [{form.format(self.low)}, {form.format(self.high)}]"


def mean_of(values: Sequence[float], people: Sequence[str] | None = None, seed: int = 0) -> Mean | None:
    """Mean and bootstrap interval (percentiles; Efron and Tibshirani 1993, ch. 13), drawn by person.

    Args:
        values: one per photo; for a comparison, the difference of each photo (paired).
        people: whose photo each is; photos of one person are drawn together. None: everyone is someone else.
    Returns:
        None where there is nothing to average.
    Raises:
        ValueError: the lengths differ.
    """
    values = np.asarray(values, float)
    if len(values) == 0:
        return None
    names = np.arange(len(values)) if people is None else np.asarray(people)
    if len(names) != len(values):
        raise ValueError(f"{len(values)} values of {len(names)} people; expected one name per value")
    _, person = np.unique(names, return_inverse=True)
    count = int(person.max()) + 1
    sums = np.bincount(person, values, count)
    sizes = np.bincount(person, minlength=count)
    drawn = np.random.default_rng(seed).integers(0, count, (DRAWS, count))
    means = sums[drawn].sum(1) / sizes[drawn].sum(1)
    low, high = np.percentile(means, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return Mean(float(values.mean()), float(low), float(high), len(values), count)


def ratio_of(
    numerators: Sequence[float], denominators: Sequence[float], people: Sequence[str] | None = None, seed: int = 0
) -> Mean | None:
    """The quotient of two sums over photos and its bootstrap interval, drawn by person as in `mean_of`."""
    top, bottom = np.asarray(numerators, float), np.asarray(denominators, float)
    if len(top) == 0 or not bottom.sum():
        return None
    names = np.arange(len(top)) if people is None else np.asarray(people)
    _, person = np.unique(names, return_inverse=True)
    count = int(person.max()) + 1
    drawn = np.random.default_rng(seed).integers(0, count, (DRAWS, count))
    sums = [np.bincount(person, part, count)[drawn].sum(1) for part in (top, bottom)]
    quotient = sums[0] / np.where(sums[1] == 0, np.nan, sums[1])
    low, high = np.nanpercentile(quotient, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return Mean(float(top.sum() / bottom.sum()), float(low), float(high), len(top), count)


def person_of(key: str) -> str:
    """ "set/name" -> who is in the photo: FASSEG's V3 shows seven people many times; renders of one scan are drawn
    apart, since two scans are too few to draw people from."""
    name, _, stem = key.partition("/")
    if name == "fasseg" and stem.startswith("v3_"):
        return stem[:6]
    if name == "blinks":
        return stem[:6]
    return stem
