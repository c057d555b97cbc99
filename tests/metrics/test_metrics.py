"""Metrics against values by hand, and exact closest points against all triangles."""

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from facefit.anatomy.parts import LABEL, MASKS
from facefit.geometry.closest_point import ClosestPoint
from facefit.geometry.similarity import fit_similarity
from facefit.geometry.triangles import sample_surface
from facefit.metrics.landmark_error import landmark_error
from facefit.metrics.part_iou import mean_iou, part_iou
from facefit.metrics.scan_distance import MarkedMesh, align_to_scan, scan_distances, scan_error


def rotation(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def test_part_iou_by_hand():
    predicted = np.zeros((8, 8), np.uint8)
    target = np.zeros((8, 8), np.uint8)
    predicted[0:2, 0:4] = LABEL["nose"]  # 8 pixels
    target[0:2, 2:6] = LABEL["nose"]  # 8 pixels, 4 shared: 4 / 12
    predicted[4, :4] = LABEL["right_eye"]
    target[4, :4] = LABEL["left_eye"]  # swapped sides: separate parts miss, merged they agree
    predicted[6, :2] = LABEL["upper_lip"]
    target[6, 1:4] = LABEL["mouth_inside"]
    scores = part_iou(predicted, target)
    assert scores["nose"] == pytest.approx(1 / 3)
    assert scores["right_eye"] == 0 and scores["left_eye"] == 0 and scores["eyes"] == 1
    assert scores["mouth"] == pytest.approx(1 / 4) and scores["upper_lip"] == 0
    assert scores["lower_lip"] is None and scores["right_brow"] is None
    assert part_iou(predicted, target, target_only=True)["upper_lip"] is None
    assert mean_iou(scores, ("nose", "eyes", "brows")) == pytest.approx(2 / 3)
    assert mean_iou(scores, ("brows",)) is None
    valid = np.zeros((8, 8), bool)
    valid[:, :4] = True
    assert part_iou(predicted, target, valid=valid)["nose"] == pytest.approx(4 / 8)


def test_part_iou_of_masks_equals_that_of_labels():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 9, (2, 16, 16))
    masks = torch.stack([torch.from_numpy(labels[1] == LABEL.get(name, 99)).float() for name in MASKS])
    by_labels, by_masks = part_iou(labels[0], labels[1]), part_iou(labels[0], masks)
    assert by_labels == by_masks
    soft = torch.where(masks > 0, 0.6, 0.5)  # above one half is inside
    assert part_iou(labels[0], soft) == by_labels
    with pytest.raises(ValueError, match="one size"):
        part_iou(labels[0], labels[1][:8])
    with pytest.raises(ValueError, match="expected labels"):
        part_iou(labels[0], np.zeros((3, 16, 16)))


def test_landmark_error_is_a_fraction_of_the_outer_eye_corners():
    observed = torch.zeros(2, 478, 2)
    observed[:, 263, 0] = 100.0
    projected = observed + torch.tensor([3.0, 4.0])
    assert torch.allclose(landmark_error(projected, observed), torch.tensor([0.05, 0.05]))
    projected[:, 7] += 1e6
    confidence = torch.ones(2, 478)
    confidence[:, 7] = 0
    assert torch.allclose(landmark_error(projected, observed, confidence), torch.tensor([0.05, 0.05]))
    with pytest.raises(ValueError, match="expected"):
        landmark_error(projected, observed[:1])


def test_fit_similarity_recovers_a_motion_and_never_reflects():
    rng = np.random.default_rng(2)
    points = rng.normal(size=(12, 3))
    turn, shift = rotation(0.7), np.array([3.0, -1.0, 2.0])
    moved = 1.7 * points @ turn.T + shift
    motion = fit_similarity(points, moved, scale=True)
    assert motion.scale == pytest.approx(1.7)
    np.testing.assert_allclose(motion.rotation, turn, atol=1e-12)
    np.testing.assert_allclose(motion.inverse(motion(points)), points, atol=1e-12)
    assert fit_similarity(points, moved, scale=False).scale == 1.0
    mirrored = fit_similarity(points, points * (-1, 1, 1), scale=True)
    assert np.linalg.det(mirrored.rotation) == pytest.approx(1)
    moved[0] += 100  # a pair of weight 0 has no say
    weights = np.ones(12)
    weights[0] = 0
    np.testing.assert_allclose(fit_similarity(points, moved, scale=True, weights=weights).rotation, turn, atol=1e-12)


