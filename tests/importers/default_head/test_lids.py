"""Eyeballs and lids on a mask of two rings of skin: they lie on the eyeballs and close for whoever it is."""

import numpy as np
import pytest
from scipy.sparse import identity as unit_matrix

from facefit.importers.default_head.eyes import (
    EDGE,
    FILM,
    RADIUS,
    RIM,
    SUNK,
    TEARS,
    angles,
    both_lids,
    surface_radius,
    with_eyeballs,
    with_lids_on_eyeballs,
)
from facefit.importers.default_head.head import Head
from facefit.importers.default_head.lids import with_closing_lids
from facefit.importers.default_head.makehuman import BaseMesh

COLUMNS, RINGS, PEOPLE = 20, 13, 6
NAMES = ("eyeBlinkLeft", "eyeBlinkRight", "jawOpen")


def ball(centre, count=9):
    """A sphere of rings of quads about the z axis, open at both ends."""
    tilt, turn = np.linspace(0.15, np.pi - 0.15, count), np.arange(8) * np.pi / 4
    direction = np.stack([
        np.sin(tilt)[:, None] * np.cos(turn), np.sin(tilt)[:, None] * np.sin(turn), np.cos(tilt)[:, None] + 0 * turn,
    ], -1)  # fmt: skip
    number = np.arange(8 * count).reshape(count, 8)
    quads = np.stack([number[:-1], np.roll(number[:-1], -1, 1), np.roll(number[1:], -1, 1), number[1:]], -1)
    return centre + 14.5 * direction.reshape(-1, 3), quads.reshape(-1, 4)


def skin(side):
    """Rings of skin around an opening, its margin turned in, further out to one side so that holes are told apart."""
    turn = side * np.arange(COLUMNS) * 2 * np.pi / COLUMNS
    rows = []
    for ring in range(RINGS):
        grow = 1 + 0.09 * max(ring - EDGE, 0)
        depth = 12.0 + min(ring, EDGE) * 1.4 - 0.2 * max(ring - EDGE, 0)
        x = side * 31 + 12 * grow * np.cos(turn) + 0.3 * ring
        rows.append(np.stack([x, 4.5 * grow * np.sin(turn), depth - 4 * np.cos(turn) ** 2], 1))
    number = np.arange(COLUMNS * RINGS).reshape(RINGS, COLUMNS)
    quads = np.stack([number[:-1], np.roll(number[:-1], -1, 1), np.roll(number[1:], -1, 1), number[1:]], -1)
    return np.concatenate(rows), quads.reshape(-1, 4)


@pytest.fixture(scope="module")
def head():
    verts, quads, group = [], [], []
    for name, (points, faces) in {
        "right_eye": ball(np.array([-31.0, 0, 0])), "left_eye": ball(np.array([31.0, 0, 0])),
        "skin": skin(-1), "skin ": skin(1),
    }.items():  # fmt: skip
        quads.append(faces + sum(map(len, verts)))
        verts.append(points)
        group += [name.strip()] * len(faces)
    place, none = np.concatenate(verts), np.zeros(0, int)
    quads = np.concatenate(quads)
    base = BaseMesh(place, quads, np.zeros((0, 2)), quads, np.array(group), np.arange(len(place)), none, none, none)
    rng = np.random.default_rng(0)
    # people: moved, larger, with eyes more or less open, and a little of everything
    people = np.stack([np.ones_like(place), 0.02 * place, place * [0, 0.15, 0], place * [0.03, 0, 0],
                       np.abs(place) * [0, 0.02, 0], rng.normal(0, 0.1, place.shape)])  # fmt: skip
    units = np.zeros((3, *place.shape))
    skin_only = np.isin(np.arange(len(place)), quads[base.group == "skin"])
    for number, side in ((0, 1), (1, -1)):
        mine = (np.sign(place[:, 0]) == side) & (place[:, 1] > 0) & skin_only
        units[number, mine, 1] = -1.6 * place[mine, 1] * np.clip(1 - (place[mine, 1] - 4) / 5, 0, 1)
    head = with_eyeballs(Head(base, place, people, units, NAMES), unit_matrix(len(place), format="csr"))
    return with_closing_lids(with_lids_on_eyeballs(head))


def shaped(head, identity, **activations):
    out = head.mean + np.tensordot(identity, head.identity, 1)
    for name, value in activations.items():
        out = out + value * head.unit(name)
        for shape, number, direction in zip(
            head.corrective, head.corrective_expression, head.corrective_identity, strict=True
        ):
            out = out + (head.names[number] == name) * value * (direction @ identity) * shape
    return out


def test_eyeballs_are_round_and_of_an_adults_size(head):
    for name, centre in zip(("right_eye", "left_eye"), head.eye_centre, strict=True):
        offset = head.mean[head.piece(name)] - centre
        assert np.allclose(np.linalg.norm(offset, axis=1), surface_radius(angles(offset)), atol=0.05)
        assert np.ptp(offset[:, 0]) == pytest.approx(2 * RADIUS, abs=1.0)
        moves = head.identity[:, head.piece(name)]
        assert np.ptp(moves, axis=1).max() < 1e-9  # nothing but a shift for each component


def test_margins_end_in_the_eyeball_whoever_it_is(head):
    rng = np.random.default_rng(1)
    for identity in 0.7 * rng.standard_normal((8, PEOPLE)):
        verts = shaped(head, identity)
        for name, centre, lids in zip(("right_eye", "left_eye"), head.eye_centre, both_lids(head), strict=True):
            middle = centre + (identity @ head.identity[:, head.piece(name)[0]])
            for ring, height in ((RIM, SUNK), (TEARS, FILM)):
                offset = verts[lids.column[ring]] - middle
                found = np.linalg.norm(offset, axis=1) - surface_radius(angles(offset))
                assert np.abs(found - height).max() < 0.6


def test_a_whole_blink_closes_every_pair_of_everybody(head):
    rng = np.random.default_rng(2)
    for identity in rng.standard_normal((20, PEOPLE)):
        verts = shaped(head, identity, eyeBlinkLeft=1.0, eyeBlinkRight=1.0)
        open_eyes = shaped(head, identity)
        for lids in both_lids(head):
            upper = verts[lids.column[EDGE, lids.upper]]
            gap = np.linalg.norm(upper[:, None] - _line(verts[lids.column[EDGE]], lids)[None], axis=2).min(1)
            assert gap.max() < 0.35
            heights = open_eyes[lids.column[EDGE], 1]
            assert heights[lids.upper].max() - heights[lids.lower].min() > 4


def _line(edge, lids):
    """Points close together along the lower lid, corners included."""
    chain = edge[[lids.corners[0], *lids.lower, lids.corners[1]]]
    share = np.linspace(0, 1, 20)[:, None, None]
    return ((1 - share) * chain[:-1] + share * chain[1:]).reshape(-1, 3)


def test_half_a_blink_is_half_way(head):
    identity = np.zeros(PEOPLE)
    verts = [shaped(head, identity, eyeBlinkRight=value) for value in (0.0, 0.5, 1.0)]
    assert np.allclose(verts[1], (verts[0] + verts[2]) / 2)
    lids = both_lids(head)[0]
    assert np.allclose(verts[2][lids.column[EDGE, lids.corners]], verts[0][lids.column[EDGE, lids.corners]], atol=0.5)
