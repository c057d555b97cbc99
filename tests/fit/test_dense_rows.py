"""Dense points and normals in the landmark stage: the slope of their energy, and who is told the truth finds it."""

from dataclasses import replace

import pytest
import torch
from helpers.rendered_face import CAMERA, dense_of, window_of

from facefit.errors import ModelError
from facefit.fit import landmark_stage_cpu, landmark_stage_torch
from facefit.fit.config import FitConfig, Weights
from facefit.fit.dense_rows import dense_basis, dense_rows
from facefit.fit.first_guess import first_guess
from facefit.fit.landmark_basis import LandmarkProblem, landmark_basis
from facefit.fit.landmark_stage import first_pose
from facefit.fit.objective import Objective
from facefit.geometry.camera import to_camera_space, window_camera
from facefit.geometry.rotation import rotation_matrix, rotation_vector
from facefit.render import load_renderer
from facefit.scene.parameters import Parameters

DENSE = FitConfig(energies=("dense",))


@pytest.fixture(scope="module")
def basis(default_model):
    return dense_basis(default_model)


@pytest.fixture(scope="module")
def person(default_model) -> Parameters:
    """Somebody who looks aside with an open mouth."""
    value = Parameters.zeros(default_model.sizes)
    value.identity[:] = torch.randn(value.identity.shape, generator=torch.Generator().manual_seed(2))
    value.expression[0, default_model.expression_names.index("jawOpen")] = 0.4
    return replace(value, rotvec=torch.tensor([[0.1, 0.3, 0.05]]), translation=torch.tensor([[4.0, -6.0, -900.0]]))


@pytest.fixture(scope="module")
def seen(default_model, person):
    """A window in which nothing but landmarks, points and normals of that person is seen."""
    return window_of(default_model, person)


def test_edges_are_as_long_as_on_the_mean_face_and_join_its_points(basis, default_model):
    first, second = basis.edges
    verts = default_model.verts[default_model.faces[default_model.dense_faces]]
    points = (verts * default_model.dense_bary[..., None]).sum(1)
    torch.testing.assert_close(basis.mean, points)
    torch.testing.assert_close(basis.length, (points[first] - points[second]).norm(dim=1))
    assert basis.length.max() < 14 and len(first) > 2 * len(points)
    assert basis.basis.shape[2] == landmark_basis(default_model).count


def test_what_is_turned_away_does_not_face(basis):
    ahead = torch.tensor([[0.0, 0.0, -900.0]])
    front = basis.facing(torch.eye(3)[None], (basis.mean + ahead)[None])
    back = rotation_matrix(torch.tensor([[0.0, 3.1, 0.0]]))
    assert front.mean() > 0.85 and basis.facing(back, basis.mean @ back.mT + ahead).mean() < 0.05


@pytest.mark.parametrize("weights", [(400.0, 0.0), (0.0, 60.0)], ids=["points", "normals"])
def test_the_gradient_is_half_the_slope_of_the_full_stages_energy(default_model, basis, seen, person, weights):
    """And the matrix is its curvature along a direction, next to the truth, where Gauss-Newton is Newton."""
    model, config = default_model, replace(DENSE, weights=Weights(dense_points=weights[0], dense_normals=weights[1]))
    rows = dense_rows(model, seen, window_camera(seen.camera, seen.window), config)
    objective = Objective(seen, model, load_renderer("cpu"), config)
    objective(person, 0)
    generator = torch.Generator().manual_seed(5)
    identity, first = model.sizes["identity"], landmark_basis(model).first_expression
    coefficients = torch.cat([person.identity, torch.zeros(1, first - identity), person.expression], 1)
    coefficients = coefficients + 0.02 * torch.randn(coefficients.shape, generator=generator).abs()
    direction = torch.randn(1, 6 + coefficients.shape[1], generator=generator)
    direction[:, :3] *= 1e-2
    start = rotation_matrix(person.rotvec)

    def energy(step: float) -> float:
        moved = coefficients + step * direction[:, 6:]
        joints = LandmarkProblem(model, seen.landmarks, seen.landmark_confidence, rows.camera, config).joints(moved)
        at = replace(
            person, identity=moved[:, :identity], joints=joints, expression=moved[:, first:],
            rotvec=rotation_vector((rotation_matrix(step * direction[:, :3]) @ start).double()).float(),
            translation=person.translation + step * direction[:, 3:6],
        )  # fmt: skip
        return objective(at, 1)["dense"].item()

    matrix, gradient = rows.system(
        start, person.translation, coefficients, landmark_basis(model).corrective(coefficients)
    )
    step = 2e-3
    slope = (energy(step) - energy(-step)) / (2 * step)
    assert 2 * float((gradient * direction).sum()) == pytest.approx(slope, rel=0.05)  # but for the correctives
    curved = (energy(step) + energy(-step) - 2 * energy(0)) / step**2
    assert 2 * float((direction @ matrix @ direction.mT)[0, 0]) == pytest.approx(curved, rel=0.15)


