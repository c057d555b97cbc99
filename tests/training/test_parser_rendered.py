"""Rendered people: labels that are where the model is, the same person from the same seed, a cache that can be read."""

import numpy as np
import pytest
from helpers.places import EVAL_DATA

from facefit.anatomy.landmarks import LEFT_EYE, LIPS_OUTER, RIGHT_EYE
from facefit.anatomy.parts import LABEL
from facefit.photo.window import crop_window
from facefit.synth.heads import SKIN, own_head
from facefit.synth.painted_skin import Brows, Surface, brow_band, label_surface
from facefit.synth.photograph import photograph
from training.parser import rendered_people as module
from training.parser.ict_head import ict_head

ICT = EVAL_DATA / "ict_facekit.npz"


@pytest.fixture(scope="module")
def shots():
    """Eight photographs of the bundled model, without the detector."""
    return [photograph(own_head(), np.random.default_rng((7, number)), 224) for number in range(8)]


def test_a_photograph_has_its_shapes_and_no_label_of_the_mesh_alone(shots):
    for shot in shots:
        assert shot.image.shape == (224, 224, 3) and shot.image.dtype == np.float32
        assert 0 <= shot.image.min() and shot.image.max() <= 1
        assert shot.labels.shape == (224, 224) and shot.labels.dtype == np.uint8
        assert shot.landmarks.shape == (478, 2)
        assert LABEL["head"] not in shot.labels  # a bald head is skin
        for name in ("skin", "nose", "background"):
            assert (shot.labels == LABEL[name]).sum() > 50, name


def test_labels_lie_where_the_true_landmarks_are(shots):
    for shot in shots:
        for name, loop, reach in (("nose", (1, 4, 5), 20), ("lower_lip", LIPS_OUTER, 25)):
            rows, columns = np.nonzero(shot.labels == LABEL[name])
            if len(rows) > 30:
                centre = shot.landmarks[list(loop)].mean(0)
                assert np.hypot(columns.mean() - centre[0], rows.mean() - centre[1]) < reach
    found = 0
    for shot in shots:
        for name, loop in (("right_eye", RIGHT_EYE), ("left_eye", LEFT_EYE)):
            rows, columns = np.nonzero(shot.labels == LABEL[name])
            if len(rows) > 8:
                centre = shot.landmarks[list(loop)].mean(0)
                assert np.hypot(columns.mean() - centre[0], rows.mean() - centre[1]) < 6
                found += 1
    assert found >= 6


def test_the_same_seed_gives_the_same_photograph(shots):
    again = photograph(own_head(), np.random.default_rng((7, 3)), 224)
    np.testing.assert_array_equal(again.labels, shots[3].labels)
    np.testing.assert_array_equal(again.image, shots[3].image)


