"""The landmarks' topology, by its symmetries."""

import numpy as np

from facefit.anatomy import landmarks as topology


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
