"""Farthest points, against the plain algorithm."""

import numpy as np
import pytest

from facefit.energies.prdl.farthest_point import farthest_points


def plain_farthest_points(points, count):
    points = points[np.lexsort((points[:, 0], points[:, 1]))]
    chosen = [int(((points - points.mean(0)) ** 2).sum(1).argmin())]
    distance = np.full(len(points), np.inf)
    while len(chosen) < count:
        distance = np.minimum(distance, ((points - points[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(distance.argmax()))
    return {tuple(p) for p in points[chosen]}


def test_farthest_points_are_those_of_the_plain_algorithm():
    rng = np.random.default_rng(0)
    random = rng.uniform(0, 100, (700, 2)) * (1, 0.3)
    lattice = np.argwhere(np.ones((20, 30))).astype(float)  # ties everywhere
    for places in (random, lattice):
        chosen = farthest_points(places, 60)
        assert len(chosen) == 60 and (np.diff(chosen) > 0).all()
        assert {tuple(p) for p in places[chosen]} == plain_farthest_points(places, 60)
        shuffled = rng.permutation(places)
        assert {tuple(p) for p in shuffled[farthest_points(shuffled, 60)]} == {tuple(p) for p in places[chosen]}


def test_farthest_points_edges():
    places = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    assert farthest_points(places, 10).tolist() == [0, 1, 2, 3]
    assert len(farthest_points(places, 3)) == 2  # only two differ
    with pytest.raises(ValueError, match="count"):
        farthest_points(places, 0)
