"""The identity basis: people sampled from the sliders so that they measure like the surveyed adults, then PCA."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from scipy.optimize import lsq_linear

from .anthropometry import SURVEYS, Ruler
from .makehuman import Macros, Slider

logger = logging.getLogger(__name__)

WITHIN_PAIR = 0.92  # correlation of a left slider with its right twin: faces are nearly symmetric
NAIVE = 0.22  # standard deviation of a slider before the surveys speak; 1 is MakeHuman's extreme
NAIVE_ASYMMETRY = 0.10
MEAN_RIDGE = 0.5  # how much a shift of a slider's mean by its deviation costs, in deviations of a measure


@dataclass(frozen=True)
class Population:
    """Sampling distribution of slider values for one sex: independent Gaussians, clipped to MakeHuman's range.

    Attributes: scale: of the whole head; mean, deviation: (K,).
    """

    scale: float
    mean: np.ndarray
    deviation: np.ndarray


def _macro_samples(macros: Macros, male: bool, count: int, rng: np.random.Generator) -> np.ndarray:
    out = []
    for _ in range(count):
        sex = np.clip(rng.normal(0.9 if male else 0.1, 0.08), 0, 1)
        age = rng.uniform(0.45, 0.85)  # about 22 to 66 years, the survey's range
        ancestry = rng.dirichlet((0.5, 0.5, 1.0))
        weight, muscle = np.clip(rng.normal(0.5, 0.17, 2), 0, 1)
        out.append(macros.offset(sex, age, ancestry, weight, muscle))
    return np.stack(out)


def _pairs(sliders: list[Slider]) -> list[tuple[int, int]]:
    number = {s.name: i for i, s in enumerate(sliders)}
    return [(i, number["r-" + s.name[2:]]) for i, s in enumerate(sliders) if s.name.startswith("l-")]


def draw_values(
    population: Population, pairs: list[tuple[int, int]], count: int, rng: np.random.Generator
) -> np.ndarray:
    """(count, K) slider values in [-1, 1] of random people; the two of a pair (right, left) are correlated."""
    unit = rng.standard_normal((count, len(population.mean)))
    for left, right in pairs:
        unit[:, right] = WITHIN_PAIR * unit[:, left] + np.sqrt(1 - WITHIN_PAIR**2) * unit[:, right]
    return np.clip(population.mean + unit * population.deviation, -1, 1)


def shape_of_values(values: np.ndarray, sliders: list[Slider]) -> np.ndarray:
    """(N, K) slider values -> (N, C, 3) offsets in mm."""
    positive = np.stack([s.positive for s in sliders]).reshape(len(sliders), -1)
    negative = np.stack([-s.positive if s.negative is None else s.negative for s in sliders]).reshape(len(sliders), -1)
    flat = np.maximum(values, 0) @ positive + np.maximum(-values, 0) @ negative
    return flat.reshape(len(values), -1, 3)


def calibrate(
    base: np.ndarray, sliders: list[Slider], macro: np.ndarray, ruler: Ruler, target: np.ndarray
) -> Population:
    """Slider means and deviations with which sampled people measure like the survey.

    Args:
        base: (C, 3) mm; macro: (N, C, 3) mm, macro offsets of people of one sex.
        target: (M, 2) mm, mean and deviation of each measure of the ruler.
    Size comes first, as one factor for the whole head: MakeHuman's heads are some per cent small, and correcting that
    by sliders would bend the face instead. Then measures are linearised per slider. Means: ridge least squares, gently,
    for the rulers' points are only next to the anthropometrists'. Variances: bounded least squares on the variances
    that the macros leave to explain, drawn towards the naive ones.
    """
    naive = np.array([NAIVE_ASYMMETRY if s.name.startswith("asym") else NAIVE for s in sliders])
    one_sided = np.array([s.negative is None for s in sliders])
    measured = ruler.measure(base + macro)
    trust = target[:, 0] / target[:, 1]  # relative spread: a measure that varies little says most about size
    scale = float(np.exp(np.average(np.log(target[:, 0] / measured.mean(0)), weights=trust**2)))
    middle = base + macro.mean(0)
    step = 0.3
    up = np.stack([ruler.measure(middle + s.offset(step)) for s in sliders])
    down = np.stack([ruler.measure(middle + s.offset(-step)) for s in sliders])
    slope = scale * (up - down).T / (2 * step)  # (M, K)
    for left, right in _pairs(sliders):
        slope[:, left] += slope[:, right]  # a pair moves as one
        slope[:, right] = 0
    spread = target[:, 1]
    system = np.concatenate([slope / spread[:, None], MEAN_RIDGE * np.diag(1 / naive)])
    right_side = np.concatenate([(target[:, 0] - scale * measured.mean(0)) / spread, np.zeros(len(naive))])
    limit = np.where(one_sided, 1e-6, 0.4)
    mean = lsq_linear(system, right_side, bounds=(-limit, limit)).x
    left_over = np.maximum(spread**2 - scale**2 * measured.var(0), 0.1 * spread**2)
    gain = slope**2 * naive**2
    system = np.concatenate([gain / left_over[:, None], 0.05 * np.eye(len(naive))])
    right_side = np.concatenate([np.ones(len(target)), np.full(len(naive), 0.05)])
    factor = lsq_linear(system, right_side, bounds=(0.1, 4.0)).x
    deviation = np.minimum(naive * np.sqrt(factor), 0.5)
    for left, right in _pairs(sliders):
        mean[right], deviation[right] = mean[left], deviation[left]
    return Population(scale, mean, deviation)


def sample_people(
    base: np.ndarray, sliders: list[Slider], macros: Macros, ruler: Ruler, per_sex: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """(2 N, C, 3) people in mm, men first, and (2 N, 13) their measures in mm; base (C, 3) mm, N = per_sex."""
    rng = np.random.default_rng(seed)
    pairs, people = _pairs(sliders), []
    for male in (True, False):
        macro = _macro_samples(macros, male, per_sex, rng)
        target = np.array([s.men if male else s.women for s in SURVEYS.values()])
        population = calibrate(base, sliders, macro[:400], ruler, target)
        logger.info("%s: heads scaled by %.3f", "men" if male else "women", population.scale)
        shape = base + macro + shape_of_values(draw_values(population, pairs, per_sex, rng), sliders)
        people.append(population.scale * shape)
    everybody = np.concatenate(people)
    return everybody, ruler.measure(everybody)


def align_rigidly(people: np.ndarray, weight: np.ndarray, rounds: int = 3) -> np.ndarray:
    """Generalised Procrustes without scale: pose removed by the weighted vertices, size kept.

    Args: people (N, C, 3) mm; weight (C,).
    """
    w = weight / weight.sum()
    people = people - np.einsum("c,ncx->nx", w, people)[:, None]
    reference = people.mean(0)
    for _ in range(rounds):
        cross = np.einsum("c,ncx,cy->nxy", w, people, reference)
        u, _, vt = np.linalg.svd(cross)
        sign = np.sign(np.linalg.det(u @ vt))
        u[:, :, 2] *= sign[:, None]
        people = people @ (u @ vt)
        reference = people.mean(0)
    return people


def principal_components(people: np.ndarray, weight: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Weighted PCA: the weights say where accuracy matters.

    Args:
        people: (N, C, 3) mm, aligned; weight: (C,).
    Returns:
        mean (C, 3) mm, basis (count, C, 3) mm at unit standard deviation, share of the (weighted) variance.
    """
    mean = people.mean(0)
    root = np.sqrt(weight / weight.mean())[:, None]
    data = ((people - mean) * root).reshape(len(people), -1)
    _, values, rows = np.linalg.svd(data, full_matrices=False)
    share = float((values[:count] ** 2).sum() / (values**2).sum())
    scores = data @ rows[:count].T
    scores /= scores.std(0)
    # the unweighted displacement that goes with each score, by regression: exact for the kept space
    basis = np.linalg.lstsq(scores, (people - mean).reshape(len(people), -1), rcond=None)[0]
    basis = basis.reshape(count, *mean.shape)
    peak = np.abs(basis).reshape(count, -1).argmax(1)
    sign = np.sign(basis.reshape(count, -1)[np.arange(count), peak])
    return mean, basis * sign[:, None, None], share
