"""Pose removal and principal components on shapes whose components are known; sampled people that measure as asked."""

import numpy as np
import pytest

from facefit.geometry.rotation import rotation_matrix
from facefit.importers.default_head.identity import (
    align_rigidly,
    calibrate,
    draw_values,
    principal_components,
    shape_of_values,
)
from facefit.importers.default_head.makehuman import Slider

RNG = np.random.default_rng(0)
MEAN = RNG.normal(0, 50, (40, 3))
MEAN -= MEAN.mean(0)


def components(count=3):
    flat, _ = np.linalg.qr(RNG.standard_normal((MEAN.size, count)))
    return flat.T.reshape(count, *MEAN.shape) * np.array([30.0, 12.0, 5.0])[:count, None, None]


def turned(people, seed=1):
    import torch

    rng = np.random.default_rng(seed)
    rotation = rotation_matrix(torch.from_numpy(rng.normal(0, 0.3, (len(people), 3)))).numpy()
    return people @ rotation.transpose(0, 2, 1) + rng.normal(0, 80, (len(people), 1, 3))


def test_pose_goes_and_size_stays():
    people = np.stack([MEAN, 1.2 * MEAN, MEAN])
    aligned = align_rigidly(turned(people), np.ones(40))
    assert np.allclose(aligned[0], aligned[2], atol=1e-6)
    size = np.sqrt((aligned**2).sum((1, 2)))
    assert size[1] / size[0] == pytest.approx(1.2)
    assert np.abs(aligned.mean(1)).max() < 1e-9


def test_alignment_never_mirrors():
    flat = MEAN * [1, 1, 1e-3]  # a flat shape is mirrored easily
    aligned = align_rigidly(turned(np.stack([flat] * 6), 3), np.ones(40))
    distance = np.linalg.norm(aligned - aligned[0], axis=2).max()
    assert distance < 0.1
    chirality = np.linalg.det(np.einsum("ncx,cy->nxy", align_rigidly(np.stack([MEAN, MEAN * 1.01]), np.ones(40)), MEAN))
    assert (chirality > 0).all()


def test_weights_say_what_is_aligned():
    weight = np.ones(40)
    weight[20:] = 1e-9
    moved = MEAN.copy()
    moved[20:] += 40  # what has no weight may differ
    aligned = align_rigidly(turned(np.stack([MEAN, moved])), weight)
    assert np.allclose(aligned[0, :20], aligned[1, :20], atol=1e-3)


def test_known_components_come_back():
    basis = components()
    scores = RNG.standard_normal((500, 3))
    scores = (scores - scores.mean(0)) / scores.std(0)
    people = MEAN + np.einsum("nk,kcx->ncx", scores, basis)
    mean, found, share = principal_components(people, np.ones(40), 3)
    assert share == pytest.approx(1.0) and np.allclose(mean, people.mean(0))
    # each person is the mean plus scores of unit variance times the basis
    values = np.linalg.lstsq(found.reshape(3, -1).T, (people - mean).reshape(500, -1).T, rcond=None)[0]
    assert np.allclose(values.std(1), 1, atol=1e-6) and np.allclose(np.corrcoef(values), np.eye(3), atol=1e-6)
    assert np.allclose(np.einsum("kn,kcx->ncx", values, found) + mean, people, atol=1e-6)
    length = np.linalg.norm(found.reshape(3, -1), axis=1)
    assert (np.diff(length) < 0).all()  # the strongest first


def test_fewer_components_keep_less_and_signs_are_fixed():
    basis = components()
    people = MEAN + np.einsum("nk,kcx->ncx", RNG.standard_normal((300, 3)), basis)
    _, one, share = principal_components(people, np.ones(40), 1)
    assert 0.7 < share < 0.95  # 900 / (900 + 144 + 25)
    _, again, _ = principal_components(people[::-1], np.ones(40), 1)
    assert np.allclose(one, again, atol=1e-6)
    flat = one.reshape(1, -1)
    assert flat[0, np.abs(flat).argmax()] > 0


def test_weights_decide_which_component_comes_first():
    basis = np.zeros((2, 40, 3))
    basis[0, :20, 0], basis[1, 20:, 1] = 10, 6
    people = MEAN + np.einsum("nk,kcx->ncx", RNG.standard_normal((400, 2)), basis)
    weight = np.ones(40)
    weight[:20] = 0.01
    _, plain, _ = principal_components(people, np.ones(40), 1)
    _, weighted, _ = principal_components(people, weight, 1)
    assert np.abs(plain[0, :20]).sum() > np.abs(plain[0, 20:]).sum()
    assert np.abs(weighted[0, :20]).sum() < np.abs(weighted[0, 20:]).sum()


class TwoDistances:
    """A ruler: how far vertex 1 lies to the right of vertex 0, and how far vertex 2 above it."""

    def measure(self, verts):
        return np.stack([verts[..., 1, 0] - verts[..., 0, 0], verts[..., 2, 1] - verts[..., 0, 1]], -1)


def slider(name, vertex, axis, length, one_sided=False):
    offset = np.zeros((3, 3))
    offset[vertex, axis] = length
    return Slider(name, offset, None if one_sided else -offset)


def test_sampled_people_measure_like_the_survey():
    base = np.array([[0, 0, 0], [40, 0, 0], [0, 90, 0]], float)
    sliders = [slider("wide", 1, 0, 12.0), slider("tall", 2, 1, 25.0), slider("bump", 1, 2, 9.0)]
    target = np.array([[42.0, 2.5], [93.0, 5.0]])
    population = calibrate(base, sliders, np.zeros((5, 3, 3)), TwoDistances(), target)
    values = draw_values(population, [], 20_000, np.random.default_rng(0))
    assert np.abs(values).max() <= 1
    people = population.scale * (base + shape_of_values(values, sliders))
    measured = TwoDistances().measure(people)
    assert measured.mean(0).tolist() == pytest.approx(target[:, 0].tolist(), rel=0.02)
    assert measured.std(0).tolist() == pytest.approx(target[:, 1].tolist(), rel=0.15)
    assert population.scale == pytest.approx(42 / 40, rel=0.03)  # size first; sliders only for what is left


def test_the_left_slider_moves_with_the_right_one():
    base = np.array([[0, 0, 0], [40, 0, 0], [0, 90, 0]], float)
    sliders = [slider("l-ear", 1, 0, 6.0), slider("r-ear", 1, 0, 6.0)]
    target = np.array([[40.0, 3.0], [90.0, 4.0]])
    population = calibrate(base, sliders, np.zeros((5, 3, 3)), TwoDistances(), target)
    assert population.mean[0] == population.mean[1] and population.deviation[0] == population.deviation[1]
    values = draw_values(population, [(0, 1)], 20_000, np.random.default_rng(0))
    assert 0.85 < np.corrcoef(values.T)[0, 1] < 1


def test_one_sided_sliders_have_their_own_negative():
    both, single = slider("both", 1, 0, 10.0), slider("single", 2, 1, 10.0, one_sided=True)
    shape = shape_of_values(np.array([[-0.5, 0.5]]), [both, single])[0]
    assert shape[1, 0] == pytest.approx(-5) and shape[2, 1] == pytest.approx(5)
