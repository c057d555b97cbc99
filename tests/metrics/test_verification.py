"""Verification by shape: distances by hand, curves of known scores, an interval that grows with fewer people."""

import numpy as np
import pytest

from facefit.geometry.similarity import fit_similarity
from facefit.metrics.verification import rigid_distances, verification


def _turned(shape, rng):
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    rotation *= np.sign(np.linalg.det(rotation))
    return shape @ rotation.T + rng.normal(size=3) * 50


def test_distance_is_that_of_the_best_motion_and_keeps_size_and_side():
    rng = np.random.default_rng(0)
    shapes = rng.normal(size=(5, 40, 3)) * 30 + 7
    shapes[4] = shapes[0] * [-1, 1, 1]  # a mirror image
    found = rigid_distances(np.stack([_turned(shape, rng) for shape in shapes]), chunk=2)
    for one in range(5):
        for two in range(one):
            motion = fit_similarity(shapes[one], shapes[two], scale=False)
            expected = np.sqrt(((motion(shapes[one]) - shapes[two]) ** 2).sum(1).mean())
            assert found[one, two] == pytest.approx(expected, rel=1e-9) and found[two, one] == found[one, two]
    assert found[0, 4] > 5 and (np.diag(found) == 0).all()
    larger = rigid_distances(np.stack([shapes[0], 1.1 * shapes[0]]))[0, 1]
    assert larger == pytest.approx(0.1 * np.sqrt(((shapes[0] - shapes[0].mean(0)) ** 2).sum(1).mean()))


def _matrix(pairs, count):
    out = np.zeros((count, count))
    for (one, two), value in pairs.items():
        out[one, two] = out[two, one] = value
    return out


def test_curve_of_known_scores():
    people = ["a", "a", "b", "b"]
    far = {(0, 2): 5.0, (0, 3): 6.0, (1, 2): 7.0, (1, 3): 8.0}
    apart = verification(_matrix({(0, 1): 1.0, (2, 3): 2.0, **far}, 4), people)
    assert apart["auc"] == 1 and apart["eer"] == 0
    assert apart["within"] == 1.5 and apart["between"] == 6.5
    assert (apart["people"], apart["shapes"], apart["pairs_within"], apart["pairs_between"]) == (2, 4, 2, 4)
    # one of two pairs within is farther than two of the four between: 6 of 8 comparisons are right
    mixed = verification(_matrix({(0, 1): 1.0, (2, 3): 6.5, **far}, 4), people)
    assert mixed["auc"] == pytest.approx(0.75) and mixed["eer"] == pytest.approx(0.5)
    # all alike: by chance
    alike = verification(_matrix({pair: 3.0 for pair in ((0, 1), (2, 3), *far)}, 4), people)
    assert alike["auc"] == pytest.approx(0.5) and alike["eer"] == pytest.approx(0.5)


def test_auc_is_the_share_of_right_comparisons():
    rng = np.random.default_rng(1)
    people = [f"p{k % 6}" for k in range(30)]
    shapes = rng.normal(size=(6, 20, 3))[[k % 6 for k in range(30)]] + 0.8 * rng.normal(size=(30, 20, 3))
    distances = rigid_distances(shapes)
    first, second = np.triu_indices(30, 1)
    same = np.array([people[i] == people[j] for i, j in zip(first, second, strict=True)])
    values = distances[first, second]
    right = (values[same][:, None] < values[~same]).mean()
    found = verification(distances, people)
    assert 0.55 < right < 0.999 and found["auc"] == pytest.approx(right)
    low, high = found["auc_interval"]
    assert low < right < high
    refused = [(values[same] > t).mean() for t in values]
    accepted = [(values[~same] <= t).mean() for t in values]
    nearest = int(np.argmin(np.abs(np.array(refused) - accepted)))
    assert found["eer"] == pytest.approx((refused[nearest] + accepted[nearest]) / 2, abs=0.02)


def test_without_pairs_of_a_kind_there_is_no_curve():
    only = verification(_matrix({(0, 1): 2.0}, 2), ["a", "b"])
    assert only["auc"] is None and only["eer"] is None and only["auc_interval"] is None
    assert only["within"] is None and only["between"] == 2
