"""The landmarks' names and loops agree with one another."""

import numpy as np

from facefit.anatomy import landmarks
from facefit.anatomy.landmarks import EYE_CORNERS, FACE_OVAL, IRISES, LANDMARKS, LANDMARKS7, MIDLINE, MIRROR


def test_mirroring_twice_changes_nothing():
    assert sorted(MIRROR.tolist()) == list(range(LANDMARKS)) and (MIRROR[MIRROR] == np.arange(LANDMARKS)).all()
    assert (MIRROR[list(MIDLINE)] == MIDLINE).all()
    assert sorted(MIRROR[IRISES].tolist()) == list(range(468, 478))


def test_right_mirrors_left():
    for name in ("OUTER_CORNER", "INNER_CORNER", "MOUTH_CORNER", "SIDE"):
        right, left = (getattr(landmarks, f"{side}_{name}") for side in ("RIGHT", "LEFT"))
        assert MIRROR[right] == left, name
    for name in ("FOREHEAD", "CHIN", "NOSE_TIP", "NOSE_BASE", "UPPER_LIP_TOP", "LOWER_LIP_BOTTOM"):
        assert getattr(landmarks, name) in MIDLINE, name


def test_the_oval_holds_forehead_chin_and_sides():
    half = len(FACE_OVAL) // 2
    assert FACE_OVAL[0] == landmarks.FOREHEAD and FACE_OVAL[half] == landmarks.CHIN
    assert FACE_OVAL.index(landmarks.LEFT_SIDE) < half < FACE_OVAL.index(landmarks.RIGHT_SIDE)  # it turns to the left


def test_points_of_evaluation():
    assert LANDMARKS7 == (33, 133, 362, 263, 2, 61, 291) and EYE_CORNERS == LANDMARKS7[:4]
    assert len(LANDMARKS7) == len(landmarks.LANDMARK7_NAMES) and len(set(landmarks.IBUG68)) == 68


def test_mirror_swaps_the_sides_and_keeps_the_middle():
    mirror = landmarks.MIRROR
    assert (mirror[mirror] == np.arange(478)).all()
    assert (mirror[list(landmarks.MIDLINE)] == landmarks.MIDLINE).all()
    assert (mirror == np.arange(478)).sum() == len(landmarks.MIDLINE)
    for right, left in ((33, 263), (133, 362), (61, 291), (234, 454), (468, 473), (70, 300), (98, 327)):
        assert mirror[right] == left


def test_loops_name_each_point_once_and_are_their_own_mirror_image():
    for loop in (landmarks.NOSE, landmarks.LIPS_OUTER, landmarks.LIPS_INNER, landmarks.FACE_OVAL):
        assert len(set(loop)) == len(loop)
        assert set(landmarks.mirrored(loop)) == set(loop)
    assert set(landmarks.mirrored(landmarks.RIGHT_BROW)) == set(landmarks.LEFT_BROW)
    assert not set(landmarks.RIGHT_EYE) & set(landmarks.LEFT_EYE)
