"""Where an identity is to be expected: the features, their way to coefficients, and what the stages make of it."""

from dataclasses import replace

import pytest
import torch
from helpers.rendered_face import window_of

from facefit.fit import identity_guess, landmark_stage_cpu, landmark_stage_torch
from facefit.fit.config import FitConfig, Weights
from facefit.fit.dense_rows import dense_basis
from facefit.fit.first_guess import first_guess
from facefit.fit.identity_guess import IdentityGuess, expected, expected_identity, features, load_identity_guess
from facefit.fit.landmark_basis import IMMOVABLE, LandmarkProblem
from facefit.fit.landmark_stage import first_pose
from facefit.fit.objective import Objective
from facefit.geometry.camera import window_camera
from facefit.geometry.rotation import rotation_matrix
from facefit.render import load_renderer
from facefit.scene.parameters import Parameters


@pytest.fixture(scope="module")
def person(default_model) -> Parameters:
    """Somebody who looks aside."""
    value = Parameters.zeros(default_model.sizes)
    value.identity[:] = torch.randn(value.identity.shape, generator=torch.Generator().manual_seed(3))
    return replace(value, rotvec=torch.tensor([[0.1, 0.3, 0.05]]), translation=torch.tensor([[4.0, -6.0, -900.0]]))


@pytest.fixture(scope="module")
def seen(default_model, person):
    """A window in which landmarks, points and normals of that person are seen."""
    return window_of(default_model, person)


@pytest.fixture(scope="module")
def basis(default_model):
    return dense_basis(default_model)


def test_features_of_the_truth_are_its_points_and_nothing_left_over(default_model, basis, person, seen):
    found = features(person, seen, default_model, basis)[0]
    count = 3 * len(basis.mean)
    rest = default_model.dense_points(default_model.shape(person.identity, person.expression))[0] - basis.mean
    torch.testing.assert_close(found[:count].reshape(-1, 3), rest, atol=1e-3, rtol=0)
    assert found[count:-count].abs().max() < 0.1 and found[-count:].abs().max() < 0.05  # edges are not quite flat


def test_a_point_seen_beside_its_place_is_told_in_millimetres_of_the_heads_own_axes(default_model, basis, person, seen):
    points = seen.dense_points.clone()
    points[..., 0] += 3.0
    shifted = features(person, replace(seen, dense_points=points), default_model, basis)
    by = (shifted - features(person, seen, default_model, basis))[0, -3 * len(basis.mean) :].reshape(-1, 3)
    moved = by[by.abs().sum(1) > 0] @ rotation_matrix(person.rotvec)[0].mT  # back to the camera's axes
    camera = window_camera(seen.camera, seen.window)
    assert len(moved) > 200 and moved[:, 1:].abs().max() < 0.01
    assert float(moved[:, 0].mean()) == pytest.approx(3 * 870 / float(camera.focal[0, 0]), rel=0.05)
    unseen = replace(seen, dense_points=points * points.new_tensor([1, 1, 1, 0]))
    assert not features(person, unseen, default_model, basis)[0, -3 * len(basis.mean) :].any()


def test_a_displacement_of_points_becomes_the_coefficients_that_make_it(
    default_model, basis, person, seen, monkeypatch
):
    wanted = torch.randn(1, default_model.sizes["identity"], generator=torch.Generator().manual_seed(7))
    moves = (wanted @ basis.basis[..., : wanted.shape[1]].flatten(0, 1).T).reshape(1, -1)
    told = features(person, seen, default_model, basis)
    mean = told[0] - torch.eye(len(told[0]))[0]  # one feature stands out by 1
    inward = torch.zeros(len(mean), 1)
    inward[0] = 1
    monkeypatch.setattr(identity_guess, "load_identity_guess", lambda: IdentityGuess(mean, inward, moves))
    monkeypatch.setattr(identity_guess, "derived", lambda model, name, make: make(model))
    by = expected_identity(person, seen, default_model) - person.identity
    there = (by @ basis.basis[..., : by.shape[1]].flatten(0, 1).T).reshape(1, -1)
    assert float((there - moves).norm() / moves.norm()) < 0.12


def test_the_bundled_map_fits_the_bundled_points(basis):
    guess = load_identity_guess()
    count = len(basis.mean)
    assert guess.mean.shape == (6 * count + len(basis.length),) and guess.outward.shape[1] == 3 * count
    assert torch.isfinite(guess.inward).all() and guess.displacement(guess.mean[None]).abs().max() == 0


