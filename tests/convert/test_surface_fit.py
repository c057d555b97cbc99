"""Components fitted to a surface: known ones are found again, and the searched tree may move."""

import numpy as np
import pytest
import torch
from helpers.toy_faces import toy_face
from helpers.toy_model import jointed_arrays

from facefit.anatomy.landmarks import LANDMARKS7
from facefit.convert.surface_fit import GroupedSurface, Samples, fit_surface, near_face
from facefit.geometry.closest_point import ClosestPoint
from facefit.geometry.rotation import rotation_matrix
from facefit.geometry.triangles import sample_surface, triangle_normals, triangle_weights
from facefit.model.model_file import from_arrays

IDENTITY = torch.tensor([[1.2, -0.8, 0.5, -1.5]])
EXPRESSION = torch.tensor([[0.6, 0.0, 0.9]])


@pytest.fixture(scope="module")
def model():
    return from_arrays(toy_face(25))


def shown(model, joints=None):
    """Points of the surface, and its landmarks, of IDENTITY and EXPRESSION."""
    with torch.no_grad():
        verts = model.shape(IDENTITY, EXPRESSION, joints=joints)
        landmarks = model.landmarks(verts)[0].double().numpy()
    return sample_surface(verts[0].double().numpy(), model.faces.numpy(), 3000), landmarks, verts[0].double().numpy()


def moved(points, scale=1.0):
    turn = rotation_matrix(torch.tensor([[0.1, -0.3, 0.05]], dtype=torch.float64))[0].numpy()
    return scale * points @ turn.T + (30.0, -20.0, 400.0)


def test_known_components_are_found_on_their_own_surface(model):
    points, landmarks, verts = shown(model)
    fit = fit_surface(model, Samples(moved(points)), moved(landmarks), size=False)
    assert np.abs(fit.identity - IDENTITY[0].numpy()).max() < 0.05
    assert np.abs(fit.expression - EXPRESSION[0].numpy()).max() < 0.05
    assert fit.joints.shape == (0, 3) and fit.motion.scale == 1.0
    assert np.abs(fit.motion(fit.verts) - moved(verts)).max() < 0.3  # mm
    assert np.allclose(fit.landmarks7, landmarks[list(LANDMARKS7)], atol=0.3)


def test_a_decoder_is_linearised_where_it_is():
    """Three deviations out the slopes are half of those at rest; with those at rest it would take twice the rounds."""
    pytest.importorskip("onnx")
    from helpers.bent_toy import bent

    model, out = from_arrays(bent(toy_face(25))), torch.tensor([[2.6, -2.8, 0.5, -3.0]])
    with torch.no_grad():
        verts = model.shape(out, EXPRESSION)
        landmarks = model.landmarks(verts)[0].double().numpy()
    points = sample_surface(verts[0].double().numpy(), model.faces.numpy(), 1500)
    fit = fit_surface(model, Samples(moved(points)), moved(landmarks), 8, size=False)
    np.testing.assert_allclose(fit.identity, out[0], atol=0.1)
    assert np.linalg.norm(fit.verts - verts[0].numpy(), axis=1).mean() < 0.15


def test_seven_landmarks_are_a_start_and_the_size_may_be_free(model):
    points, landmarks, _ = shown(model)
    start = moved(landmarks[list(LANDMARKS7)], 1.1)
    fit = fit_surface(model, Samples(moved(points, 1.1)), start)
    assert fit.motion.scale == pytest.approx(1.1, abs=0.08)  # found on the mean face; then identity does the rest
    there = ClosestPoint(fit.motion(fit.verts), model.faces.numpy())
    assert np.median(there(moved(points, 1.1))[0]) < 0.5
    kept = fit_surface(model, Samples(moved(points, 1.1)), start, size=False)
    assert kept.motion.scale == 1.0  # a larger face is then another face


