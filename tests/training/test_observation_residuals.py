"""Points and normals as residuals: their derivatives, and that a landmark stage which is told the truth finds it."""

import dataclasses

import numpy as np
import pytest
import torch

from facefit.anatomy.landmarks import LIPS_INNER
from facefit.anatomy.parts import MASKS
from facefit.fit.config import FitConfig, Weights
from facefit.fit.landmark_stage_cpu import rotation_matrix
from facefit.geometry.camera import Camera, WindowTransform, project, to_camera_space
from facefit.geometry.rotation import rotation_matrix as rotation_of
from facefit.observe.observation import Observation
from training.observation.residuals import LONGEST, Seen, point_basis, residuals, solve_observed

FOCAL, CENTRE = np.array([1015.0, 1015.0]), np.array([112.0, 112.0])
CAMERA = Camera(torch.from_numpy(FOCAL).float()[None], torch.from_numpy(CENTRE).float()[None])
ROTVEC, TRANSLATION = torch.tensor([[0.1, 0.3, 0.05]]), torch.tensor([[4.0, -6.0, -900.0]])


@pytest.fixture(scope="module")
def basis(default_model):
    return point_basis(default_model)


@pytest.fixture(scope="module")
def person(default_model):
    """(1, V, 3) camera space and the identity (1, I) of somebody."""
    identity = torch.randn(1, default_model.sizes["identity"], generator=torch.Generator().manual_seed(2))
    verts = default_model.shape(identity, torch.zeros(1, default_model.sizes["expression"]))
    return to_camera_space(verts, ROTVEC, TRANSLATION), identity


def truth(basis, points) -> Seen:
    """What a perfect network would see of camera space points (P, 3)."""
    first, second = (points[basis.edges[:, k]] for k in (0, 1))
    along = (first - second) / np.linalg.norm(first - second, axis=1, keepdims=True)
    view = np.array([0.0, 0.0, 1.0]) - along * along[:, 2:]
    pixels = CENTRE + FOCAL * (1, -1) * points[:, :2] / -points[:, 2:]
    ones, edges = np.ones(len(points)), np.ones(len(along))
    normals = view / np.linalg.norm(view, axis=1, keepdims=True)
    return Seen(pixels, 0.5 * ones, ones, normals, 0.02 * edges, edges, (2000.0, 2000.0))


def test_edges_join_neighbours_and_cross_no_slit(basis, default_model):
    """Lips and lids touch on the mean face, and move apart."""
    assert len(basis.edges) > 2 * len(basis.index) and basis.length.max() < LONGEST
    lips = default_model.landmarks(default_model.verts[None])[0, list(LIPS_INNER)].numpy()
    ends = basis.mean[basis.edges]
    near = (np.abs(ends[..., 0] - lips[:, 0].mean()) < 0.4 * np.ptp(lips[:, 0])).all(1)
    above = ends[..., 1] > lips[:, 1].mean()
    assert near.sum() > 50 and not (near & (above[:, 0] != above[:, 1])).any()


def test_derivatives_are_those_of_the_residuals(basis, person):
    exact, edges = truth(basis, person[0][0, basis.index].double().numpy()), np.ones(len(basis.edges))
    # so unsure that nothing is an outlier: where weights depend on residuals, Gauss-Newton holds them
    seen = dataclasses.replace(exact, point_spread=20 * np.ones(len(basis.index)), normal_spread=edges)
    rotation = rotation_of(ROTVEC)[0].double().numpy()
    translation = TRANSLATION[0].double().numpy()
    coefficients = 0.3 * np.random.default_rng(1).standard_normal(basis.basis.shape[2])

    def rows(step):
        shape = basis.mean + basis.basis @ (coefficients + step[6:])
        pose = rotation_matrix(step[:3]) @ rotation, translation + step[3:6]
        return list(residuals(basis, seen, shape, pose, FOCAL, CENTRE))

    here, unit = rows(np.zeros(6 + len(coefficients))), np.eye(6 + len(coefficients))
    for which, size in ((0, 1e-5), (1, 1e-5), (2, 1e-5), (3, 1e-3), (5, 1e-2), (6, 1e-3), (40, 1e-3), (130, 1e-3)):
        there, back = rows(size * unit[which]), rows(-size * unit[which])
        for now, up, down in zip(here, there, back, strict=True):
            slope = (up.left - down.left) / (2 * size)
            told = np.concatenate([now.posed, now.shaped], 1)[:, which]
            assert np.abs(slope - told).max() <= 2e-3 * max(np.abs(told).max(), 1e-6)


def observed(model, points) -> Observation:
    size = 224
    landmarks = project(model.landmarks(points), CAMERA)
    blank = torch.zeros(1, size, size)
    return Observation(
        image=torch.zeros(1, size, size, 3), landmarks=landmarks, landmark_confidence=torch.ones(1, landmarks.shape[1]),
        part_masks=blank[:, None].expand(1, len(MASKS), size, size), valid=blank,
        brow_line=torch.tensor([[[0.0, 1.0, 0.0]] * 2]), camera=CAMERA,
        window=WindowTransform(torch.zeros(1, 2), torch.ones(1), size),
    )  # fmt: skip


def test_who_is_told_the_truth_finds_it(basis, person, default_model):
    """Landmarks that count as nothing, and points and normals of somebody: the face is theirs; without normals less."""
    model, (points, identity) = default_model, person
    config = dataclasses.replace(FitConfig(), weights=Weights(landmark=1.0), landmark_iterations=8)
    seen = truth(basis, points[0, basis.index].double().numpy())

    def left(what):
        found, solver = solve_observed(model, observed(model, points), config, what)
        shape = model.shape(found.identity, found.expression)
        own = model.shape(identity, torch.zeros_like(found.expression))
        apart = to_camera_space(shape, found.rotvec, found.translation) - to_camera_space(own, ROTVEC, TRANSLATION)
        return float(apart[0, basis.index].norm(dim=1).mean()), solver, found

    whole, solver, found = left(seen)
    apart = model.verts - model.shape(identity, torch.zeros_like(found.expression))[0]
    points_alone = left(dataclasses.replace(seen, counted=(2000.0, 0.0)))[0]
    assert whole < 0.3 * float(apart[basis.index].norm(dim=1).mean()) and whole < points_alone
    centre, matrix, slope = solver.of_shape()  # what a pose can explain costs nothing, all else something
    values = np.linalg.eigvalsh(matrix)
    assert values.min() > -1e-6 * values.max() and np.abs(slope).max() < 0.2 * values.max()
    assert len(centre) == len(matrix) == len(slope) == basis.basis.shape[2]
