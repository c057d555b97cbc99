"""The way of a GPU through the objective, on the CPU: the same energy, the same direction, and faces that leave."""

import pytest
import torch
from helpers.rendered_face import person, photograph, together
from helpers.triton_stand_in import stand_in

from facefit.energies.prdl.rows import PrdlRows
from facefit.fit.config import FitConfig
from facefit.fit.objective import Objective
from facefit.render import load_renderer
from facefit.scene.parameters import Parameters


@pytest.fixture(scope="module")
def pair(toy_model):
    model = toy_model
    people = together(person(model, yaw=15.0, seed=1), person(model, yaw=-10.0, seed=2, unit0=0.4))
    photo = photograph(model, people, 40)
    at = {name: value.clone() for name, value in people.tensors().items()}
    at["translation"] += torch.tensor([4.0, -3.0, 10.0])
    return model, photo.observation, at


def slopes(objective, at, iteration):
    values = {name: value.clone().requires_grad_(True) for name, value in at.items()}
    term = objective(Parameters(**values), iteration)["prdl"]
    term.sum().backward()
    return term.detach(), torch.cat([values[name].grad.flatten(1) for name in ("identity", "rotvec", "translation")], 1)


def test_rows_and_kernels_give_the_cpus_energy(pair, monkeypatch):
    model, observation, at = pair
    config = FitConfig(energies=("prdl",), part_weights=(1.0,) * 8)  # eyes are three pixels of so small a window
    cpu = Objective(observation, model, load_renderer("cpu"), config)
    expected, direction = slopes(cpu, at, 0)
    monkeypatch.setattr("facefit.fit.choices.fused", lambda device: True)
    monkeypatch.setattr("facefit.energies.prdl.targets.fused", lambda device: True)
    with stand_in():
        device = Objective(observation, model, load_renderer("cpu"), config)
        found, slope = slopes(device, at, 0)
        assert isinstance(device.choices.selection, PrdlRows)
        kept = device.keep([1])
        left, left_slope = slopes(kept, {name: value[[1]] for name, value in at.items()}, 1)
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.1)  # 25 cells a window, and other anchors for `max`
    assert (torch.nn.functional.cosine_similarity(slope, direction) > 0.999).all()
    torch.testing.assert_close(left[0], found[1], rtol=1e-5, atol=1e-5)
    assert torch.nn.functional.cosine_similarity(left_slope[0], slope[1], 0) > 0.99999
    assert torch.equal(device.targets.count, cpu.targets.count)
