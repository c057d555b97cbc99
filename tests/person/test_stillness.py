"""Whether a person kept still."""

from dataclasses import replace

import pytest
from helpers.rendered_face import person, photograph, together

from facefit.fit.config import FitConfig
from facefit.person.sharing import Sharing
from facefit.person.stillness import stillness
from facefit.scene.parameters import Parameters


@pytest.fixture(scope="module")
def seen(default_model):
    def photos(*opened):
        people = together(*(person(default_model, seed=3, yaw=20.0 * k, jawOpen=jaw) for k, jaw in enumerate(opened)))
        return photograph(default_model, people, 64).observation

    return photos


def test_one_expression_does_for_whoever_kept_still(default_model, seen):
    start = Parameters.zeros(default_model.sizes, 3)
    for opened, still in (((0.2, 0.2, 0.2), True), ((0.2, 0.2, 0.7), False)):
        found = stillness(seen(*opened), start, default_model, FitConfig(), Sharing(static=None))
        assert found.still == still, found
        assert set(found.worse) == {"eyes", "mouth", "brows"} and (found.worse["mouth"] > 1.7) != still


def test_of_two_photos_and_without_landmarks_nobody_can_say(default_model, seen):
    observation, start = seen(0.2, 0.2), Parameters.zeros(default_model.sizes, 2)
    assert not stillness(observation, start, default_model, FitConfig(), Sharing()).still
    without = replace(FitConfig(), energies=("prdl",))
    assert not stillness(
        seen(0.2, 0.2, 0.2), Parameters.zeros(default_model.sizes, 3), default_model, without, Sharing()
    ).still