def test_closest_point_by_hand_and_against_dense_samples():
    verts = np.array([[0, 0, 0], [10, 0, 0], [0, 10, 0], [5, 5, 5], [5, 5, 5]], float)
    faces = np.array([[0, 1, 2], [3, 4, 3]])  # the second one is a point
    distance, point, face = ClosestPoint(verts, faces)(
        np.array([[2, 2, 1], [-3, -4, 0], [8, 8, 0], [5, -2, 0], [5, 5, 9]], float)
    )
    np.testing.assert_allclose(distance, [1, 5, np.sqrt(18), 2, 4])
    np.testing.assert_allclose(point, [[2, 2, 0], [0, 0, 0], [5, 5, 0], [5, 0, 0], [5, 5, 5]], atol=1e-12)
    assert face.tolist() == [0, 0, 0, 0, 1]

    rng = np.random.default_rng(3)
    verts, faces = rng.normal(size=(90, 3)), rng.integers(0, 90, (60, 3))
    queries = rng.normal(size=(40, 3)) * 1.5
    distance, point, face = ClosestPoint(verts, faces)(queries)
    np.testing.assert_allclose(np.linalg.norm(point - queries, axis=1), distance)
    steps = np.linspace(0, 1, 60)
    u, v = np.meshgrid(steps, steps)
    inside = u + v <= 1
    weights = np.stack([1 - u - v, u, v], -1)[inside]
    dense = np.einsum("wk,fkd->fwd", weights, verts[faces])
    nearest = cKDTree(dense.reshape(-1, 3)).query(queries)[0]
    assert (distance <= nearest + 1e-12).all()
    np.testing.assert_allclose(distance, nearest, atol=0.05)
    with pytest.raises(ValueError, match="F > 0"):
        ClosestPoint(verts, np.zeros((0, 3), int))


def test_samples_are_uniform_by_area():
    verts = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [10, 0, 0], [13, 0, 0], [10, 1, 0]], float)
    points = sample_surface(verts, np.array([[0, 1, 2], [3, 4, 5]]), 8000, seed=1)
    second = points[:, 0] > 5
    assert second.mean() == pytest.approx(0.75, abs=0.02)
    np.testing.assert_allclose(points[second].mean(0), verts[3:].mean(0), atol=0.05)


@pytest.fixture(scope="module")
def bumpy():
    """A sheet of 160 x 200 mm with bumps in several directions, so that ICP has one answer."""
    x, y = np.meshgrid(np.linspace(-80, 80, 41), np.linspace(-100, 100, 51), indexing="ij")
    z = 30 * np.exp(-((x / 25) ** 2 + (y / 40) ** 2)) - (x / 20) ** 2 - (y / 30) ** 2 + 4 * np.sin(x / 15 + y / 24)
    grid = np.arange(x.size).reshape(x.shape)
    a, b, c, d = grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    verts = np.stack([x, y, z], -1).reshape(-1, 3)
    return verts, faces, verts[[300, 500, 900, 1100, 1045, 700, 1300]]


def test_scan_error_undoes_the_motion_it_may_undo(bumpy):
    verts, faces, landmarks = bumpy
    turn, shift = rotation(0.3), np.array([30.0, -20.0, 500.0])
    rigid = verts @ turn.T + shift
    result = scan_error(rigid, faces, landmarks @ turn.T + shift, verts, faces, landmarks, align="rigid", samples=3000)
    assert result["max"] < 1e-6 and result["scale"] == 1.0 and result["samples"] == 3000
    small, points = 0.9 * rigid, 0.9 * (landmarks @ turn.T + shift)
    free = scan_error(small, faces, points, verts, faces, landmarks, align="similarity", samples=3000)
    held = scan_error(small, faces, points, verts, faces, landmarks, align="rigid", samples=3000)
    assert free["max"] < 1e-3 and free["scale"] == pytest.approx(1 / 0.9, rel=1e-5)
    assert held["median"] > 0.3
    # the landmarks are only the start: points 5 mm off do not change where ICP ends
    noisy = points + np.random.default_rng(4).normal(size=(7, 3)) * 3
    again = scan_error(small, faces, noisy, verts, faces, landmarks, align="similarity", samples=3000)
    assert again["median"] < 0.05


