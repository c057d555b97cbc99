"""Whether a person kept still."""

import math
from dataclasses import replace

import pytest
import torch
from helpers.rendered_face import person, photograph, together

from facefit.fit.config import FitConfig
from facefit.person.sharing import Sharing
from facefit.person.stillness import MOVEMENTS, amounts, stillness
from facefit.scene.parameters import Parameters


@pytest.fixture(scope="module")
def seen(default_model):
    def photos(*shown):
        people = together(*(person(default_model, seed=3, yaw=20.0 * k, **each) for k, each in enumerate(shown)))
        return photograph(default_model, people, 64)

    return photos


@pytest.mark.parametrize(
    ("more", "movement"),
    [({}, None), ({"jawOpen": 0.3}, "jaw"), ({"mouthSmileLeft": 0.6, "mouthSmileRight": 0.6}, "smile"),
     ({"eyeBlinkLeft": 0.9, "eyeBlinkRight": 0.9}, "blink")],
)  # fmt: skip
def test_one_expression_does_for_whoever_kept_still(default_model, seen, more, movement):
    rest = {"jawOpen": 0.2}
    observation = seen(rest, rest | {name: rest.get(name, 0) + value for name, value in more.items()}, rest).observation
    start = Parameters.zeros(default_model.sizes, 3)
    found = stillness(observation, start, default_model, FitConfig(), Sharing(static=None))
    assert found.still == (movement is None), found
    assert set(found.moved) == set(MOVEMENTS)
    if movement is not None:  # and it is known by what
        assert found.moved[movement] > MOVEMENTS[movement].most
        relative = {name: value / MOVEMENTS[name].most for name, value in found.moved.items()}
        assert max(relative, key=relative.get) == movement, relative


def test_amounts_are_activations_beyond_those_of_the_parameters(default_model, seen):
    photographed = seen({"jawOpen": 0.3}, {}, {})
    truth = photographed.truth
    nameless = replace(default_model, expression_names=("",) * len(default_model.expression_names))
    # coefficients that are no activations say nothing of amounts, whatever they are called
    free = replace(default_model, activation=False, expression_basis=default_model.expression_basis * 2)
    for model in (default_model, nameless, free):
        at_rest = amounts(photographed.observation, truth, default_model, FitConfig())
        assert all(value.abs().max() < 0.02 for value in at_rest.values()), at_rest
        shut = replace(truth, expression=torch.zeros_like(truth.expression))
        found = amounts(photographed.observation, shut, model, FitConfig())
        assert found["jaw"][0] == pytest.approx(0.3, abs=0.05) and found["jaw"][1:].abs().max() < 0.02


@pytest.mark.parametrize(("amount", "still"), [(0.0, True), (0.9, True), (1.1, False)])
def test_what_all_photos_have_is_no_movement(default_model, seen, monkeypatch, amount, still):
    """The limit holds for the difference from the mean, divided by that of the farthest of three normal errors."""
    farthest = (2 * math.log(3) * 2 / 3) ** 0.5
    beyond = torch.tensor([0.5, 0.5, -1.0]) * farthest * amount
    found = {name: 0.7 + movement.most * beyond for name, movement in MOVEMENTS.items()}
    monkeypatch.setattr("facefit.person.stillness.amounts", lambda *_: found)
    start = Parameters.zeros(default_model.sizes, 3)
    told = stillness(seen({}, {}, {}).observation, start, default_model, FitConfig(), Sharing())
    assert told.still == still
    assert told.moved == pytest.approx({name: amount * movement.most for name, movement in MOVEMENTS.items()}, abs=1e-5)


def test_of_two_photos_and_without_landmarks_nobody_can_say(default_model, seen):
    start = Parameters.zeros(default_model.sizes, 2)
    assert not stillness(seen({}, {}).observation, start, default_model, FitConfig(), Sharing()).still
    without = replace(FitConfig(), energies=("prdl",))
    three, start = seen({}, {}, {}).observation, Parameters.zeros(default_model.sizes, 3)
    assert not stillness(three, start, default_model, without, Sharing()).still
