"""The face's outline in a picture of labels: a disc on a neck, whose outline is known."""

import numpy as np
import pytest

from facefit.anatomy.parts import LABEL
from facefit.observe.outline import POINTS, STEP, face_outline

SIZE = 180
Y, X = np.mgrid[:SIZE, :SIZE] + 0.5
MIDDLE, RADIUS = np.array([90.0, 80.0]), 50.0
INSIDE = np.ones((SIZE, SIZE), bool)


def picture():
    labels = np.zeros((SIZE, SIZE), np.uint8)
    labels[(abs(X - 90) < 30) & (Y > 80)] = LABEL["neck"]
    labels[np.hypot(X - 90, Y - 80) < RADIUS] = LABEL["skin"]
    return labels


def seen(labels, inside=INSIDE):
    found = face_outline(labels, inside)
    assert found.shape == (POINTS, 6) and found.dtype == np.float32
    return found[found[:, 4:].sum(1) > 0]


def test_points_lie_on_the_outline_and_normals_point_out():
    found = seen(picture())
    offset = found[:, :2] - MIDDLE
    distance = np.linalg.norm(offset, axis=1)
    assert np.abs(distance - RADIUS).max() < 1 and abs(distance.mean() - RADIUS) < 0.2
    assert ((offset / distance[:, None]) * found[:, 2:4]).sum(1).min() > 0.97
    assert np.linalg.norm(found[:, 2:4], axis=1) == pytest.approx(1, abs=1e-5)
    apart = np.linalg.norm(found[:, None, :2] - found[None, :, :2], axis=2) + 1e9 * np.eye(len(found))
    assert apart.min() >= STEP * SIZE - 1e-4 and len(found) > 0.7 * 2 * np.pi * RADIUS / (STEP * SIZE)


def test_what_the_face_ends_against():
    found = seen(picture())
    assert set(map(tuple, found[:, 4:])) == {(1, 0), (0, 1)}
    neck = found[found[:, 5] > 0]
    assert (neck[:, 1] > 110).all() and (np.abs(neck[:, 0] - 90) < 33).all() and len(neck) >= 10


def test_no_outline_beside_hair_the_photos_end_or_holes():
    labels = picture()
    labels[Y < 60] = LABEL["hair"]
    labels[(np.hypot(X - 75, Y - 75) < 8)] = LABEL["glasses"]  # a hole in the face
    inside = X < 120
    found = seen(labels, inside)
    assert (found[:, 1] > 62).all() and (found[:, 0] < 118).all()
    assert np.linalg.norm(found[:, :2] - MIDDLE, axis=1).min() > RADIUS - 1
    assert len(found) > 10


def test_nothing_to_see():
    assert not face_outline(np.zeros((SIZE, SIZE), np.uint8), INSIDE).any()
    assert not face_outline(np.full((SIZE, SIZE), LABEL["skin"], np.uint8), INSIDE).any()
    under_hair = np.where(picture() == LABEL["skin"], LABEL["skin"], LABEL["hair"]).astype(np.uint8)
    assert not face_outline(under_hair, INSIDE).any()
