"""Box networks: anchors, answers that are one face, and pixels of the picture."""

import numpy as np
import pytest

from facefit.observe.face_boxes import FULL_RANGE, SHORT_RANGE, BoxDetector, anchors, merge


def test_anchors_are_the_middles_of_their_cells():
    near, far = anchors(SHORT_RANGE), anchors(FULL_RANGE)
    assert near.shape == (896, 2) and far.shape == (2304, 2)
    assert near[:3].tolist() == [[1 / 32, 1 / 32], [1 / 32, 1 / 32], [3 / 32, 1 / 32]]  # two at a place, rows first
    assert near[512:518].tolist() == [[1 / 16, 1 / 16]] * 6
    assert far[-1].tolist() == pytest.approx([190 / 192, 190 / 192])


def answer(left, top, right, bottom):
    box = np.array([[left, top], [right, bottom]], float)
    return np.concatenate([box, np.repeat(box.mean(0)[None], 6, 0)])


def test_answers_that_overlap_are_averaged_by_how_sure_they_are():
    answers = np.stack([answer(0, 0, 10, 10), answer(50, 50, 60, 60), answer(2, 0, 12, 10)])
    found = merge(answers, np.array([0.6, 0.7, 0.9]))
    assert [score for score, _ in found] == [0.9, 0.7]
    assert found[0][1] == pytest.approx((0.9 * answer(2, 0, 12, 10) + 0.6 * answer(0, 0, 10, 10)) / 1.5)
    assert found[1][1] == pytest.approx(answer(50, 50, 60, 60))


def test_a_box_without_area_is_a_face_of_its_own():
    found = merge(np.stack([answer(5, 5, 5, 5), answer(0, 0, 10, 10)]), np.array([0.9, 0.8]))
    assert [score for score, _ in found] == [0.9, 0.8]
    assert merge(np.zeros((0, 8, 2)), np.zeros(0)) == []


class Session:
    """Answers as the near network would: a face of a quarter of the picture at anchor 512 + 2, and an uncertain one."""

    def __init__(self):
        self.given = None

    def run(self, names, inputs):
        assert names == ["boxes", "logits"]
        self.given = inputs["image"]
        boxes, logits = (
            np.zeros((len(self.given), 896, 16), np.float32),
            np.full((len(self.given), 896), -9, np.float32),
        )
        boxes[:, 514, :4] = (0, 8, 32, 32)
        boxes[:, 514, 4:8] = (-8, 0, 8, 0)
        logits[:, 514], logits[:, 600] = 3, -0.01
        return boxes, logits


def test_answers_come_in_pixels_of_the_picture():
    session = Session()
    picture = np.full((100, 200, 3), 255, np.uint8)
    (faces,) = BoxDetector(SHORT_RANGE, session).find([picture])
    assert session.given.shape == (1, 128, 128, 3) and session.given.dtype == np.float32
    # a wide picture lies in the middle of its square, black above and below
    assert session.given[0, 64].min() == 1 and session.given[0, [0, 127]].max() == -1
    (face,) = faces
    assert face.score == pytest.approx(1 / (1 + np.exp(-3)))
    scale, above = 200 / 128, 50  # the centre is anchor (1/16, 1/16) of the square and 8 pixels lower
    assert face.box == pytest.approx([(8 - 16) * scale, 0 * scale - above, (8 + 16) * scale, 32 * scale - above])
    assert face.points[0] == pytest.approx([0, 8 * scale - above]) and face.points[1, 0] == pytest.approx(16 * scale)
    assert face.region.angle == 0 and face.region.side == pytest.approx(1.5 * 32 * scale)


def test_each_picture_has_its_own_answers():
    pictures = [np.zeros((100, 200, 3), np.uint8), np.zeros((50, 50, 3), np.uint8)]
    wide, small = BoxDetector(SHORT_RANGE, Session()).find(pictures)
    assert small[0].box == pytest.approx([-3.125, 0, 9.375, 12.5]) and wide[0].box[2] == pytest.approx(37.5)
