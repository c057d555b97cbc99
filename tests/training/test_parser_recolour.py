"""Other hair and skin on a labelled photo: what changes, and what must not."""

import numpy as np
import pytest

from facefit.anatomy.landmarks import FACE_OVAL
from facefit.anatomy.parts import LABEL
from training.parser.recolour import HAIR_COLOURS, SKIN_COLOURS, between, complexion, dyed
from training.parser.samples import IGNORE


@pytest.fixture
def window():
    """Hair above, a face below with an eye and an unlabelled brow, background at the right."""
    rng = np.random.default_rng(0)
    labels = np.full((64, 64), LABEL["skin"], np.uint8)
    labels[:24], labels[:, 48:] = LABEL["hair"], LABEL["background"]
    labels[40:44, 10:20], labels[32:35, 10:20] = LABEL["right_eye"], IGNORE
    image = np.zeros((64, 64, 3), np.float32) + 0.5
    image[labels == LABEL["hair"]] = (0.1, 0.08, 0.07)
    image *= rng.uniform(0.8, 1.2, (64, 64, 1)).astype(np.float32)
    landmarks = np.zeros((478, 2))
    turn = np.linspace(0, 2 * np.pi, len(FACE_OVAL), endpoint=False)
    landmarks[list(FACE_OVAL)] = 24 + 20 * np.stack([np.cos(turn), np.sin(turn)], 1) + (0, 18)
    return image, labels, landmarks


def test_colours_between_two_neighbours():
    rng = np.random.default_rng(1)
    drawn = np.stack([between(SKIN_COLOURS, rng) for _ in range(200)])
    assert (drawn >= SKIN_COLOURS.min(0) - 1e-6).all() and (drawn <= SKIN_COLOURS.max(0) + 1e-6).all()
    assert np.ptp(drawn[:, 0]) > 0.5  # from dark to light


def test_dye_changes_the_hair_and_keeps_its_strands(window):
    image, labels, _ = window
    out = np.stack([dyed(image, labels, np.random.default_rng(seed)) for seed in range(12)])
    inside = np.zeros(labels.shape, bool)
    inside[:18, :42] = True
    far = np.zeros(labels.shape, bool)
    far[32:, :] = True
    assert np.array_equal(out[:, far], np.repeat(image[None, far], 12, 0))
    means = out[:, inside].mean(1)
    assert np.ptp(means[:, 0]) > 0.25 and means.max() < HAIR_COLOURS.max() * 1.2
    for one in out:  # a lighter strand stays a lighter strand
        assert np.corrcoef(one[inside].mean(1), image[inside].mean(1))[0, 1] > 0.9
    assert dyed(image, np.zeros_like(labels), np.random.default_rng(0)) is image  # nobody's hair


def test_complexion_is_one_gain_and_spares_eyes_and_hair(window):
    image, labels, landmarks = window
    out = complexion(image, labels, landmarks, np.random.default_rng(3))
    ratio = out / image
    skin = np.zeros(labels.shape, bool)
    skin[50:60, 15:35] = True
    assert np.ptp(ratio[skin], axis=0).max() < 1e-3 and abs(ratio[skin].mean() - 1) > 0.02
    np.testing.assert_allclose(ratio[33, 14], ratio[55, 20], rtol=0.01)  # unlabelled within the face: as the skin
    np.testing.assert_allclose(ratio[:16], 1, atol=1e-3)
    np.testing.assert_allclose(ratio[:, 56:], 1, atol=1e-3)
    assert (abs(ratio[41:43, 14:16] - 1) < abs(ratio[55, 20] - 1) * 0.6).all()  # the eye, apart from the soft border
