"""A batch of faces: whatever the company, the same bits for each, and who fails, fails alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.rendered_face import person, photograph, together

import facefit.fit.first_guess
from facefit.compute.threads import only_kernels
from facefit.errors import FitError
from facefit.fit.config import FitConfig, override
from facefit.fit.fit import fit_batch
from facefit.fit.objective import Objective
from facefit.fit.optimize import minimize
from facefit.fit.result import FitFailure
from facefit.render import load_renderer

SIDE = 96  # pixels of a small window


@pytest.fixture(scope="module")
def model(toy_model):
    return toy_model


@pytest.fixture(scope="module")
def crowd(model):
    """Three people; of the last nothing is valid, which `break_blind` does not stand."""
    people = [
        person(model, yaw=20.0, seed=1), person(model, yaw=-12.0, seed=2, unit0=0.6), person(model, yaw=3.0, seed=3),
    ]  # fmt: skip
    observation = photograph(model, together(*people), SIDE).observation
    valid = observation.valid.clone()
    valid[2] = 0
    return replace(observation, valid=valid)


def break_blind(parameters, objective):
    """An energy that stops being a number for faces of which nothing is valid."""
    blind = objective.observation.valid.sum((1, 2)) == 0
    return {"mine": torch.where(blind, torch.nan, 0.0) + 0.0 * parameters.rotvec[:, 0]}


def test_fits_to_the_end_alone_shuffled_and_beside_failures_are_equal(model, crowd):
    """Until each has converged."""
    config = FitConfig()
    # with a stronger prior both take as many iterations
    config = replace(config, weights=replace(config.weights, identity=1.0))
    config = replace(config, stage=replace(config.stage, iterations=40, patience=4, tolerance=1e-4))
    options = {"config": config, "extra_energy": break_blind, "failures": "return"}
    first, second, third = fit_batch(crowd, model, **options)
    assert isinstance(third, FitFailure) and third.status == "failed"
    assert str(third.error) == "iteration 0: the mine energy is not a finite number"
    failed, two, one = fit_batch(crowd[[2, 1, 0]], model, **options)
    assert isinstance(failed, FitFailure)
    assert first.status == "converged"
    assert len(first.trace) != len(second.trace)  # one has left the batch before the other
    for face, results in ((0, (first, one)), (1, (second, two))):
        (alone,) = fit_batch(crowd[face], model, config, extra_energy=break_blind)
        for result in results:
            assert np.abs(result.verts_in("camera") - alone.verts_in("camera")).max() == 0
            for name, value in alone.parameters.tensors().items():
                assert torch.equal(value, result.parameters.tensors()[name]), name
            assert result.energies == alone.energies and result.trace == alone.trace
            assert result.part_iou == alone.part_iou and result.status == alone.status


def test_a_failure_is_raised_unless_it_is_asked_for(model, crowd):
    options = {"config": override(FitConfig(), iterations=1), "extra_energy": break_blind}
    before = torch.get_rng_state()
    for faces in (crowd, crowd[2]):
        with pytest.raises(FitError, match="the mine energy"):
            fit_batch(faces, model, **options)
    assert torch.equal(torch.get_rng_state(), before), "the caller's random numbers are not a fit's to reset"
    with pytest.raises(ValueError, match="accepted: raise, return"):
        fit_batch(crowd, model, failures="ignore", **options)
    none = fit_batch(crowd[[2, 2]], model, failures="return", **options)
    assert all(isinstance(value, FitFailure) for value in none) and len(none) == 2


def test_a_face_without_a_first_guess_is_left_out(model, crowd, monkeypatch):
    real = facefit.fit.first_guess.first_guess

    def picky(observation, *rest):
        if observation.valid.sum() == 0:
            raise FitError("the landmark stage has no unique solution")
        return real(observation, *rest)

    monkeypatch.setattr(facefit.fit.first_guess, "first_guess", picky)
    valid = crowd.valid.clone()
    valid[0] = 0
    config = override(FitConfig(), iterations=1)
    first, second = fit_batch(replace(crowd, valid=valid)[[0, 1]], model, config, failures="return")
    assert isinstance(first, FitFailure) and "unique" in str(first.error) and set(first.seconds) == {"landmark stage"}
    (alone,) = fit_batch(crowd[1], model, config)
    assert torch.equal(second.parameters.identity, alone.parameters.identity)


def test_each_face_keeps_its_own_seconds_and_photo(model, crowd):
    before = [{"detection": 1.0}, {"detection": 2.0}]
    two = fit_batch(crowd[[0, 1]], model, override(FitConfig(), iterations=2), seconds=before, photo=[None, None])
    assert [result.seconds["detection"] for result in two] == [1.0, 2.0]
    assert {"detection", "landmark stage", "full stage"} == set(two[0].seconds) and before == [
        {"detection": 1.0}, {"detection": 2.0},
    ]  # fmt: skip


@only_kernels()  # as in a fit: sums over several threads hang on how many faces there are
def test_a_part_of_an_objective_goes_on_where_the_whole_was(model, crowd):
    """Between two refreshes: what was chosen for a face stays chosen when others leave."""
    crowd = crowd[[0, 1, 0]]
    config, renderer = FitConfig(), load_renderer("cpu")
    whole = Objective(crowd, model, renderer, config)
    start = fit_batch(crowd, model, override(config, iterations=0))
    at = type(start[0].parameters).cat([result.parameters for result in start])
    whole(at, 0)
    moved = replace(at, translation=at.translation + torch.tensor([3.0, 2.0, -10.0]))
    expected = whole(moved, 1)
    for faces in ([2, 1], [1]):
        part = whole.keep(faces)(moved[faces], 1)
        for name, value in part.items():
            assert torch.equal(value, expected[name][faces]), (faces, name)
    kept = whole.keep([1])
    assert torch.equal(kept(moved[[1]], config.stage.refresh)["prdl"], whole(moved, config.stage.refresh)["prdl"][[1]])


def test_an_energy_of_the_faces_that_are_left(model, crowd):
    """What a caller's energy is given shrinks with the batch."""
    seen = set()

    def watch(parameters, objective):
        assert parameters.batch == objective.observation.batch
        seen.add(parameters.batch)
        return {}

    class Extended:
        def __init__(self, objective):
            self.objective = objective

        def __call__(self, parameters, iteration):
            watch(parameters, self.objective)
            terms = self.objective(parameters, iteration)
            return {name: torch.where(self.broken() & (iteration == 3), torch.nan, v) for name, v in terms.items()}

        def broken(self):
            return self.objective.observation.landmarks[:, 33, 0] > self.objective.observation.landmarks[:, 33, 0].min()

        def keep(self, faces):
            return Extended(self.objective.keep(faces))

    start = fit_batch(crowd[[0, 1]], model, override(FitConfig(), iterations=0))
    at = type(start[0].parameters).cat([result.parameters for result in start])
    objective = Objective(crowd[[0, 1]], model, load_renderer("cpu"), FitConfig())
    config = override(FitConfig(), iterations=6)
    found = minimize(Extended(objective), at, config.stage, config.steps, activation=True)
    assert sorted(found.status) == ["budget", "failed"] and seen == {2, 1}
