"""The detector on a photo that scikit-image ships."""

import numpy as np
import pytest
from PIL import Image

from facefit.anatomy.landmarks import MIRROR
from facefit.observe.detector import NetworkDetector, load_detector
from facefit.observe.faces import DetectedFace
from facefit.observe.views import attempts


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(data.astronaut()[:300, 80:380])


@pytest.fixture(scope="module")
def face(photo) -> DetectedFace:
    return load_detector().detect(photo)[0]


def test_detects_the_face_in_photo_pixels(face, photo):
    assert face.landmarks.shape == (478, 2) and face.landmarks.dtype == np.float32 and face.depth.shape == (478,)
    assert 0.5 <= face.score <= 1
    right, left, chin, nose = (face.landmarks[k] for k in (33, 263, 152, 1))
    assert right[0] < left[0] and chin[1] > nose[1] > right[1]  # the person's right eye is on the left of the photo
    assert face.depth[1] < face.depth[234] and face.depth[1] < face.depth[454]  # the nose is nearest
    assert 0 < face.box[0] < face.box[2] < photo.shape[1]


def test_answers_as_mediapipe_does(face):
    """What FaceMesh of mediapipe 0.10.21 found, through the same views: x, y and depth in photo pixels."""
    theirs = {
        1: (143.555, 130.871, -22.795),
        33: (115.389, 100.964, 4.045),
        61: (122.125, 139.581, 8.212),
        152: (141.597, 178.293, 9.209),
        263: (175.936, 104.195, 3.243),
        291: (165.277, 141.012, 7.748),
        468: (123.603, 101.184, 0.348),
        473: (166.603, 103.767, -0.244),
    }
    ours = np.concatenate([face.landmarks, face.depth[:, None]], 1)[list(theirs)]
    assert np.abs(ours - list(theirs.values())).max() < 0.003 * np.hypot(*(face.landmarks[33] - face.landmarks[263]))
    assert face.score == pytest.approx(0.9465, abs=0.01)


def test_photos_together_get_what_each_gets_alone(face, photo):
    """One with a face at once, one that needs another view, one without, and one with two faces."""
    empty = np.full((120, 160, 3), 90, np.uint8)
    turned = np.ascontiguousarray(np.rot90(photo))
    two = np.concatenate([photo, photo[:, ::-1]], 1)
    photos = [photo, turned, empty, two]
    together = load_detector().detect_many(photos)
    assert [len(faces) for faces in together] == [1, 1, 0, 2]
    for alone, faces in zip(map(load_detector().detect, photos), together, strict=True):
        for one, other in zip(alone, faces, strict=True):
            assert np.array_equal(one.landmarks, other.landmarks) and np.array_equal(one.depth, other.depth)
            assert one.score == other.score
    assert np.array_equal(together[0][0].landmarks, face.landmarks)
    assert load_detector().detect_many([]) == []


def test_only_the_views_that_are_wanted_are_looked_at(photo):
    turned = np.ascontiguousarray(np.rot90(photo, 2))
    groups = []

    def first(width, height):
        for group in list(attempts(width, height))[:1]:
            groups.append(group)
            yield group

    assert NetworkDetector(views=first).detect(turned) == [] and len(groups) == 1


def test_several_looks_agree_better_than_one(face, photo):
    """The mean of the looks at a photo and at its mirror image is nearly the same, that of single looks is not."""

    def asymmetry(detector):
        plain, mirrored = detector.detect(photo)[0], detector.detect(np.ascontiguousarray(photo[:, ::-1]))[0]
        back = mirrored.landmarks[MIRROR] * (-1, 1) + (photo.shape[1], 0)
        return np.linalg.norm(back - plain.landmarks, axis=1).mean()

    assert asymmetry(load_detector()) < 0.5 * asymmetry(load_detector(refine=False))


def test_same_photo_same_answer_whatever_was_seen_before(face, photo):
    detector = load_detector()
    detector.detect(np.ascontiguousarray(photo[:, ::-1]))
    again = detector.detect(photo)[0]
    assert np.array_equal(again.landmarks, face.landmarks) and np.array_equal(again.depth, face.depth)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_finds_turned_photos(face, photo, turns):
    turned = np.ascontiguousarray(np.rot90(photo, turns))
    found = load_detector().detect(turned)
    assert len(found) == 1
    points, side = face.landmarks, photo.shape[0]
    for _ in range(turns):  # rot90 is counter-clockwise: (x, y) -> (y, side - x)
        points = np.stack([points[:, 1], side - points[:, 0]], 1)
    assert np.linalg.norm(found[0].landmarks - points, axis=1).mean() < 0.04 * face.size


def test_small_faces_and_several_faces_are_found_and_sorted(face, photo):
    canvas = np.full((700, 1000, 3), 128, np.uint8)
    canvas[100:400, 600:900] = photo
    small = np.asarray(Image.fromarray(photo).resize((210, 210), Image.Resampling.BOX))
    canvas[450:660, 100:310] = small
    found = load_detector().detect(canvas)
    assert len(found) == 2 and found[0].size > found[1].size
    assert np.linalg.norm(found[0].landmarks - face.landmarks - (600, 100), axis=1).mean() < 0.03 * face.size
    expected = face.landmarks * 0.7 + (100, 450)
    assert np.linalg.norm(found[1].landmarks - expected, axis=1).mean() < 0.06 * 0.7 * face.size


def test_tight_crops_are_found(face, photo):
    left, top, right, bottom = (int(value) for value in face.box)
    crop = np.ascontiguousarray(photo[top + 5 : bottom - 2, left + 2 : right - 2])
    found = load_detector().detect(crop)
    assert len(found) == 1
    error = np.linalg.norm(found[0].landmarks + (left + 2, top + 5) - face.landmarks, axis=1).mean()
    assert error < 0.08 * face.size


def test_nothing_where_nothing_is():
    assert load_detector().detect(np.full((120, 160, 3), 90, np.uint8)) == []


def test_refuses_what_is_no_photo():
    for wrong in (np.zeros((10, 10), np.uint8), np.zeros((10, 10, 3), np.float32), np.zeros((10, 10, 4), np.uint8)):
        with pytest.raises(ValueError, match="expected \\(H, W, 3\\) uint8"):
            load_detector().detect(wrong)
    with pytest.raises(ValueError, match="max_faces is 0"):
        NetworkDetector(max_faces=0)


def test_writes_nothing_to_the_terminal(capfd):
    """Loaded anew; warnings are errors. What libraries say where they are imported is seen in test_cli's portrait."""
    load_detector.__wrapped__().detect(np.zeros((64, 64, 3), np.uint8))
    assert capfd.readouterr() == ("", "")
