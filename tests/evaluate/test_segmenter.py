"""What a segmenter scores against hand labels and exact ones."""

import numpy as np
import pytest

from facefit.anatomy.label_maps import FASSEG
from facefit.anatomy.landmarks import FACE_OVAL, LANDMARKS
from facefit.anatomy.parts import LABEL
from facefit.evaluate.segmenter import overlap, score_fasseg, score_rendered


def test_overlap():
    assert overlap(np.array([True, True, False]), np.array([False, True, True])) == pytest.approx(1 / 3)
    assert overlap(np.zeros(3, bool), np.zeros(3, bool)) == 0


def test_fasseg_counts_within_the_grown_oval():
    landmarks = np.full((LANDMARKS, 2), 50.0)
    turn = np.linspace(0, 2 * np.pi, len(FACE_OVAL), endpoint=False)
    landmarks[list(FACE_OVAL)] = 50 + 20 * np.stack([np.cos(turn), np.sin(turn)], -1)  # 40 pixels high: grows by 6
    truth = np.zeros((100, 100), np.uint8)
    truth[30:70, 30:70] = FASSEG.index("skin")
    truth[48:52, 48:52] = FASSEG.index("brows")
    predicted = truth.copy()
    predicted[:20] = FASSEG.index("hair")  # farther than 6 pixels from the oval
    predicted[48:52, 50:52] = FASSEG.index("skin")
    row = score_fasseg(predicted, truth, landmarks, brows=True)
    assert row["brows"] == 0.5 and "hair" not in row and "nose" not in row
    inside = np.hypot(*(np.mgrid[:100, :100] + 0.5 - 50))
    assert 1 - 8 / (inside < 25).sum() < row["accuracy"] < 1 - 8 / (inside < 28).sum()
    assert row["background"] == 1
    assert "brows" not in score_fasseg(predicted, truth, landmarks, brows=False)
    predicted[50 - 24, 50] = FASSEG.index("hair")  # 24 from the middle, 20 is the oval
    assert score_fasseg(predicted, truth, landmarks, brows=True)["background"] < 1


def test_rendered_parts():
    truth = np.zeros((2, 4), np.uint8)
    truth[0], truth[1] = LABEL["nose"], LABEL["left_eye"]
    predicted = truth.copy()
    predicted[0, :2] = LABEL["skin"]
    assert score_rendered(predicted, truth) == {"left eye": 1.0, "nose": 0.5, "mean": 0.75}
