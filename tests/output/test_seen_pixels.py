"""What of a face is believed to be seen."""

import numpy as np

from facefit.output.seen_pixels import _believed


def test_unsure_in_the_middle_of_a_face_is_the_face():
    confidence, covered = np.zeros((100, 100), np.float32), np.zeros((100, 100), bool)
    confidence[20:80, 20:80] = 0.9
    confidence[40:60, 30:70] = 0.3  # skin or brow
    confidence[20:30, 40:50] = 0.3  # skin or what lies beyond it
    confidence[65:68, 30:33] = 0  # a speck of something
    confidence[65:68, 60:63] = 0  # and one of hair
    covered[65:68, 60:63] = True
    found = _believed(confidence, covered)
    assert found[40:60, 30:70].all() and found[65:68, 30:33].all()
    assert not found[20:30, 40:50].any() and not found[65:68, 60:63].any()
    assert found.sum() == 3600 - 100 - 9
    assert (
        not _believed(np.zeros_like(confidence), covered).any() and _believed(np.ones_like(confidence), covered).all()
    )
