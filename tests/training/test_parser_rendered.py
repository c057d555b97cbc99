"""Rendered people: labels that are where the model is, the same person from the same seed, a cache that can be read."""

import numpy as np
import pytest
from helpers.places import EVAL_DATA

from facefit.anatomy.parts import LABEL
from facefit.photo.window import crop_window
from facefit.synth.photograph import photograph
from training.parser import rendered_people as module
from training.parser.ict_head import ict_head

ICT = EVAL_DATA / "ict_facekit.npz"


class _TrueDetector:
    """Finds every face exactly where it is told to."""

    def __init__(self, landmarks: np.ndarray) -> None:
        self.landmarks = landmarks

    def detect(self, image: np.ndarray) -> list:
        from facefit.observe.faces import DetectedFace

        return [DetectedFace(self.landmarks.astype(np.float32), np.zeros(478, np.float32), 0.9)]


@pytest.fixture(scope="module")
def shot(open_head):
    return photograph(open_head, np.random.default_rng((7, 0)))


def test_a_sample_is_the_loose_window_of_its_landmarks(open_head, shot):
    sample = module.render_sample(open_head, np.random.default_rng((7, 0)), _TrueDetector(shot.landmarks))
    assert sample.image.shape == (module.SIDE, module.SIDE, 3) and sample.image.dtype == np.uint8
    assert sample.labels.shape == (module.SIDE, module.SIDE) and sample.source == "facefit"
    np.testing.assert_allclose(sample.landmarks, sample.true_landmarks, atol=1e-2)
    again = crop_window(sample.landmarks, module.SIDE, 1.6 * 1.25)
    np.testing.assert_allclose(again.origin[0], 0, atol=0.05)
    assert float(again.scale) == pytest.approx(1, abs=1e-3)


def test_a_face_found_elsewhere_is_left_out(open_head, shot):
    assert module.render_sample(open_head, np.random.default_rng((7, 0)), _TrueDetector(shot.landmarks + 90)) is None


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
