"""Who is who among single fits."""

from dataclasses import replace

import numpy as np
import torch
from helpers.rendered_face import person, together

from facefit.person.people import ALBEDO_SHARE, distances, like_reference, nearest_distance, same_person


def blocks(*groups: int, within: float = 1.0, between: float = 6.0) -> np.ndarray:
    who = np.repeat(range(len(groups)), groups)
    out = np.where(who[:, None] == who, within, between)
    np.fill_diagonal(out, 0)
    return out


def test_the_person_is_who_is_on_most_photos():
    assert same_person(blocks(2, 3)) == [2, 3, 4]
    assert same_person(blocks(2, 2)) == [0, 1]  # as frequent: who comes first
    assert same_person(blocks(4, between=2.0)) == [0, 1, 2, 3]
    assert same_person(np.zeros((1, 1))) == [0]


def test_somebody_known_decides_about_all_photos_of_one_face():
    away = np.array([2.9, 1.9, 2.3, 2.4, 2.5])  # of the first two one is far, together they are near
    assert like_reference(away, blocks(2, 3), 2.4) == [0, 1, 2, 3, 4]
    assert like_reference(away, blocks(2, 3), 2.39) == []
    assert like_reference(away, blocks(2, 3, within=3.0), 2.39) == [1, 2]
    assert like_reference(away[:1], np.zeros((1, 1)), 3.0) == [0]
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
