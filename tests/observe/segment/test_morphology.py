"""Masks grown and shrunk, against the definition and at their borders."""

import numpy as np
import pytest

from facefit.observe.segment.morphology import black_hat, disc, distance_to, grow, pieces, shrink


def masks() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    corner = np.zeros((9, 9), bool)
    corner[0, 8] = True
    return [rng.random((17, 23)) < 0.05, rng.random((17, 23)) < 0.9, corner]


def distance_naive(mask):
    places = np.argwhere(mask)
    rows, columns = np.indices(mask.shape)
    return np.sqrt(((np.stack([rows, columns], -1)[..., None, :] - places) ** 2).sum(-1)).min(-1)


@pytest.mark.parametrize("mask", masks())
def test_distances_are_exact(mask):
    np.testing.assert_allclose(distance_to(mask), distance_naive(mask))


@pytest.mark.parametrize("radius", [0, 0.9, 1, 1.5, 2.3, 6])
@pytest.mark.parametrize("mask", masks())
def test_growing_takes_in_a_disc_around_every_pixel(mask, radius):
    np.testing.assert_array_equal(grow(mask, radius), distance_naive(mask) <= radius)


def test_shrinking_is_the_growing_of_what_is_around():
    for mask in masks():
        np.testing.assert_array_equal(shrink(mask, 1.5), ~grow(~mask, 1.5))
    block = np.zeros((8, 8), bool)
    block[2:7, 2:7] = True
    assert shrink(block, 1).sum() == 9 and shrink(block, 2)[4, 4] and shrink(block, 2).sum() == 1
    assert not shrink(block, 3).any()


def test_the_pictures_border_is_no_end():
    left = np.zeros((6, 6), bool)
    left[:, :3] = True
    assert shrink(left, 1)[:, :2].all() and not shrink(left, 1)[:, 2:].any()


def test_empty_and_full_masks():
    none, every = np.zeros((4, 5), bool), np.ones((4, 5), bool)
    assert not grow(none, 100).any() and shrink(every, 100).all()
    assert grow(every, 3).all() and not shrink(none, 3).any()
    assert np.isinf(distance_to(none)).all() and (distance_to(every) == 0).all()


def test_pieces_touch_at_corners():
    mask = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]], bool)
    piece, count = pieces(mask)
    assert count == 2 and piece[0, 0] == piece[1, 1] != piece[2, 3] and (piece[~mask] == 0).all()
    assert pieces(np.zeros((3, 3), bool))[1] == 0


def test_a_disc_holds_what_lies_within_its_radius():
    assert disc(0.5).tolist() == [[True]]
    assert disc(1).sum() == 5 and disc(1.5).sum() == 9 and disc(2).sum() == 13


def test_a_black_hat_shows_narrow_dark_things_alone():
    picture = np.full((40, 40), 0.8)
    picture[:, 10:13] = 0.3  # three across: narrower than the disc
    picture[:, 22:40] = 0.3  # wide
    seen = black_hat(picture, 3)
    np.testing.assert_allclose(seen[:, 10:13], 0.5)
    np.testing.assert_allclose(np.delete(seen, [10, 11, 12], 1), 0, atol=1e-12)
