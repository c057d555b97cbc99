"""What the network saw, brought from its upright crop into the fit's window, wherever and however the face lies."""

from dataclasses import replace

import numpy as np
import pytest

from facefit.anatomy.landmarks import MIRROR
from facefit.errors import FaceFitError
from facefit.observe import dense
from facefit.observe.dense import MAPS, REACH, DenseObserver, load_dense, load_points
from facefit.observe.dense_surface import MAP_SIDE, SIDE

SIZE = 224


@pytest.fixture(scope="module")
def definition():
    return load_points()


@pytest.fixture(scope="module")
def landmarks(default_model):
    """(478, 3) window pixels of the mean face from before."""
    points = default_model.landmarks(default_model.verts[None])[0].double().numpy()
    return np.stack([112 + 0.7 * points[:, 0], 120 - 0.7 * points[:, 1], -0.7 * points[:, 2]], 1)


def turned(landmarks: np.ndarray, angle: float) -> np.ndarray:
    """In a photo that is turned to the right about the window's middle."""
    c, s = np.cos(angle), np.sin(angle)
    middle = (SIZE / 2, SIZE / 2)
    return np.column_stack([(landmarks[:, :2] - middle) @ np.array([[c, -s], [s, c]]).T + middle, landmarks[:, 2]])


def answering(definition, maps: np.ndarray) -> DenseObserver:
    """A network that sees the same in every face, and in a mirror its mirror image."""

    def network(colours: np.ndarray, guess: np.ndarray) -> np.ndarray:
        assert colours.shape == (2, 3, SIDE, SIDE) and guess.shape == (2, 7, MAP_SIDE, MAP_SIDE)
        np.testing.assert_array_equal(colours[1], colours[0][..., ::-1])
        across = np.ones((MAPS, 1, 1), np.float32)
        across[[0, 4]] = -1
        return np.stack([maps, maps[..., ::-1] * across])

    return DenseObserver(definition, network)


def flat_maps(normal, right: float = 0.0, sure: float = -3.0, spread: float = -1.0) -> np.ndarray:
    maps = np.zeros((MAPS, MAP_SIDE, MAP_SIDE), np.float32)
    maps[:3] = np.array(normal, np.float32)[:, None, None]
    maps[3], maps[4], maps[7] = sure, right / REACH, spread
    return maps


IMAGE, SKIN = np.full((SIZE, SIZE, 3), 0.5, np.float32), np.ones((SIZE, SIZE), np.float32)


@pytest.mark.parametrize("angle", [0.0, 0.5, -2.0])
def test_what_was_seen_lies_where_the_photo_has_it(definition, landmarks, angle):
    """Normals and shifts are seen in the upright crop and given in the photo."""
    looked = turned(landmarks, angle)
    points, normals = answering(definition, flat_maps((0.6, 0.48, 0.64), right=3.0)).look(IMAGE, looked, SKIN)
    plain = answering(definition, flat_maps((0, 0, 1))).look(IMAGE, looked, SKIN)[0]
    start = definition.surface.guess(looked[None])[0]
    np.testing.assert_allclose(plain[:, :2], start[:, :2], atol=1e-3)
    low, high = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    pixel = (4 / 3) * (high - low).max() / SIDE  # of the crop, in pixels of the window
    right = np.array([np.cos(angle), np.sin(angle)])  # of the face, in the window
    np.testing.assert_allclose(points[:, :2] - plain[:, :2], np.tile(3 * pixel * right, (len(points), 1)), atol=0.02)
    expected = (0.6 * right[0] + 0.48 * right[1], 0.48 * right[0] - 0.6 * right[1], 0.64)
    np.testing.assert_allclose(normals[:, :3], np.tile(expected, (len(normals), 1)), atol=1e-3)
    assert points[:, 2] == pytest.approx(pixel * np.sqrt(3 * (REACH * np.exp(-1)) ** 2 + 1), rel=1e-3)
    assert normals[:, 3] == pytest.approx(np.sqrt(3 * np.exp(-6) + 0.03**2), rel=1e-3)


def test_what_shows_no_skin_and_what_lies_outside_does_not_count(definition, landmarks):
    skin, observer = SKIN.copy(), answering(definition, flat_maps((0, 0, 1)))
    skin[:, :112] = 0
    points, normals = observer.look(IMAGE, landmarks, skin)
    left, right = points[:, 0] < 108, points[:, 0] > 116
    assert left.sum() > 50 and points[left, 3].max() < 0.1 and np.median(points[right, 3]) == 1
    assert 0.3 < normals[:, 4].mean() < 0.6
    beside = observer.look(IMAGE, landmarks + (150, 0, 0), SKIN)[0]
    outside = beside[:, 0] > SIZE + 3
    assert outside.sum() > 100 and beside[outside, 3].max() == 0


def test_the_bundled_network_sees_a_mirror_image_as_a_mirror_image(definition, landmarks):
    image = np.random.default_rng(0).random((SIZE, SIZE, 3), np.float32)
    mirrored = landmarks[MIRROR] * (-1, 1, 1) + (SIZE, 0, 0)
    observer = load_dense()
    seen, other = observer.look(image, landmarks, SKIN), observer.look(image[:, ::-1], mirrored, SKIN)
    for points, normals in (seen, other):
        assert points.shape == (len(definition.vertices), 4) and normals.shape == (len(definition.edges), 5)
        np.testing.assert_allclose(np.linalg.norm(normals[:, :3], axis=1), 1, atol=1e-5)
    # the points of one face are not those of the other mirrored, but they lie in one cloud
    assert np.abs(SIZE - seen[0][:, 0].mean() - other[0][:, 0].mean()) < 1.5
    assert seen[1][:, 2].mean() == pytest.approx(other[1][:, 2].mean(), abs=0.05)


def test_a_missing_file_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(dense, "bundled", lambda name: tmp_path / name)
    with pytest.raises(FaceFitError, match=r"dense\.onnx: no such file; `make observation` trains it"):
        load_dense()


def test_points_are_those_of_the_default_head(definition, default_model):
    verts = default_model.verts
    points = default_model.dense_points(verts[None])[0]
    assert (points - verts[definition.vertices]).abs().max() == 0
    assert definition.edges.max() < len(points) and replace(definition).surface.corners.max() < 468
