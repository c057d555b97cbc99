"""FitConfig: what is refused, what a preset is, and that it survives JSON."""

import dataclasses
import json
import math

import pytest

from facefit import vocabulary
from facefit.anatomy.parts import PARTS
from facefit.fit.config import ENERGIES, PRESETS, FitConfig, Stage, override, preset


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_complete_and_know_their_name(name):
    config = preset(name)
    assert config.preset == name
    assert len(config.part_weights) == len(PARTS)
    assert set(config.energies) <= set(ENERGIES)
    assert all(value >= 0 for value in dataclasses.asdict(config.weights).values())
    assert all(value > 0 for value in dataclasses.asdict(config.steps).values())
    assert 0 < config.stage.final_step <= 1 and config.stage.refresh >= 1 and config.stage.patience >= 1
    assert json.loads(json.dumps(config.as_dict(), allow_nan=False))["preset"] == name


def test_the_presets_are_those_a_user_can_name():
    assert set(vocabulary.PRESETS) == set(PRESETS)


def test_an_unknown_preset_lists_the_known_ones():
    with pytest.raises(ValueError, match="preset is 'papre'; accepted: .*paper"):
        preset("papre")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"energies": ("landmark", "chamfer")}, "energies landmark, chamfer; accepted: some of landmark, dense"),
        ({"energies": ()}, "none"),
        ({"stage": Stage(iterations=-1)}, "iterations is -1; accepted: 0 or more"),
        ({"max_seconds": 0.0}, "max_seconds is 0.0"),
        ({"max_seconds": math.nan}, "max_seconds is nan"),
    ],
)
def test_values_out_of_range(change, message):
    with pytest.raises(ValueError, match=message):
        FitConfig(**change)


def test_override_changes_what_is_given_and_nothing_else():
    base = preset("default")
    assert override(base) == base
    changed = override(base, energies=("prdl",), iterations=7, max_seconds=2.5)
    assert (changed.energies, changed.stage.iterations, changed.max_seconds) == (("prdl",), 7, 2.5)
    assert dataclasses.replace(changed.stage, iterations=base.stage.iterations) == base.stage
    assert changed.weights == base.weights and changed.steps == base.steps
    with pytest.raises(ValueError, match="energies"):
        override(base, energies=("shading",))


def test_an_infinite_budget_is_none_in_json():
    assert FitConfig().as_dict()["max_seconds"] is None
    assert FitConfig(max_seconds=3.0).as_dict()["max_seconds"] == 3.0


def test_a_config_cannot_be_changed_by_accident():
    with pytest.raises(dataclasses.FrozenInstanceError):
        preset("default").window = 4
