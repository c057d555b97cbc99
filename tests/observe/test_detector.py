"""Landmarks: topology by its symmetries, views by exact maps, the detector on a photo that scikit-image ships."""

import subprocess
import sys

import numpy as np
import pytest

from facefit.anatomy import landmarks as topology
from facefit.errors import NoFaceError
from facefit.observe.faces import DetectedFace, select_faces
from facefit.observe.mediapipe_detector import MediaPipeDetector, load_detector
from facefit.observe.views import _flip, _Pyramid, _square, _whole


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(data.astronaut()[:300, 80:380])


@pytest.fixture(scope="module")
def face(photo) -> DetectedFace:
    return load_detector().detect(photo)[0]


def test_mirror_swaps_the_sides_and_keeps_the_middle():
    mirror = topology.MIRROR
    assert (mirror[mirror] == np.arange(478)).all()
    assert (mirror[list(topology.MIDLINE)] == topology.MIDLINE).all()
    assert (mirror == np.arange(478)).sum() == len(topology.MIDLINE)
    for right, left in ((33, 263), (133, 362), (61, 291), (234, 454), (468, 473), (70, 300), (98, 327)):
        assert mirror[right] == left


def test_loops_name_each_point_once_and_are_their_own_mirror_image():
    for loop in (topology.NOSE, topology.LIPS_OUTER, topology.LIPS_INNER, topology.FACE_OVAL):
        assert len(set(loop)) == len(loop)
        assert set(topology.mirrored(loop)) == set(loop)
    assert set(topology.mirrored(topology.RIGHT_BROW)) == set(topology.LEFT_BROW)
    assert not set(topology.RIGHT_EYE) & set(topology.LEFT_EYE)


def make_face(left: float, size: float) -> DetectedFace:
    points = np.zeros((478, 2), np.float32)
    points[:, 0] = left + np.linspace(0, size, 478)
    return DetectedFace(points, np.zeros(478, np.float32), 0.9)


def test_select_faces():
    faces = [make_face(0, 90), make_face(100, 50)]
    assert select_faces(faces) == [faces[0]]
    assert select_faces(faces, "all") == faces
    assert select_faces(faces, 2) == [faces[1]] == select_faces(faces, "2")
    with pytest.raises(NoFaceError, match="face 3 .* 2 faces"):
        select_faces(faces, 3)
    with pytest.raises(NoFaceError, match="no face found"):
        select_faces([], "all")
    for wrong in ("biggest", 0, "-1", "1.5"):
        with pytest.raises(ValueError, match="expected 'largest'"):
            select_faces(faces, wrong)


@pytest.mark.parametrize(
    "view",
    [
        _whole(90, 60, 30, margin=0.3),
        _whole(90, 60, 90),
        _square(np.array([40.0, 30.0]), 33.0, 80, -20),
        _flip(_square(np.array([40.0, 30.0]), 33.0, 80, 10)),
    ],
    ids=["turned", "upright", "crop", "mirrored"],
)
def test_a_view_shows_each_point_where_its_map_says(view):
    """A blob of the photo is found in the view, and carried back to where it is in the photo."""
    at = np.array([41.5, 33.5])
    y, x = np.mgrid[:60, :90] + 0.5
    blob = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / 8)
    picture = view.render(_Pyramid(np.repeat((255 * blob)[..., None], 3, 2).astype(np.uint8)))[..., 0].astype(float)
    assert picture.shape == (view.height, view.width)
    y, x = np.mgrid[: view.height, : view.width] + 0.5
    seen = np.array([[(picture * x).sum(), (picture * y).sum(), 0]]) / picture.sum()
    assert np.abs(view.to_photo(seen)[0, :2] - at).max() < 0.1


def test_a_shrunken_view_is_not_aliased():
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    small = _whole(512, 512, side=64).render(_Pyramid(stripes))
    assert small.shape == (64, 64, 3)
    assert np.abs(small[4:-4, 4:-4].astype(int) - 127).max() <= 3


def test_a_mirrored_view_gives_the_person_the_right_sides_back():
    points = np.random.default_rng(0).uniform(0, 64, (478, 3))
    plain = _square(np.array([32.0, 32.0]), 64.0, 64)
    seen = points.copy()
    seen[:, 0] = 64 - seen[:, 0]
    assert np.allclose(_flip(plain).to_photo(seen[topology.MIRROR]), points)


def test_detects_the_face_in_photo_pixels(face, photo):
    assert face.landmarks.shape == (478, 2) and face.landmarks.dtype == np.float32 and face.depth.shape == (478,)
    assert 0.5 <= face.score <= 1
    right, left, chin, nose = (face.landmarks[k] for k in (33, 263, 152, 1))
    assert right[0] < left[0] and chin[1] > nose[1] > right[1]  # the person's right eye is on the left of the photo
    assert face.depth[1] < face.depth[234] and face.depth[1] < face.depth[454]  # the nose is nearest
    assert 0 < face.box[0] < face.box[2] < photo.shape[1]


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
    import cv2

    canvas = np.full((700, 1000, 3), 128, np.uint8)
    canvas[100:400, 600:900] = photo
    small = cv2.resize(photo, (210, 210), interpolation=cv2.INTER_AREA)
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
        MediaPipeDetector(max_faces=0)


def test_writes_nothing_to_the_terminal():
    program = (
        "import numpy as np; from facefit.observe.mediapipe_detector import load_detector;"
        "load_detector().detect(np.zeros((64, 64, 3), 'u1'))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
