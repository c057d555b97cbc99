"""Landmarks moved to where people have them: over the skin, alike on both sides."""

from types import SimpleNamespace

import numpy as np
import pytest

from facefit.anatomy.landmarks import LANDMARKS, LID_PAIRS, MIRROR
from facefit.importers.default_head.seen import held_landmarks, moved

SIDE = 21  # vertices along each side of a square of 100 mm


def square():
    """A flat square of triangles that mirror each other, and behind it another one that is no skin."""
    line = np.linspace(-50, 50, SIDE)
    x, y = np.meshgrid(line, line)
    number = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    a, b, c, d = number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1]
    right = (x[:-1, :-1] + x[1:, 1:] > 0)[..., None]
    first = np.where(right, np.stack([a, b, c], -1), np.stack([a, b, d], -1))
    second = np.where(right, np.stack([a, c, d], -1), np.stack([b, c, d], -1))
    faces = np.concatenate([first.reshape(-1, 3), second.reshape(-1, 3)])
    front = np.stack([x, y, 0 * x], -1).reshape(-1, 3)
    count = len(front)
    mirror = number[:, ::-1].ravel()
    return np.concatenate([front, front + [0, 0, 0.01]]), SimpleNamespace(
        faces=np.concatenate([faces, faces + count]), face_group=np.repeat(["skin", "mouth"], len(faces)),
        symmetry=np.concatenate([mirror, mirror + count]),
    )  # fmt: skip


def test_landmarks_move_as_told_and_on_the_skin():
    verts, geometry = square()
    rng = np.random.default_rng(0)
    face = rng.integers(0, len(geometry.faces) // 2, LANDMARKS)
    bary = rng.dirichlet((1, 1, 1), LANDMARKS)
    shift = rng.uniform(-4, 4, (LANDMARKS, 2))
    shift[:20] = 0
    shift[MIRROR[:20]] = 0
    before = (verts[geometry.faces[face]] * bary[:, :, None]).sum(1)
    after_face, after_bary = moved(face, bary, geometry, verts, shift)
    after = (verts[geometry.faces[after_face]] * after_bary[:, :, None]).sum(1)
    assert (geometry.face_group[after_face] == "skin").all()
    right = MIRROR >= np.arange(LANDMARKS)  # the left ones follow them
    there = np.clip(before[:, :2] + shift * [1, -1], -50, 50)
    np.testing.assert_allclose(after[right, :2], there[right], atol=1e-6)
    go = shift.any(1) & (MIRROR != np.arange(LANDMARKS))
    np.testing.assert_allclose(after[go], after[MIRROR][go] * [-1, 1, 1], atol=1e-6)
    np.testing.assert_array_equal(after_face[~shift.any(1)], face[~shift.any(1)])


@pytest.mark.parametrize("landmark", [LID_PAIRS[0][0], 13, 14, 468, 477])
def test_what_closes_is_held(landmark):
    assert landmark in held_landmarks()
    assert not {1, 10, 152, 234} & set(held_landmarks().tolist())
