"""What of a face is believed to be seen."""

import numpy as np
from helpers.synthetic_result import synthetic_result

from facefit.output import seen_pixels as module
from facefit.output.seen_pixels import _believed, seen_pixels


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


def test_a_frame_that_the_parser_does_not_see_covers_the_face(toy_model, monkeypatch):
    result = synthetic_result(toy_model)
    before = seen_pixels(result)
    frame = np.zeros_like(before.valid)
    frame[40:42, 30:60] = True
    assert not before.glasses.any() and before.valid[frame].all() and not before.covered.any()
    monkeypatch.setattr(module, "glasses_mask", lambda lightness, landmarks: frame)
    found = seen_pixels(result)
    assert (found.glasses == frame).all() and (found.covered == frame).all() and not found.hair.any()
    assert (found.valid == before.valid & ~frame).all()
