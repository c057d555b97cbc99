"""Loose pieces as bodies: turned like the first face's, shifted with the skin of their own."""

import numpy as np
from scipy.spatial.transform import Rotation

from facefit.rig.pieces import carried_piece, rigid_motion

TURN = Rotation.from_rotvec([0.4, 0.0, 0.1])
HINGE = np.array([0.0, 20.0, -60.0])


def opened(points):
    return (points - HINGE) @ TURN.as_matrix().T + HINGE - points


def test_a_row_of_teeth_opens_about_the_hinge_of_its_own_jaw():
    """A jaw that is a fifth longer: its lip goes a fifth further, and so do the teeth behind it."""
    rng = np.random.default_rng(3)
    first = np.concatenate(
        [rng.uniform(-15, 15, (40, 3)) + [0, -20, 20], rng.uniform(-15, 15, (200, 3)) + [0, -25, 28]]
    )
    piece, skin = np.arange(40), np.arange(40, 240)
    second = HINGE + 1.2 * (first - HINGE)
    still = skin[:80]  # skin that belongs to another bone
    shape = opened(first)
    shape[still] = 0
    carried = opened(second)
    carried[still] = 0
    carried[piece] = np.nan  # not known yet
    found = carried_piece(first, second, piece, shape, carried, skin)
    assert np.allclose(found, opened(second)[piece], atol=1e-6)
    assert np.abs(found - shape[piece]).max() > 3


def test_what_is_no_turn_stays_what_it_is():
    rng = np.random.default_rng(4)
    first = rng.normal(0, 10, (60, 3))
    shape = np.zeros_like(first)
    shape[:30, 2] = np.linspace(0, 20, 30)
    found = carried_piece(first, 1.1 * first, np.arange(30), shape, np.zeros_like(first), np.arange(30, 60))
    rotation, shift = rigid_motion(first[:30], first[:30] + shape[:30])
    assert np.allclose(found.mean(0), shift)
    assert np.abs(found - shape[:30]).max() < 0.11 * np.abs((rotation - np.eye(3)) @ first[:30].T).max() + 1e-6


def test_a_piece_that_rests_rests():
    first = np.random.default_rng(5).normal(0, 10, (20, 3))
    nothing = np.zeros_like(first)
    assert not carried_piece(first, first + 3, np.arange(10), nothing, nothing + 1, np.arange(10, 20)).any()
