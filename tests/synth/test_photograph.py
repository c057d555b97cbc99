"""Photographs of random people: labels that are where the model is, the same person from the same seed."""

import numpy as np
import pytest

from facefit.anatomy.landmarks import LEFT_EYE, LIPS_OUTER, RIGHT_EYE
from facefit.anatomy.parts import LABEL
from facefit.synth.heads import SKIN, sky_share
from facefit.synth.painted_skin import Brows, Surface, brow_band, label_surface
from facefit.synth.photograph import Wishes, photograph


@pytest.fixture(scope="module")
def shots(open_head):
    """Eight photographs of the bundled model, without the detector."""
    return [photograph(open_head, np.random.default_rng((7, number)), 224) for number in range(8)]


def test_a_photograph_has_its_shapes_and_no_label_of_the_mesh_alone(shots):
    for shot in shots:
        assert shot.image.shape == (224, 224, 3) and shot.image.dtype == np.float32
        assert 0 <= shot.image.min() and shot.image.max() <= 1
        assert shot.labels.shape == (224, 224) and shot.labels.dtype == np.uint8
        assert shot.landmarks.shape == (478, 2)
        assert LABEL["head"] not in shot.labels  # a bald head is skin
        for name in ("skin", "nose", "background"):
            assert (shot.labels == LABEL[name]).sum() > 50, name


def test_labels_lie_where_the_true_landmarks_are(shots):
    for shot in shots:
        for name, loop, reach in (("nose", (1, 4, 5), 20), ("lower_lip", LIPS_OUTER, 25)):
            rows, columns = np.nonzero(shot.labels == LABEL[name])
            if len(rows) > 30:
                centre = shot.landmarks[list(loop)].mean(0)
                assert np.hypot(columns.mean() - centre[0], rows.mean() - centre[1]) < reach
    found = 0
    for shot in shots:
        for name, loop in (("right_eye", RIGHT_EYE), ("left_eye", LEFT_EYE)):
            rows, columns = np.nonzero(shot.labels == LABEL[name])
            if len(rows) > 8:
                centre = shot.landmarks[list(loop)].mean(0)
                assert np.hypot(columns.mean() - centre[0], rows.mean() - centre[1]) < 6
                found += 1
    assert found >= 6


def test_the_same_seed_gives_the_same_photograph(shots, open_head):
    again = photograph(open_head, np.random.default_rng((7, 3)), 224)
    np.testing.assert_array_equal(again.labels, shots[3].labels)
    np.testing.assert_array_equal(again.image, shots[3].image)


def test_right_is_the_persons_right(open_head):
    x = np.array([[-30.0, 30.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    y = np.array([[55.0, 55.0, 5.0, -29.0, -39.0, -60.0, -100.0]])
    z = np.array([[98.0, 98.0, 125.0, 116.0, 114.0, 105.0, 60.0]])
    paint = np.stack([x, y, z], 2).astype(np.float32)
    kind, ear = np.full((1, 7), SKIN, np.uint8), np.zeros((1, 7), np.float32)
    surface = Surface(paint, kind, ear, None, np.zeros((1, 7, 3)), open_head.lid)
    brows = Brows((0.0, 0.0), 1.0, 1.0, np.zeros(3, np.float32), 1.0)
    labels = label_surface(surface, brow_band(paint, brows))[0]
    expected = ("right_brow", "left_brow", "nose", "upper_lip", "lower_lip", "skin", "neck")
    assert labels.tolist() == [LABEL[name] for name in expected]


def test_the_bundled_head_is_ready_to_be_painted(open_head):
    head = open_head
    assert head.paint.shape == head.verts.shape and head.openness.shape == (len(head.verts),)
    # the painting frame's landmarks: outer corners of the eyes and corners of the mouth
    paint = np.einsum("lc,lcd->ld", head.landmark_bary, head.paint[head.faces[head.landmark_faces]])
    np.testing.assert_allclose(paint[33, :2], (-44.6, 34.3), atol=1.5)
    np.testing.assert_allclose(paint[291, :2], (25.3, -35.2), atol=1.5)
    ears = head.verts[head.ear > 0.5]
    assert len(ears) > 200 and (ears[:, 0] > 0).any() and (ears[:, 0] < 0).any()
    widest = np.abs(head.verts[:, 0]) > np.percentile(np.abs(head.verts[:, 0]), 97)
    assert (head.ear[widest] > 0.5).mean() > 0.98  # its rim, which hides the rest from the front
    turned = head.shape(np.zeros(len(head.identity)), {"eyeBlinkLeft": 1.0}, np.zeros((2, 2)))
    moved = np.abs(turned - head.verts).max(1) > 2
    assert moved.any() and (head.verts[moved, 0] > 0).mean() > 0.9  # the person's left is +x


def test_wishes_are_met(open_head):
    def shot(seed, **wishes):
        return photograph(open_head, np.random.default_rng(seed), 96, wishes=Wishes(look=(1, 2), **wishes))

    assert (shot(5, hair=False).labels != LABEL["hair"]).all()
    assert all((shot(seed, hair=True).labels == LABEL["hair"]).any() for seed in range(3))
    behind, soft = shot(5, light="back").light, shot(5, light="soft").light
    assert behind.rotation[2, 2] < 0 and soft.key <= 0.6 and soft.sky >= 0.45


def test_what_lies_under_a_roof_sees_little_of_the_sky():
    def plate(half, height):
        return np.array([[x, y, height] for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]) * [half, half, 1]

    square = np.array([[0, 1, 2], [0, 2, 3]])
    verts = np.concatenate([plate(15, 0), plate(60, 12)]).astype(np.float32)
    share = sky_share(verts, np.concatenate([square, square + 4]))
    assert share[:4].max() < 0.3 and share[4:].min() > 0.9