def test_activations_stay_between_0_and_1_and_start_where_they_usually_are(model):
    points, landmarks, _ = shown(model)
    with torch.no_grad():
        beyond = model.shape(torch.zeros(1, 4), torch.tensor([[1.6, -0.7, 0.2]]))
    verts = beyond[0].double().numpy()
    samples = Samples(sample_surface(verts, model.faces.numpy(), 2000))
    fit = fit_surface(model, samples, model.landmarks(beyond)[0].double().numpy(), size=False)
    assert fit.expression.min() >= 0 and fit.expression.max() <= 1
    assert fit.expression[0] == pytest.approx(1, abs=0.05) and fit.expression[1] == pytest.approx(0, abs=0.05)
    usual = np.array([0.6, 0.0, 0.9])
    once = fit_surface(model, Samples(points), landmarks, iterations=1, usual=usual)
    assert np.allclose(once.expression, usual, atol=1e-3)  # the first rounds move the whole only


def test_joints_bend_to_the_surface():
    model = from_arrays(
        jointed_arrays(pose=False) | {k: v for k, v in toy_face(17).items() if k.startswith("landmark")}
    )
    joints = torch.zeros(1, 5, 3)
    joints[0, 2, 0] = 0.25  # the jaw opens
    points, landmarks, verts = shown(model, joints)
    fit = fit_surface(model, Samples(points), landmarks, size=False, faces=model.faces.numpy())
    assert fit.joints.shape == (5, 3)
    assert np.abs(fit.motion(fit.verts) - verts).mean() < 0.2
    assert fit.joints[2, 0] == pytest.approx(0.25, abs=0.08)
    assert (fit.joints[[0, 3, 4]] == 0).all()


def test_more_noise_keeps_components_nearer_to_the_mean(model):
    points, landmarks, _ = shown(model)
    fits = [fit_surface(model, Samples(points), landmarks, noise=noise) for noise in (0.2, 20.0)]
    assert np.linalg.norm(fits[1].identity) < 0.9 * np.linalg.norm(fits[0].identity)


def test_landmarks_that_are_not_known_are_left_out_and_others_refused(model):
    points, landmarks, _ = shown(model)
    landmarks[::3] = np.nan
    fit = fit_surface(model, Samples(points), landmarks, size=False)
    assert np.abs(fit.identity - IDENTITY[0].numpy()).max() < 0.05
    with pytest.raises(ValueError, match=r"shape \(9, 3\); expected \(7, 3\) or \(478, 3\)"):
        fit_surface(model, Samples(points), landmarks[:9])


def test_a_point_is_compared_with_its_group_alone():
    """Two squares, 1 and 5 mm below the points: the nearer one is of another part."""
    square = np.array([[0, 0, 0], [10, 0, 0], [10, 10, 0], [0, 10, 0.0]])
    verts = np.concatenate([square - (0, 0, 1), square - (0, 0, 5)])
    faces = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    surface = GroupedSurface(verts, faces, np.array([1, 1, 2, 2]))
    points = np.array([[2.0, 3.0, 0.0]] * 3)
    distance, closest, face = surface(points, np.array([1, 2, 9]))
    assert distance.tolist() == [1.0, 5.0, np.inf] and face[0] in (0, 1) and face[1] in (2, 3)
    assert closest.tolist() == [[2, 3, -1], [2, 3, -5], [2, 3, 0]]
    lower = surface.moved(verts - (0, 0, 2))
    assert lower(points, np.array([1, 2, 9]))[0].tolist() == [3.0, 7.0, np.inf]
    assert GroupedSurface(verts, faces)(points)[0].tolist() == [1.0] * 3


def test_a_moved_tree_answers_as_a_new_one(model):
    rng = np.random.default_rng(0)
    verts, faces = model.verts.double().numpy(), near_face(model)
    other = verts + rng.normal(0, 4, verts.shape)
    points = rng.normal(0, 60, (500, 3))
    tree = ClosestPoint(verts, faces)
    before = tree(points)[0]
    distance, closest, _ = tree.moved(other)(points)
    again = ClosestPoint(other, faces)(points)
    assert np.allclose(distance, again[0]) and np.allclose(closest, again[1])
    assert (tree(points)[0] == before).all()  # the old one is as it was
    with pytest.raises(ValueError, match="not finite"):
        tree.moved(verts * np.nan)


def test_normals_and_weights_of_triangles_by_hand():
    triangle = np.array([[[0, 0, 0], [4, 0, 0], [0, 4, 0.0]]])
    assert triangle_normals(triangle).tolist() == [[0, 0, 1]]
    assert np.allclose(triangle_weights(np.array([[1.0, 2.0, 0.0]]), triangle), [[0.25, 0.25, 0.5]])