def test_right_is_the_persons_right():
    x = np.array([[-30.0, 30.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    y = np.array([[55.0, 55.0, 5.0, -29.0, -39.0, -60.0, -100.0]])
    z = np.array([[98.0, 98.0, 125.0, 116.0, 114.0, 105.0, 60.0]])
    paint = np.stack([x, y, z], 2).astype(np.float32)
    kind, ear = np.full((1, 7), SKIN, np.uint8), np.zeros((1, 7), np.float32)
    surface = Surface(paint, kind, ear, None, np.zeros((1, 7, 3)), own_head().lid)
    brows = Brows((0.0, 0.0), 1.0, 1.0, np.zeros(3, np.float32), 1.0)
    labels = label_surface(surface, brow_band(paint, brows))[0]
    expected = ("right_brow", "left_brow", "nose", "upper_lip", "lower_lip", "skin", "neck")
    assert labels.tolist() == [LABEL[name] for name in expected]


def test_the_bundled_head_is_ready_to_be_painted():
    head = own_head()
    assert head.paint.shape == head.verts.shape and head.openness.shape == (len(head.verts),)
    assert 0 <= head.openness.min() and head.openness.max() <= 1.001
    # the painting frame's landmarks: outer corners of the eyes and corners of the mouth
    paint = np.einsum("lc,lcd->ld", head.landmark_bary, head.paint[head.faces[head.landmark_faces]])
    np.testing.assert_allclose(paint[33, :2], (-44.6, 34.3), atol=1.5)
    np.testing.assert_allclose(paint[291, :2], (25.3, -35.2), atol=1.5)
    ears = head.verts[head.ear > 0.5]
    assert len(ears) > 200 and (ears[:, 0] > 0).any() and (ears[:, 0] < 0).any()
    turned = head.shape(np.zeros(100), {"eyeBlinkLeft": 1.0}, np.zeros((2, 2)))
    moved = np.abs(turned - head.verts).max(1) > 2
    assert moved.any() and (head.verts[moved, 0] > 0).mean() > 0.9  # the person's left is +x


class _TrueDetector:
    """Finds every face exactly where it is told to."""

    def __init__(self, landmarks: np.ndarray) -> None:
        self.landmarks = landmarks

    def detect(self, image: np.ndarray) -> list:
        from facefit.observe.faces import DetectedFace

        return [DetectedFace(self.landmarks.astype(np.float32), np.zeros(478, np.float32), 0.9)]


def test_a_sample_is_the_loose_window_of_its_landmarks():
    shot = photograph(own_head(), np.random.default_rng((7, 0)))
    sample = module.render_sample(own_head(), np.random.default_rng((7, 0)), _TrueDetector(shot.landmarks))
    assert sample.image.shape == (module.SIDE, module.SIDE, 3) and sample.image.dtype == np.uint8
    assert sample.labels.shape == (module.SIDE, module.SIDE) and sample.source == "facefit"
    np.testing.assert_allclose(sample.landmarks, sample.true_landmarks, atol=1e-2)
    again = crop_window(sample.landmarks, module.SIDE, 1.6 * 1.25)
    np.testing.assert_allclose(again.origin[0], 0, atol=0.05)
    assert float(again.scale) == pytest.approx(1, abs=1e-3)


def test_a_face_found_elsewhere_is_left_out():
    shot = photograph(own_head(), np.random.default_rng((7, 0)))
    assert module.render_sample(own_head(), np.random.default_rng((7, 0)), _TrueDetector(shot.landmarks + 90)) is None


def test_the_cache_is_read_back_without_pickle(tmp_path):
    samples = [
        module.RenderedSample(
            np.full((256, 256, 3), n, np.uint8), np.full((256, 256), n, np.uint8), np.zeros((478, 2), np.float32),
            np.ones((478, 2), np.float32), "facefit",
        )
        for n in range(3)
    ]  # fmt: skip
    module.write_cache(tmp_path / "cache.npz", samples)
    assert [p.name for p in tmp_path.iterdir()] == ["cache.npz"]
    with np.load(tmp_path / "cache.npz", allow_pickle=False) as cache:
        assert cache["images"].shape == (3, 256, 256, 3) and cache["labels"].shape == (3, 256, 256)
        assert cache["landmarks"].dtype == np.float32 and cache["source"].tolist() == ["facefit"] * 3


def test_a_missing_second_model_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        ict_head(str(tmp_path / "none.npz"))


@pytest.mark.skipif(not ICT.is_file(), reason="no ict_facekit.npz")
def test_the_second_head_shares_the_painting_frame():
    head = ict_head(str(ICT))
    paint = np.einsum("lc,lcd->ld", head.landmark_bary, head.paint[head.faces[head.landmark_faces]])
    np.testing.assert_allclose(paint[33, :2], (-44.6, 34.3), atol=4)
    np.testing.assert_allclose(paint[291, :2], (25.3, -35.2), atol=4)
    shot = photograph(head, np.random.default_rng((7, 1)), 224)
    for name in ("skin", "nose", "neck"):
        assert (shot.labels == LABEL[name]).sum() > 50, name
