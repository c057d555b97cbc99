"""The parser's crops: where they lie, that they follow the face, and that what they saw goes back where it was."""

import numpy as np
import pytest

from facefit.anatomy.landmarks import MIRROR
from facefit.observe.detector import load_detector
from facefit.observe.segment.face_crops import (
    CHANNELS,
    CLASS_LABEL,
    CLASSES,
    DETAIL_SIDE,
    FACE_SIDE,
    MIRROR_CLASS,
    Crop,
    crop_input,
    exposure,
    face_crops,
    prior,
)


@pytest.fixture(scope="module")
def portrait() -> tuple[np.ndarray, np.ndarray]:
    """(512, 512, 3) float32 and its landmarks."""
    photo = pytest.importorskip("skimage.data").astronaut()
    return photo.astype(np.float32) / 255, load_detector().detect(photo)[0].landmarks


def turned(landmarks: np.ndarray, degrees: float, zoom: float, shift: tuple[float, float]) -> np.ndarray:
    angle = np.radians(degrees)
    matrix = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return landmarks @ matrix.T + shift


def test_every_class_has_its_label_and_its_mirror_image():
    assert len(CLASSES) == 15 and "head" not in CLASSES
    assert CLASS_LABEL[CLASSES.index("hair")] == 13
    assert CLASSES[MIRROR_CLASS[CLASSES.index("left_brow")]] == "right_brow"
    assert (MIRROR_CLASS[MIRROR_CLASS] == np.arange(15)).all()
    assert MIRROR_CLASS[0] == 0 and MIRROR_CLASS[CLASSES.index("upper_lip")] == CLASSES.index("upper_lip")


@pytest.mark.parametrize("degrees, zoom, shift", [(30, 1.0, (0, 0)), (-75, 0.5, (90, -20)), (180, 2.0, (5, 5))])
def test_a_crop_shows_the_same_however_the_head_lies_in_the_picture(portrait, degrees, zoom, shift):
    landmarks = portrait[1].astype(np.float64)
    for here, there in zip(face_crops(landmarks), face_crops(turned(landmarks, degrees, zoom, shift)), strict=True):
        points = there.points(turned(landmarks, degrees, zoom, shift))
        np.testing.assert_allclose(here.points(landmarks), points, atol=1e-6)


def test_crops_hold_what_they_are_for(portrait):
    landmarks = portrait[1]
    face, right, left, mouth = face_crops(landmarks)
    assert (face.side, right.side, mouth.side) == (FACE_SIDE, DETAIL_SIDE, DETAIL_SIDE)
    for crop, index in ((face, range(468)), (right, (33, 133, 70, 107)), (mouth, (61, 291, 0, 17))):
        points = crop.points(landmarks)[list(index)]
        assert points.min() > 0 and points.max() < crop.side
    # the mirrored left eye is named and lies like a right one
    points = left.points(landmarks)
    assert left.mirrored and points[33, 0] < points[133, 0] and right.points(landmarks)[33, 0] < DETAIL_SIDE / 2
    np.testing.assert_allclose(points[33], left.matrix[:, :2] @ landmarks[MIRROR[33]] + left.matrix[:, 2], atol=1e-4)


def test_a_crop_of_scale_one_is_the_picture(portrait):
    image = portrait[0]
    crop = Crop(np.array([[1.0, 0, -100], [0, 1, -60]]), 96)
    np.testing.assert_array_equal(crop.sample(image), image[60:156, 100:196].transpose(2, 0, 1))
    labels = (image[..., 0] * 10).astype(np.uint8)
    np.testing.assert_array_equal(crop.sample_labels(labels, 99), labels[60:156, 100:196])
    beyond = Crop(np.array([[1.0, 0, 10], [0, 1, 0]]), 96).sample_labels(labels, 99)
    assert (beyond[:, :10] == 99).all() and (beyond[:, 10:] == labels[:96, :86]).all()


def test_half_scale_averages_instead_of_skipping():
    stripes = np.tile(np.array([0.0, 1.0], np.float32), (64, 32))
    seen = Crop(np.array([[0.5, 0, 0], [0, 0.5, 0]]), 32).sample(stripes[..., None])[0]
    assert np.abs(seen[4:-4, 4:-4] - 0.5).max() < 0.1


def test_what_was_seen_in_a_crop_goes_back_where_it_was(portrait):
    landmarks = portrait[1]
    size = 512
    eye = landmarks[[263, 362]].mean(0)
    y, x = np.mgrid[:size, :size] + 0.5
    mask = (np.hypot(x - eye[0], y - eye[1]) < 12).astype(np.float32)
    for crop in (face_crops(landmarks)[0], face_crops(landmarks)[2]):
        left, top, right, bottom = reach = crop.reach(size)
        back = np.zeros((size, size), bool)
        back[top:bottom, left:right] = crop.back(crop.sample(mask[..., None]), reach)[0] > 0.5
        overlap = (back & (mask > 0.5)).sum() / (back | (mask > 0.5)).sum()
        assert overlap > 0.85


def test_input_is_relative_to_the_face_and_bounded(portrait):
    image, landmarks = portrait
    crops = face_crops(landmarks)
    darker = image * 0.4 + 0.05
    one = crop_input(image, landmarks, crops[0], exposure(image, landmarks))
    other = crop_input(darker, landmarks, crops[0], exposure(darker, landmarks))
    assert one.shape == (CHANNELS, FACE_SIDE, FACE_SIDE) and one.dtype == np.float32
    np.testing.assert_allclose(one, other, atol=1e-3)
    assert np.abs(one).max() <= 4


def test_prior_puts_each_part_on_its_landmarks(portrait):
    crop = face_crops(portrait[1])[0]
    points = crop.points(portrait[1])
    seen = prior(points, crop.side)
    assert seen.shape == (9, crop.side, crop.side) and set(np.unique(seen)) == {0.0, 1.0}
    for channel, index in ((1, 1), (2, 468), (3, 473)):  # nose, right eye, left eye
        x, y = points[index].astype(int)
        assert seen[channel, y, x] == 1
    assert seen[2].sum() < seen[1].sum() < seen[0].sum()


def test_a_flat_face_in_one_place_still_has_crops():
    landmarks = np.full((478, 2), 50.0)
    for crop in face_crops(landmarks):
        assert np.isfinite(crop.matrix).all()