def test_who_is_told_the_truth_finds_it(default_model, basis, seen, person):
    """Landmarks that count as nothing, and points and normals of somebody: the face is theirs; without normals less."""
    model = default_model

    def left(**weights) -> float:
        strong = Weights(landmark=1.0, dense_points=2000.0, dense_normals=2000.0)
        config = replace(FitConfig(), weights=replace(strong, **weights), landmark_iterations=8)
        found = first_guess(seen, model, config)
        points = [
            to_camera_space(model.shape(who.identity, who.expression), who.rotvec, who.translation)
            for who in (found, person)
        ]
        apart = model.dense_points(points[0]) - model.dense_points(points[1])
        return float(apart.norm(dim=-1).mean())

    whole, alone = left(), left(dense_points=0.0, dense_normals=0.0)
    assert whole < 0.4 * alone and whole < left(dense_normals=0.0)


def test_both_forms_of_the_landmark_stage_agree(default_model, seen):
    model, camera, config = default_model, window_camera(seen.camera, seen.window), FitConfig()
    rows = dense_rows(model, seen, camera, config)
    confidence = seen.landmark_confidence
    found = []
    for form in (landmark_stage_cpu, landmark_stage_torch):
        problem = LandmarkProblem(model, seen.landmarks, confidence, camera, config, rows)
        start = (value.float() for value in first_pose(model, seen.landmarks, camera))
        found.append(form.solve(problem, *start))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=0.02, rtol=0.02)


def test_nothing_is_asked_where_nothing_is_known(default_model, toy_model, seen):
    camera = window_camera(seen.camera, seen.window)
    without = replace(seen, dense_points=torch.zeros(1, 0, 4), dense_normals=torch.zeros(1, 0, 5))
    assert dense_rows(default_model, seen, camera, FitConfig()) is not None
    assert dense_rows(default_model, seen, camera, FitConfig(energies=("landmark",))) is None
    assert dense_rows(default_model, without, camera, FitConfig()) is None
    assert dense_rows(toy_model, seen, camera, FitConfig()) is None
    terms = Objective(without, default_model, load_renderer("cpu"), DENSE)(Parameters.zeros(default_model.sizes), 0)
    assert "dense" not in terms
    with pytest.raises(ValueError, match="no dense points"):
        toy_model.dense_points(toy_model.verts[None])


def test_points_of_another_version_are_refused(toy_model, seen):
    other = replace(toy_model, dense_faces=torch.zeros(3, dtype=torch.long), dense_bary=torch.ones(3, 3) / 3)
    with pytest.raises(ModelError, match=r"toy: 3 observed points .* has 491: add the model again"):
        dense_rows(other, seen, window_camera(seen.camera, seen.window), FitConfig())


def test_hidden_points_say_nothing(default_model, seen, person):
    """Whatever stands where the share is 0."""
    wild = seen.dense_points.clone(), seen.dense_normals.clone()
    for value in wild:
        value[:, ::2, -1] = 0
    mad = wild[0].clone(), wild[1].clone()
    mad[0][:, ::2, :2], mad[1][:, ::2, :3] = 1e4, 0.577
    energies = []
    for points, normals in (wild, mad):
        observation = replace(seen, dense_points=points, dense_normals=normals)
        at = replace(person, translation=person.translation + 3)
        energies.append(Objective(observation, default_model, load_renderer("cpu"), DENSE)(at, 0)["dense"].item())
    assert energies[0] == energies[1] > 1


def test_the_truth_costs_nothing(default_model, seen, person):
    objective = Objective(seen, default_model, load_renderer("cpu"), DENSE)
    assert objective(person, 0)["dense"].item() < 1e-3
    assert dense_of(default_model, person, CAMERA)[0].shape == seen.dense_points.shape
