"""The mesh network: crops in, landmarks in pixels of each picture out, any number at once."""

import numpy as np
import pytest

from facefit.observe.face_mesh import TOGETHER, FaceMesh
from facefit.observe.regions import Region


class Session:
    """A network that sees a face where a crop is bright, all of it in the crop's top right corner."""

    def __init__(self):
        self.sizes = []

    def run(self, names, inputs):
        crops = inputs["image"]
        self.sizes.append(len(crops))
        assert crops.shape[1:] == (192, 192, 3) and 0 <= crops.min() and crops.max() <= 1
        return np.tile(np.float32([192, 0, 96]), (len(crops), 478, 1)), crops.mean((1, 2, 3))


def test_landmarks_are_in_pixels_of_the_picture_and_none_where_no_face_is():
    bright, dark = np.full((80, 90, 3), 250, np.uint8), np.full((60, 60, 3), 20, np.uint8)
    found = FaceMesh(Session()).look([(bright, Region(40, 30, 24)), (dark, Region(30, 30, 24))])
    assert found[0].shape == (478, 3) and found[0][0] == pytest.approx([52, 18, 12])
    assert found[1] is None


def test_many_looks_go_through_in_parts():
    session, picture = Session(), np.full((80, 90, 3), 250, np.uint8)
    looks = [(picture, Region(40, 30, 24 + k)) for k in range(2 * TOGETHER + 3)]
    found = FaceMesh(session).look(looks)
    assert session.sizes == [TOGETHER, TOGETHER, 3]
    assert [points[0, 0] for points in found] == pytest.approx([40 + (24 + k) / 2 for k in range(len(looks))])
    assert FaceMesh(session).look([]) == [] and len(session.sizes) == 3
