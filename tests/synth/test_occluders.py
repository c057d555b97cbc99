"""Drawn occluders: exact labels, the rest of the picture untouched, the same seed the same picture."""

import numpy as np
import pytest

from facefit.anatomy.landmarks import LANDMARKS
from facefit.anatomy.parts import LABEL
from facefit.synth.occluder_layer import FaceFrame, Layer, fill, lay_over
from facefit.synth.occluders import SHARES, draw_occluder

SIDE = 192
EXPECTED = {
    "hand": {"occluder"},
    "glasses": {"glasses"},
    "hair": {"hair"},
    "mask": {"occluder"},
    "hat": {"occluder"},
    "scarf": {"occluder"},
    "phone": {"occluder"},
    "microphone": {"occluder"},
    "cup": {"occluder"},
    "clutter": {"occluder"},
}


@pytest.fixture(scope="module")
def face(default_model):
    """A grey picture of a face of 110 px, its labels (skin on background) and landmarks."""
    model = default_model
    points = model.landmarks(model.verts[None])[0].numpy()
    landmarks = np.stack([points[:, 0], -points[:, 1]], 1) * 0.62 + (SIDE / 2, SIDE / 2 - 18)
    assert landmarks.shape == (LANDMARKS, 2)
    y, x = np.mgrid[:SIDE, :SIDE]
    centre = landmarks[:468].mean(0)
    skin = ((x - centre[0]) / 52) ** 2 + ((y - centre[1]) / 70) ** 2 < 1
    labels = np.where(skin, LABEL["skin"], LABEL["background"]).astype(np.uint8)
    image = np.where(skin[..., None], (0.7, 0.5, 0.4), (0.2, 0.3, 0.4)).astype(np.float32)
    return image, labels, landmarks


@pytest.mark.parametrize("kind", list(SHARES))
def test_each_kind_adds_its_own_label_and_no_other(face, kind):
    image, labels, landmarks = face
    covered = []
    for seed in range(6):
        seen, marked = draw_occluder(image, labels, landmarks, np.random.default_rng(seed), kind)
        assert seen.dtype == np.float32 and marked.dtype == np.uint8
        assert seen.shape == image.shape and marked.shape == labels.shape
        assert 0 <= seen.min() and seen.max() <= 1
        changed = marked != labels
        assert {int(v) for v in np.unique(marked[changed])} <= {LABEL[name] for name in EXPECTED[kind]}
        # what got another label looks different there, apart from chance agreement of colours
        if changed.sum() > 200 and kind != "clutter":  # clutter may be a piece of the same picture
            assert (np.abs(seen - image).max(2)[changed] > 0.01).mean() > 0.9
        covered.append(int(changed.sum()))
    assert np.median(covered) > 50, covered


def test_the_input_is_not_written_to(face):
    image, labels, landmarks = face
    before = image.copy(), labels.copy()
    draw_occluder(image, labels, landmarks, np.random.default_rng(0))
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(labels, before[1])


def test_the_same_seed_draws_the_same(face):
    first = draw_occluder(*face, np.random.default_rng(5))
    second = draw_occluder(*face, np.random.default_rng(5))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


def test_a_clear_lens_keeps_the_eye_and_a_black_one_hides_it(face):
    image, labels, landmarks = face
    labels = labels.copy()
    row, column = landmarks[[33, 133, 159, 145]].mean(0)[::-1].astype(int)
    labels[row, column] = LABEL["right_eye"]
    kept = [
        draw_occluder(image, labels, landmarks, np.random.default_rng(seed), "glasses")[1][row, column]
        for seed in range(40)
    ]
    assert set(kept) == {LABEL["right_eye"], LABEL["glasses"]}
    assert 0.4 < np.mean(np.array(kept) == LABEL["right_eye"]) < 0.95


def test_a_shadow_darkens_the_person_but_changes_no_label(face):
    image, labels, landmarks = face
    square = fill(SIDE, np.array([(80, 80), (110, 80), (110, 110), (80, 110)]))
    layer = Layer(np.ones_like(image), square, LABEL["occluder"])
    darker = 0
    for seed in range(10):
        seen, marked = lay_over(image, labels, layer, np.random.default_rng(seed))
        outside = square == 0
        np.testing.assert_array_equal(marked[outside], labels[outside])
        assert (marked[85:105, 85:105] == LABEL["occluder"]).all()
        background = outside & (labels == LABEL["background"])
        np.testing.assert_allclose(seen[background], image[background], atol=1e-6)
        darker += bool((seen[outside] < image[outside] - 0.02).any())
    assert 2 <= darker <= 9


def test_a_polygon_is_filled_where_it_lies():
    mask = fill(32, np.array([(8, 4), (24, 4), (24, 20), (8, 20)]), softness=0)
    assert mask[5:19, 9:23].min() == 1 and mask[:3].max() == 0 and mask[22:].max() == 0
    assert 256 <= mask.sum() < 310  # the outline counts by half


def test_the_frame_follows_a_turned_face(face):
    _, _, landmarks = face
    upright = FaceFrame.of(landmarks, SIDE)
    angle = np.radians(30)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = FaceFrame.of((landmarks - SIDE / 2) @ turn.T + SIDE / 2, SIDE)
    np.testing.assert_allclose(turned.down, turn @ upright.down, atol=1e-6)
    np.testing.assert_allclose(turned.right, turn @ upright.right, atol=1e-6)
    assert turned.size == pytest.approx(upright.size, rel=1e-6)


def test_unknown_kinds_and_shapes_are_refused(face):
    image, labels, landmarks = face
    with pytest.raises(ValueError, match="hand"):
        draw_occluder(image, labels, landmarks, np.random.default_rng(0), "umbrella")
    with pytest.raises(ValueError, match="fit"):
        draw_occluder(image[:-1], labels, landmarks, np.random.default_rng(0))
