"""Folds that come with an expression are told from those that stay, and none are invented."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.lit_cap import ALBEDO, ball_cap, lit

from facefit.detail.patch import skin_patch
from facefit.detail.refine import wrinkle_moves, wrinkled_model
from facefit.detail.shared_surface import solve_surface
from facefit.detail.trust import FULL
from facefit.detail.wrinkles import Driver, Wrinkle, driven, drivers, told_apart
from facefit.geometry.triangles import vertex_normals

SMILES = np.array([0.0, 1.0, 0.1, 0.8, 0.0, 0.9, 0.05, 0.6])


@pytest.fixture(scope="module")
def cap():
    return ball_cap()


def smiling(cap, strength=SMILES):
    """Two shapes that fold the upper half, one half as much as the other."""
    rows = np.flatnonzero((cap.points[:, 1] > 0) & (cap.fade > 0))
    share = np.stack([cap.fade[rows] * 2 / 3, cap.fade[rows] / 3])
    both = np.stack([strength, strength], 1)
    return Driver("smile", ("mouthSmileLeft", "cheekSquintLeft"), rows, share, both @ share)


def relief(cap):
    """(N,) mm: what stays, and what comes with the smile."""
    x, y = cap.points[:, 0], cap.points[:, 1]
    return 0.25 * cap.fade * np.sin(x / 4) * np.cos(y / 5), 0.3 * cap.fade * np.cos((y - 18) / 2.5) * (abs(y - 18) < 12)


def alike(found, truth):
    return float(np.corrcoef(found, truth)[0, 1])


def test_what_comes_with_the_smile_is_told_from_what_stays(cap):
    still, folds = relief(cap)
    samples = [lit(cap, still + share * folds, k) for k, share in enumerate(SMILES)]
    flat = np.full(cap.count, ALBEDO)
    found, (wrinkle,), tests = told_apart(cap, samples, flat, FULL, [smiling(cap)])
    test = tests["smile"]
    assert test.why == "" and test.amplitude > 0.9 and test.gain > 0.1 and test.better == 1
    assert test.strength == pytest.approx((0.0, 1.0))
    assert wrinkle.shapes == ("mouthSmileLeft", "cheekSquintLeft")
    np.testing.assert_allclose(wrinkle.height[0], 2 * wrinkle.height[1])
    height = np.zeros(cap.count)
    height[wrinkle.vertices] = wrinkle.height.sum(0)
    assert alike(height, folds) > 0.9 and height.std() > 0.15 * folds.std()  # the prior holds it small
    one = solve_surface(cap, samples, flat, FULL)
    assert alike(found.displacement, still) > alike(one.displacement, still) + 0.02


@pytest.mark.parametrize("shadows, paint", [(0.1, 0.0), (0.0, 0.15)])
def test_no_wrinkle_is_invented(cap, shadows, paint):
    """The photos differ in expression, light and shadows, or in paint that comes with the smile; the surface is the
    same in all."""
    still, _ = relief(cap)
    spots = [cap.smoothed(np.random.default_rng(k).normal(size=cap.count), 4.0) / 0.2 for k in range(9)]
    samples = [lit(cap, still, k, shadows * spots[k] + paint * share * spots[8]) for k, share in enumerate(SMILES)]
    found, wrinkles, tests = told_apart(cap, samples, np.full(cap.count, ALBEDO), FULL, [smiling(cap)])
    assert found is None and wrinkles == ()
    assert tests["smile"].why.startswith("it does not foretell held-out photos") and tests["smile"].gain < 0.02


@pytest.mark.parametrize("strength", [np.full(8, 0.4), np.array([0.0] * 6 + [0.9] * 2), np.array([0.0] + [0.9] * 7)])
def test_photos_that_show_too_little_of_a_group_are_not_asked(cap, strength, monkeypatch):
    monkeypatch.setattr("facefit.detail.wrinkles.solve_surface", None)
    found, wrinkles, tests = told_apart(cap, [], np.zeros(cap.count), FULL, [smiling(cap, strength)])
    assert found is None and wrinkles == () and "photos show it" in tests["smile"].why


def test_under_one_light_no_group_is_asked(cap, monkeypatch):
    monkeypatch.setattr("facefit.detail.wrinkles.solve_surface", None)
    found, wrinkles, tests = told_apart(cap, [], np.zeros(cap.count), FULL, [smiling(cap)], diverse=False)
    assert found is None and wrinkles == () and "lights" in tests["smile"].why


def test_a_group_that_no_photo_shows_changes_nothing(cap):
    samples = [lit(cap, relief(cap)[0], k) for k in range(3)]
    flat, idle = np.full(cap.count, ALBEDO), smiling(cap, np.array([0.0, 0.0, 0.0, 1.0]))
    one = solve_surface(cap, samples, flat, FULL)
    two = solve_surface(cap, samples, flat, FULL, driven=driven(cap, [idle], range(3)))
    np.testing.assert_allclose(two.displacement, one.displacement, atol=1e-9)
    assert np.abs(two.driven).max() < 1e-9 and one.driven.size == one.driven_albedo.size == 0


@pytest.fixture(scope="module")
def sided(toy_model):
    """Of its expressions one raises the left cheek and one the right one."""
    x, y, _ = toy_model.verts.T
    basis = torch.zeros_like(toy_model.expression_basis)
    for k, side in ((0, 1), (2, -1)):
        basis[k, :, 2] = 5 * torch.exp(-((x - 35 * side) ** 2 + (y + 10) ** 2) / 300)
    return replace(toy_model, expression_basis=basis, expression_names=("mouthSmileLeft", "jawOpen", "mouthSmileRight"))


def test_groups_fold_skin_beside_what_their_shapes_move(sided):
    patch = skin_patch(sided, sided.verts.double().numpy())
    (smile,) = drivers(patch, sided, np.array([[1.0, 0.7, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]))
    assert smile.name == "smile" and smile.shapes == ("mouthSmileLeft", "mouthSmileRight")
    left, far = patch.points[smile.rows, 0] > 20, patch.points[smile.rows, 1] > 60
    assert left.any() and not far.any()
    assert smile.activation[0, left].mean() > 10 * smile.activation[0, patch.points[smile.rows, 0] < -20].mean()
    assert (smile.share.sum(0) <= 1 + 1e-9).all() and smile.strength[1:] == pytest.approx([1, 0])
    assert drivers(patch, replace(sided, activation=False), np.zeros((1, 3))) == []


def test_wrinkles_move_skin_along_its_normals_with_their_shape_alone(sided):
    verts, wrinkle = (
        sided.verts.double().numpy(),
        Wrinkle(("mouthSmileRight",), np.array([40, 41]), np.array([[0.3, -0.2]])),
    )
    moves = wrinkle_moves(sided, verts, [wrinkle, wrinkle])
    normals = vertex_normals(verts, sided.faces.numpy())
    np.testing.assert_allclose(moves[2, [40, 41]], 2 * np.array([[0.3], [-0.2]]) * normals[[40, 41]])
    assert np.count_nonzero(moves.any(2)) == 2
    basis = wrinkled_model(sided, verts, [wrinkle]).expression_basis
    np.testing.assert_allclose(basis - sided.expression_basis, moves / 2, atol=1e-6)