def test_it_is_asked_where_something_dense_was_seen_alone(default_model, toy_model, seen):
    config = FitConfig()
    found = expected(seen, default_model, config)
    assert found.identity.shape == (1, default_model.sizes["identity"]) and found.identity.abs().max() > 0.1
    bare = replace(seen, dense_points=seen.dense_points[:, :0], dense_normals=seen.dense_normals[:, :0])
    assert expected(bare, default_model, config) is bare
    assert expected(seen, toy_model, config) is seen
    again = expected(found, default_model, config)  # what was expected is no part of its own guess
    torch.testing.assert_close(again.identity, found.identity)
    assert expected(found, toy_model, config).identity.shape == (1, 0)
    without = replace(config, energies=("landmark", "prdl", "photometric"))
    assert expected(seen, default_model, without) is seen


def test_both_forms_of_the_landmark_stage_go_to_what_is_expected(default_model, seen):
    model, camera = default_model, window_camera(seen.camera, seen.window)
    wanted = torch.randn(1, model.sizes["identity"], generator=torch.Generator().manual_seed(9))
    config = replace(FitConfig(), weights=Weights(expected=1e7))
    for form in (landmark_stage_cpu, landmark_stage_torch):
        problem = LandmarkProblem(
            model, seen.landmarks, seen.landmark_confidence, camera, config, expected=wanted
        )  # fmt: skip
        start = (value.float() for value in first_pose(model, seen.landmarks, camera))
        found = form.solve(problem, *start)[2]
        torch.testing.assert_close(found[:, : wanted.shape[1]], wanted, atol=0.02, rtol=0)


def test_what_is_fixed_stays_whatever_is_expected(default_model, seen, person):
    problem = LandmarkProblem(
        default_model, seen.landmarks, seen.landmark_confidence, window_camera(seen.camera, seen.window), FitConfig(),
        start=person, fixed=("identity",), expected=person.identity + 5,
    )  # fmt: skip
    count = person.identity.shape[1]
    torch.testing.assert_close(problem.middle()[:, :count], person.identity)
    assert (problem.prior()[0][:count] == IMMOVABLE).all() and not problem.middle()[:, count:].any()


def test_the_full_stages_prior_lies_about_what_is_expected(default_model, seen, person):
    config = replace(FitConfig(energies=("landmark",)), weights=Weights(expected=7.0, identity=3.0))
    wanted = replace(seen, identity=person.identity - 2 * torch.eye(person.identity.shape[1])[:1])

    def term(observation) -> float:
        return float(Objective(observation, default_model, load_renderer("cpu"), config)(person, 0)["identity"])

    assert term(wanted) == pytest.approx(7 * 4)
    assert term(seen) == pytest.approx(3 * float(person.identity.square().sum()))


def test_landmarks_count_more_beside_it(default_model, seen, person):
    config = FitConfig(energies=("landmark",))
    moved = replace(seen, landmarks=seen.landmarks + 1.0)

    def term(observation) -> float:
        return float(Objective(observation, default_model, load_renderer("cpu"), config)(person, 0)["landmark"])

    assert term(replace(moved, identity=person.identity)) == pytest.approx(1.85 * term(moved))
    camera = window_camera(seen.camera, seen.window)
    for form in (landmark_stage_cpu, landmark_stage_torch):
        found = []
        for weight, wanted in ((400.0, torch.zeros_like(person.identity)), (740.0, None)):
            config = replace(FitConfig(), weights=Weights(landmark=weight, expected=3.0, identity=3.0))
            problem = LandmarkProblem(
                default_model, moved.landmarks, moved.landmark_confidence, camera, config, expected=wanted,
            )  # fmt: skip
            start = (value.float() for value in first_pose(default_model, moved.landmarks, camera))
            found.append(form.solve(problem, *start)[2])
        torch.testing.assert_close(*found, atol=1e-3, rtol=0)


def test_a_guess_is_made_face_by_face(default_model, seen, person):
    other = replace(person, identity=-person.identity)
    both = type(seen).cat([seen, window_of(default_model, other)])
    config = FitConfig()
    together = expected(both, default_model, config).identity
    torch.testing.assert_close(together[:1], expected(seen, default_model, config).identity, atol=1e-4, rtol=0)
    alone = first_guess(seen, default_model, config)
    torch.testing.assert_close(together[:1], expected_identity(alone, seen, default_model), atol=1e-4, rtol=0)
    assert (together[0] - together[1]).norm() > 1.0
