"""The plane of symmetry, mirrored vertices, the middle of an eyeball."""

import numpy as np
import pytest

from facefit.geometry.mirror import centre_weights, middle_x, mirrored_vertices, sphere_centre


@pytest.fixture
def head():
    """A symmetric cloud, off the middle, its right half in front of its left half in the order of vertices."""
    rng = np.random.default_rng(0)
    half = rng.uniform((2, -80, -40), (70, 80, 60), (400, 3))
    return np.concatenate([half * [-1, 1, 1], half])


def test_the_plane_of_a_symmetric_head(head):
    lopsided = np.concatenate([head, [[300.0, 0, 0]]])  # an ornament on one side must not move it
    for shift in (-12.5, 0.0, 31.0):
        assert middle_x(lopsided + [shift, 0, 0]) == pytest.approx(shift, abs=1e-3)


def test_vertices_mirror_inside_their_group(head):
    count = len(head) // 2
    expected = np.roll(np.arange(len(head)), count)
    assert (mirrored_vertices(head, np.zeros(len(head), int)) == expected).all()
    # two eyes are two groups and mirror into one another
    eyes = np.where(head[:, 0] < 0, 21, 22)
    assert (mirrored_vertices(head, eyes) == expected).all()


def test_middle_of_part_of_a_sphere():
    rng = np.random.default_rng(1)
    cap = rng.normal(size=(300, 3))
    cap[:, 2] = np.abs(cap[:, 2])  # the front half only: its mean lies in front of the middle
    cap = 12.0 * cap / np.linalg.norm(cap, axis=1, keepdims=True) + [30, 5, -4]
    centre = sphere_centre(cap)
    assert np.allclose(centre, [30, 5, -4], atol=1e-6)
    weight = centre_weights(cap, centre)
    assert weight.sum() == pytest.approx(1) and np.allclose(weight @ cap, centre)
    moved = 1.1 * cap + [1, 2, 3]  # the weights hold for every eyeball that is a scaled and moved one
    assert np.allclose(weight @ moved, 1.1 * centre + [1, 2, 3])
