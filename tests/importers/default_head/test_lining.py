"""The mouth's lining under the skin, on a flat face with a round mouth whose lining spreads out behind it."""

from types import SimpleNamespace

import numpy as np
import pytest

from facefit.importers.default_head.head import Head
from facefit.importers.default_head.lining import FLESH, with_lining_behind_skin

COLUMNS, SPACING, THIN = 24, 4.0, 1.0  # a ring's vertices; mm between rings; mm from the skin to the lining
SKIN, INSIDE = 10, 6  # rings outwards on the skin from the seam, and inwards on the lining


def flat_face() -> Head:
    """Rings around the mouth in the plane z = 0, and behind it, closed far back, those of the lining."""
    turn = 2 * np.pi * np.arange(COLUMNS) / COLUMNS
    around = np.stack([np.cos(turn), np.sin(turn), np.zeros(COLUMNS)], 1)
    outer = [(6 + SPACING * k) * around for k in range(SKIN)]
    inner = [(6 + SPACING * k) * around - [0, 0, THIN] for k in range(1, INSIDE)] + [around - [0, 0, 60.0]]
    ring = np.arange(COLUMNS)
    rows = [ring + COLUMNS * k for k in range(SKIN + INSIDE)]
    chain = rows[:SKIN][::-1] + rows[SKIN:]  # from the outside to the seam and on into the mouth
    quads = [np.stack([a, np.roll(a, -1), np.roll(b, -1), b], 1) for a, b in zip(chain[:-1], chain[1:], strict=True)]
    group = np.repeat(["skin"] * (SKIN - 1) + ["mouth"] * INSIDE, COLUMNS)
    verts = np.concatenate(outer + inner)
    base = SimpleNamespace(verts=verts, quads=np.concatenate(quads), group=group)
    dent = np.exp(-((verts - [24.0, 0, 0]) ** 2).sum(1) / 200)[:, None] * [0, 0, -9.0]
    dent[COLUMNS * SKIN :] = 0  # the lining does not follow
    opened = np.where(verts[:, 1:2] < 0, [0, -20.0, 0], 0.0)
    return Head(base, verts, dent[None], np.stack([opened, dent]), ("jawOpen", "mouthPressLeft"))


@pytest.fixture(scope="module")
def faces():
    head = flat_face()
    ring = (COLUMNS // 2 - np.arange(COLUMNS)) % COLUMNS
    mirror = np.concatenate([ring + COLUMNS * k for k in range(SKIN + INSIDE)])
    return head, with_lining_behind_skin(head, mirror)


def flesh(head: Head, verts: np.ndarray) -> np.ndarray:
    """mm between each vertex of the lining that lies under skin and the skin before it: both are rings alike."""
    return np.array([
        verts[COLUMNS * k : COLUMNS * (k + 1), 2] - verts[COLUMNS * (SKIN + k - 1) : COLUMNS * (SKIN + k), 2]
        for k in range(3, INSIDE)
    ])  # fmt: skip


def test_flesh_lies_between_skin_and_lining(faces):
    before, after = faces
    assert flesh(before, before.mean).max() == pytest.approx(THIN)
    assert flesh(after, after.mean).min() > FLESH - 0.2
    lip = slice(COLUMNS * SKIN, COLUMNS * (SKIN + 1))  # beside the seam it is thinner
    assert 0.9 < -after.mean[lip, 2].max() < FLESH


@pytest.mark.parametrize("state", ["a person", "an expression", "both"])
def test_no_dent_reaches_the_lining(faces, state):
    def shown(head: Head) -> np.ndarray:
        return head.mean + (state != "an expression") * head.identity[0] + (state != "a person") * head.expression[1]

    before, after = faces
    assert flesh(before, shown(before)).min() < -5  # through the skin
    assert flesh(after, shown(after)).min() > 0.5


def test_skin_and_throat_stay(faces):
    before, after = faces
    still = np.r_[: COLUMNS * SKIN, COLUMNS * (SKIN + INSIDE - 1) : len(before.mean)]
    for a, b in ((before.mean, after.mean), (before.identity[0], after.identity[0])):
        np.testing.assert_allclose(a[still], b[still], atol=1e-9)


def test_each_lips_lining_goes_with_its_lip(faces):
    opened = faces[1].unit("jawOpen")[COLUMNS * SKIN : COLUMNS * (SKIN + 3), 1].reshape(3, COLUMNS)
    quarter = COLUMNS // 4
    np.testing.assert_allclose(opened[:, quarter], 0, atol=0.5)
    np.testing.assert_allclose(opened[:, 3 * quarter], -20, atol=0.5)
