"""Whether shapes tell people apart: distances of neutral faces within a person against those between people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

DRAWS = 200  # of people, for an interval


def rigid_distances(shapes: np.ndarray, chunk: int = 64) -> np.ndarray:
    """RMS distance of every two shapes with corresponding vertices, each pair laid on each other without scaling.

    Args:
        shapes: (N, V, 3) mm.
        chunk: shapes whose products with all others are held at a time.
    Returns:
        (N, N) mm, symmetric, 0 on the diagonal.
    Source: Kabsch 1976; the least distance follows from the singular values of the cross-covariance, so that no
        rotation has to be made.
    """
    centred = np.asarray(shapes, np.float64) - np.mean(shapes, 1, keepdims=True, dtype=np.float64)
    count, points = centred.shape[:2]
    size = (centred**2).sum((1, 2))
    rows = centred.transpose(0, 2, 1).reshape(3 * count, points)
    out = np.empty((count, count))
    for start in range(0, count, chunk):
        part = rows[3 * start : 3 * (start + chunk)]
        cross = (part @ rows.T).reshape(len(part) // 3, 3, count, 3).transpose(0, 2, 1, 3)
        values = np.linalg.svd(cross, compute_uv=False)
        values[..., 2] *= np.sign(np.linalg.det(cross))  # a reflection is no motion
        left = size[start : start + chunk, None] + size[None] - 2 * values.sum(-1)
        out[start : start + chunk] = np.sqrt(np.maximum(left, 0) / points)
    out = (out + out.T) / 2
    np.fill_diagonal(out, 0)
    return out


def verification(distances: np.ndarray, people: Sequence[str], seed: int = 0) -> dict[str, float | int | list | None]:
    """How well a threshold on the distance says whether two shapes are of one person.

    Args:
        distances: (N, N); people: N names.
        seed: of drawing people for the interval.
    Returns:
        auc: chance that a pair of one person is closer than one of two people, ties halved; auc_interval: 95 % of it
        when people are drawn anew (bootstrap); eer: where as many of the same are refused as others are accepted;
        within, between: mean distances; people, shapes, pairs_within, pairs_between: counts. What there is no pair for
        is None.
    """
    names, index = np.unique(np.asarray(people), return_inverse=True)
    first, second = np.triu_indices(len(index), 1)
    distance, one, two = np.asarray(distances)[first, second], index[first], index[second]
    order = np.argsort(distance, kind="stable")
    distance, one, two = distance[order], one[order], two[order]
    same = one == two
    counts = {"people": len(names), "shapes": len(index), "pairs_within": int(same.sum()),
              "pairs_between": int((~same).sum())}  # fmt: skip
    within, between = (float(distance[kind].mean()) if kind.any() else None for kind in (same, ~same))
    if within is None or between is None:
        return {"auc": None, "auc_interval": None, "eer": None, "within": within, "between": between, **counts}
    step = np.flatnonzero(np.diff(distance, append=np.inf) > 0)  # the last pair of each distance
    auc, eer = _curve(same.astype(float), (~same).astype(float), step)
    rng, draws = np.random.default_rng(seed), []
    for _ in range(DRAWS):
        times = np.bincount(rng.integers(0, len(names), len(names)), minlength=len(names)).astype(float)
        kept, other = same * times[one], ~same * times[one] * times[two]
        if kept.any() and other.any():
            draws.append(_curve(kept, other, step)[0])
    interval = [float(value) for value in np.percentile(draws, (2.5, 97.5))] if draws else None
    return {"auc": auc, "auc_interval": interval, "eer": eer, "within": within, "between": between, **counts}


def _curve(same: np.ndarray, other: np.ndarray, step: np.ndarray) -> tuple[float, float]:
    """AUC and EER of pairs sorted by distance: weights (P,) of those of one person and of two, and the places `step`
    of the last pair of each distance."""
    accepted = np.concatenate([[0.0], np.cumsum(same)[step] / same.sum()])
    wrong = np.concatenate([[0.0], np.cumsum(other)[step] / other.sum()])
    auc = float((np.diff(wrong) * (accepted[1:] + accepted[:-1]) / 2).sum())
    gap = wrong - (1 - accepted)  # rises from -1 to 1; where it is 0 both errors are the same
    at = int(np.argmax(gap >= 0))
    share = -gap[at - 1] / (gap[at] - gap[at - 1])
    return auc, float(wrong[at - 1] + share * (wrong[at] - wrong[at - 1]))
