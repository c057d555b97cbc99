"""Who is who among single fits."""

from dataclasses import replace

import numpy as np
import torch
from helpers.rendered_face import person, together

from facefit.person.people import ALBEDO_SHARE, distances, nearest_distance, same_person


def blocks(*groups: int, within: float = 1.0, between: float = 6.0) -> np.ndarray:
    who = np.repeat(range(len(groups)), groups)
    out = np.where(who[:, None] == who, within, between)
    np.fill_diagonal(out, 0)
    return out


def test_the_person_is_who_is_on_most_photos():
    assert same_person(blocks(2, 3)) == [2, 3, 4]
    assert same_person(blocks(2, 2)) == [0, 1]  # as frequent: who comes first
    assert same_person(blocks(4, between=4.0)) == [0, 1, 2, 3]
    assert same_person(np.zeros((1, 1))) == [0]


def test_somebody_known_decides():
    assert same_person(blocks(2, 3), like=0) == [0, 1]
    assert nearest_distance(blocks(2, 3), [2, 3, 4], 0) == 6.0


def test_distances_are_of_shape_at_one_size_and_of_colour(default_model):
    first, second = person(default_model, seed=1, jawOpen=0.5), person(default_model, seed=2)
    moved = replace(
        first, rotvec=second.rotvec, translation=second.translation, sh=second.sh, expression=second.expression
    )
    paler = replace(first, albedo=first.albedo + torch.eye(first.albedo.shape[1])[:1])
    distance = distances(together(first, moved, second, paler), default_model)
    assert np.allclose(distance, distance.T) and not distance.diagonal().any()
    assert distance[0, 1] < 1e-3 < 1 < distance[0, 2]
    assert np.isclose(distance[0, 3], ALBEDO_SHARE, rtol=1e-4)
