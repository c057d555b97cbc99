"""Figures of distances, by hand."""

import numpy as np
import pytest

from facefit.geometry.similarity import Similarity
from facefit.metrics.scan_distance import distance_figures, scan_figures


def test_figures_by_hand():
    figures = distance_figures(np.array([1.0, 2, 2, 3, 7, 9, 11, 13, 15, 17, 52]))
    # eleven numbers in order: the median is the 6th, 90 % of the way lies on the 10th, 95 % between 10th and 11th
    assert figures["median"] == 9 and figures["p90"] == 17 and figures["max"] == 52
    assert figures["mean"] == pytest.approx(12)
    assert figures["rms"] == pytest.approx(np.sqrt((1 + 4 + 4 + 9 + 49 + 81 + 121 + 169 + 225 + 289 + 2704) / 11))
    assert figures["std"] == pytest.approx(np.sqrt(figures["rms"] ** 2 - 144))


def test_landmarks_after_the_motion():
    motion = Similarity(2.0, np.eye(3), np.array([1.0, 0, 0]))
    landmarks7 = np.arange(21.0).reshape(7, 3)
    figures = scan_figures(np.ones(4), motion, landmarks7, 2 * landmarks7 + [1, 0, 3])
    assert figures["landmark_rms"] == pytest.approx(3) and figures["scale"] == 2 and figures["samples"] == 4
