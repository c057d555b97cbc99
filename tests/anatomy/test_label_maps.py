"""Other people's labels in ours and back."""

import numpy as np

from facefit.anatomy.label_maps import CELEBAMASK19, FASSEG, FASSEG_NAME, LABEL_MAPS, fasseg_numbers, our_labels
from facefit.anatomy.parts import COLOURS, LABEL, LABELS


def test_fasseg_there_and_back():
    named = [LABELS[number] for number in our_labels(FASSEG)]
    assert named == ["background", "skin", "hair", "nose", "right_eye", "upper_lip", "right_brow"]
    assert fasseg_numbers().tolist() == [0, 1, 3, 4, 4, 6, 6, 5, 5, 5, 0, 1, 1, 2, 1, 0]
    assert np.array_equal(fasseg_numbers()[our_labels(FASSEG)], np.arange(len(FASSEG)))
    assert set(FASSEG_NAME) == set(LABELS)


def test_celebamask():
    labels = our_labels(CELEBAMASK19)
    assert [LABELS[labels[k]] for k in (3, 10, 13, 14, 17)] == ["glasses", "mouth_inside", "hair", "occluder", "neck"]


def test_every_map_names_our_labels():
    for name, classes in LABEL_MAPS.items():
        assert set(classes) <= set(LABEL), name


def test_every_label_has_its_own_colour():
    assert len(COLOURS) == len(LABELS) and len(np.unique(COLOURS, axis=0)) == len(LABELS)