def test_scan_error_measures_in_mm_of_the_scan_and_only_in_the_region(bumpy):
    verts, faces, landmarks = bumpy
    flat = np.array([[-500, -500, 0], [500, -500, 0], [500, 500, 0], [-500, 500, 0]], float)
    plane = np.array([[0, 1, 2], [0, 2, 3]])
    scan = np.concatenate([flat / 10 + (0, 0, 2.5), flat / 10 + (300, 0, 40)])
    region = np.arange(8) < 4
    both = np.concatenate([plane, plane + 4])
    none = scan_error(flat, plane, landmarks, scan, both, landmarks, region, align="none", samples=500)
    assert none["median"] == pytest.approx(2.5) and none["max"] == pytest.approx(2.5)
    assert scan_error(flat, plane, landmarks, scan, both, landmarks, align="none", samples=500)["max"] > 30
    with pytest.raises(ValueError, match="no triangle"):
        scan_error(flat, plane, landmarks, scan, both, landmarks, np.zeros(8, bool))
    with pytest.raises(ValueError, match="rigid, similarity, none"):
        scan_error(flat, plane, landmarks, scan, both, landmarks, align="affine")
    with pytest.raises(ValueError, match=r"\(7, 3\)"):
        scan_error(flat, plane, landmarks[:6], scan, both, landmarks)


def test_distances_of_a_scan_are_those_to_the_moved_mesh(bumpy):
    """Whatever the alignment, in the scan's millimetres; and the size in which the mesh comes does not matter."""
    verts, faces, landmarks = bumpy
    scan = verts.copy()
    scan[:, 2] += 2 * np.sin(verts[:, 0] / 9) * np.cos(verts[:, 1] / 7)  # nothing that a motion could undo
    medians = []
    for size in (1.0, 0.25):
        mesh = size * (verts @ rotation(0.2).T + (5, 6, 7))
        points = size * (landmarks @ rotation(0.2).T + (5, 6, 7))
        marked = MarkedMesh(mesh, faces, points), MarkedMesh(scan, faces, landmarks)
        distances, places, motion = scan_distances(*marked, samples=2000)
        assert motion.scale == pytest.approx(1 / size, rel=0.02)
        np.testing.assert_allclose(distances, ClosestPoint(motion(mesh), faces)(places)[0], atol=1e-9)
        medians.append(np.median(distances))
    assert medians[0] > 0.3 and medians[1] == pytest.approx(medians[0], rel=1e-3)


def test_figures_of_a_ramp_by_hand(bumpy):
    """A scan that rises from a plane by 0 to 10 mm: its distances are even from 0 to 10."""
    flat = np.array([[-500, -500, 0], [500, -500, 0], [500, 500, 0], [-500, 500, 0]], float)
    plane = np.array([[0, 1, 2], [0, 2, 3]])
    ramp = np.array([[0, 0, 0], [100, 0, 10], [100, 100, 10], [0, 100, 0]], float)
    landmarks = bumpy[2]
    found = scan_error(flat, plane, landmarks, ramp, plane, landmarks + (3, 0, 4), align="none", samples=50_000)
    assert found["median"] == pytest.approx(5, rel=0.02) and found["mean"] == pytest.approx(5, rel=0.01)
    assert found["p90"] == pytest.approx(9, rel=0.01) and found["max"] == pytest.approx(10, rel=0.01)
    assert found["std"] == pytest.approx(10 / np.sqrt(12), rel=0.01)
    assert found["rms"] == pytest.approx(10 / np.sqrt(3), rel=0.01)
    assert found["landmark_rms"] == pytest.approx(5) and found["scale"] == 1 and found["samples"] == 50_000


def test_what_no_face_has_pulls_little(bumpy):
    """A tenth of the scan lies 60 mm off, as hair does: a motion found by plain least squares would follow it."""
    verts, faces, landmarks = bumpy
    points = sample_surface(verts, faces, 1500, seed=2)
    points[:150] += (0, 60, 60)
    surface = ClosestPoint(verts, faces)
    robust = align_to_scan(surface, landmarks + (2, 0, 0), points, landmarks, scale=False)
    plain = align_to_scan(surface, landmarks + (2, 0, 0), points, landmarks, scale=False, sigma=1e6)
    off = [np.linalg.norm(motion(verts) - verts, axis=1).mean() for motion in (robust, plain)]
    assert off[0] < 0.3 and off[1] > 5 * off[0]
