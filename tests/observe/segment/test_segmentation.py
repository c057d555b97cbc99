"""Segmentation: masks of labels by hand, label sets, an ONNX parser made here, and the default segmenter on a photo."""

import numpy as np
import pytest
import torch
from helpers.labels import SIZE, at
from PIL import Image, ImageDraw
from skimage import color

from facefit.anatomy.parts import LABEL, MASKS
from facefit.errors import ImageError
from facefit.geometry.camera import WindowTransform
from facefit.observe.segment.contract import Segmentation
from facefit.observe.segment.label_picture import LabelImageSegmenter
from facefit.observe.segment.load import load_segmenter
from facefit.observe.segment.masks import above_brows, brow_tangents, post_process, remove_specks
from facefit.observe.segment.morphology import grow
from facefit.observe.segment.occluders import glasses_mask
from facefit.observe.segment.polygons import PolygonSegmenter, face_region, polygon_labels
from facefit.observe.segment.regions import separate_ears_and_neck, separate_sides


def mask(masks: np.ndarray, name: str) -> np.ndarray:
    return masks[MASKS.index(name)]


def test_polygons_put_each_part_on_its_landmarks(landmarks):
    labels = polygon_labels((SIZE, SIZE), landmarks)
    for point, name in (
        (468, "right_eye"), (473, "left_eye"), (1, "nose"), (50, "skin"), (280, "skin"), (151, "skin"),
        (37, "upper_lip"), (17, "lower_lip"),
    ):  # fmt: skip
        inwards = landmarks[point] + (landmarks[13] - landmarks[point]) * 0.1 if "lip" in name else landmarks[point]
        assert at(labels, inwards) == LABEL[name], name
    for side, upper, lower in (("right", 105, 52), ("left", 334, 282)):
        assert at(labels, landmarks[[upper, lower]].mean(0)) == LABEL[f"{side}_brow"]


def test_a_closed_part_is_not_empty(landmarks):
    closed = landmarks.copy()
    closed[[246, 161, 160, 159, 158, 157, 173]] = closed[[7, 163, 144, 145, 153, 154, 155]]
    labels = polygon_labels((SIZE, SIZE), closed)
    open_area = (polygon_labels((SIZE, SIZE), landmarks) == LABEL["right_eye"]).sum()
    assert 0 < (labels == LABEL["right_eye"]).sum() < 0.5 * open_area


def test_the_face_of_a_profile_has_no_hole(landmarks):
    """Turned by squeezing one half of the face: the oval folds over, nose and lips stick out."""
    turned = landmarks.astype(np.float64).copy()
    nose = turned[1, 0]
    far = turned[:, 0] < nose
    turned[far, 0] = nose - 5 + (nose - turned[far, 0]) * 0.4
    region = face_region((SIZE, SIZE), turned)
    for point in (50, 280, 352, 1, 0, 17, 205, 425, 117, 346):
        assert at(region, turned[point])


def test_masks_are_the_labels_in_their_order(landmarks):
    labels = polygon_labels((SIZE, SIZE), landmarks)
    labels[10:14, 20:30] = LABEL["hair"]
    labels[10:14, 40:50] = LABEL["glasses"]
    labels[10:14, 60:70] = LABEL["occluder"]
    labels[210:, :] = LABEL["neck"]
    masks, valid, _ = post_process(Segmentation(labels, np.ones(labels.shape, np.float32)), landmarks)
    assert masks.shape == (10, SIZE, SIZE) and masks.dtype == np.float32 and set(np.unique(masks)) == {0, 1}
    assert masks.sum(0).max() == 1  # no pixel is two parts
    for name in ("nose", "left_eye", "right_eye", "right_brow", "upper_lip", "lower_lip", "hair"):
        assert np.array_equal(mask(masks, name) > 0, labels == LABEL[name]), name
    assert mask(masks, "occluder").sum() == 4 * 20
    assert valid[labels == LABEL["neck"]].max() == 0 and valid[labels == LABEL["hair"]].max() == 0


def test_the_forehead_is_not_skin_but_valid(landmarks):
    labels = polygon_labels((SIZE, SIZE), landmarks)
    masks, valid, line = post_process(Segmentation(labels, np.full(labels.shape, 0.7, np.float32)), landmarks)
    forehead, cheek = landmarks[151], landmarks[50]
    assert at(labels, forehead) == LABEL["skin"]
    assert at(mask(masks, "skin"), forehead) == 0 and at(mask(masks, "skin"), cheek) == 1
    for point in (forehead, cheek):
        assert valid[int(point[1]), int(point[0])] == pytest.approx(0.7)
    assert not (mask(masks, "skin").astype(bool) & above_brows(labels.shape, line)).any()


def test_brow_line_touches_the_brow_and_is_positive_above(landmarks):
    labels = polygon_labels((SIZE, SIZE), landmarks)
    line = brow_tangents(labels, landmarks)
    assert line.shape == (2, 3) and line.dtype == np.float32
    assert np.allclose(np.hypot(line[:, 0], line[:, 1]), 1, atol=1e-6)
    for (a, b, c), brow in zip(line, ("right_brow", "left_brow"), strict=True):
        y, x = np.nonzero(labels == LABEL[brow])
        value = a * (x + 0.5) + b * (y + 0.5) + c
        assert -0.2 < np.percentile(value, 99) < 0.2  # tangent
        assert a * landmarks[10, 0] + b * landmarks[10, 1] + c > 0 > a * landmarks[1, 0] + b * landmarks[1, 1] + c


def test_brow_lines_turn_with_the_face(landmarks):
    empty = np.zeros((SIZE, SIZE), np.uint8)
    straight = brow_tangents(empty, landmarks)
    angle = np.radians(130)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = brow_tangents(empty, ((landmarks - 112) @ turn.T + 112).astype(np.float32))
    assert np.allclose(turned[:, :2], straight[:, :2] @ turn.T, atol=1e-5)
    centre = straight[:, :2] @ (112, 112) + straight[:, 2]
    assert np.allclose(turned[:, :2] @ (112, 112) + turned[:, 2], centre, atol=1e-3)


def test_no_line_rises_over_the_other_half(landmarks):
    """Brows that rise to the nose (fear) have level tangents, those that fall to it (anger) slanted ones."""
    across = landmarks[[263, 362]].mean(0) - landmarks[[33, 133]].mean(0)
    empty = np.zeros((SIZE, SIZE), np.uint8)

    def slopes(shift: float) -> np.ndarray:
        moved = landmarks.copy()
        moved[[107, 66, 55, 65, 336, 296, 285, 295], 1] += shift
        line = brow_tangents(empty, moved)
        return line[:, :2] @ across / np.hypot(*across)

    assert np.abs(slopes(-15)).max() < 1e-5
    right, left = slopes(15)
    assert right > 0.1 and left < -0.1  # the normals lean towards the nose: the lines fall there


def test_specks_go_and_pieces_stay():
    picture = np.zeros((60, 60), bool)
    picture[10:30, 10:30] = True  # 400
    picture[40:50, 40:50] = True  # 100: an eye behind a frame of glasses
    picture[50, 5:10] = True  # 5
    kept = remove_specks(picture)
    assert kept.sum() == 500 and not kept[50].any()


def test_empty_parts_are_allowed(landmarks):
    nothing = Segmentation(np.zeros((SIZE, SIZE), np.uint8), np.ones((SIZE, SIZE), np.float32))
    masks, valid, line = post_process(nothing, landmarks)
    assert masks.sum() == 0 and valid.sum() == 0 and np.isfinite(line).all()


def test_valid_stops_before_what_covers(landmarks):
    labels = np.full((SIZE, SIZE), LABEL["skin"], np.uint8)
    labels[100:110] = LABEL["glasses"]
    _, valid, _ = post_process(Segmentation(labels, np.ones(labels.shape, np.float32)), landmarks)
    assert valid[99].max() == 0 and valid[110].max() == 0  # eroded
    assert valid[90].min() == 1 and valid[0].min() == 1  # but not by the window's own border


def test_segmentation_checks_itself():
    good = np.zeros((4, 4), np.uint8)
    with pytest.raises(ValueError, match="label 16"):
        Segmentation(good + 16, np.ones((4, 4), np.float32))
    with pytest.raises(ValueError, match="confidence has shape"):
        Segmentation(good, np.ones((3, 4), np.float32))
    with pytest.raises(ValueError, match="expected \\(S, S\\) uint8"):
        Segmentation(good.astype(int), np.ones((4, 4), np.float32))


def test_segmenters_refuse_other_windows(landmarks):
    with pytest.raises(ValueError, match="RGB in \\[0, 1\\]"):
        PolygonSegmenter().segment(np.zeros((SIZE, SIZE, 3), np.uint8), landmarks)
    with pytest.raises(ValueError, match="expected \\(478, 2\\)"):
        PolygonSegmenter().segment(np.zeros((SIZE, SIZE, 3), np.float32), landmarks[:468])


# --- label sets -----------------------------------------------------------------------------------------------------


def test_sides_come_from_the_landmarks(landmarks):
    truth = polygon_labels((SIZE, SIZE), landmarks)
    swapped = truth.copy()
    for part in ("eye", "brow"):
        swapped[truth == LABEL[f"right_{part}"]] = LABEL[f"left_{part}"]
        swapped[truth == LABEL[f"left_{part}"]] = LABEL[f"right_{part}"]
    assert np.array_equal(separate_sides(swapped, landmarks), truth)
    assert np.array_equal(separate_sides(truth, landmarks), truth)


def test_ears_and_neck_are_no_skin_of_the_face(landmarks):
    labels = separate_ears_and_neck(np.full((SIZE, SIZE), LABEL["skin"], np.uint8), landmarks)
    right, left, chin, forehead = (landmarks[k] for k in (234, 454, 152, 10))
    unit = np.hypot(*(forehead - chin))
    assert at(labels, right - (0.12 * unit, 0)) == LABEL["ear"]
    assert at(labels, left + (0.12 * unit, 0)) == LABEL["ear"]
    assert at(labels, chin + (0, 0.15 * unit)) == LABEL["neck"]
    assert at(labels, forehead - (0, 0.1 * unit)) == LABEL["skin"]
    assert at(labels, landmarks[1]) == LABEL["skin"]


def identity_window() -> WindowTransform:
    return WindowTransform(torch.zeros(1, 2), torch.ones(1), SIZE)


def test_label_picture_in_our_numbers(tmp_path, landmarks):
    truth = polygon_labels((SIZE, SIZE), landmarks)
    truth[0, 0] = LABEL["head"]
    path = tmp_path / "parts.png"
    Image.fromarray(truth).save(path)
    segmenter = load_segmenter(str(path))
    image = np.zeros((SIZE, SIZE, 3), np.float32)
    seen = segmenter.segment(image, landmarks, identity_window()).labels
    truth[0, 0] = 0
    assert np.array_equal(seen, truth)
    moved = WindowTransform(torch.tensor([[10.0, 20.0]]), torch.ones(1), SIZE)
    seen = segmenter.segment(image, landmarks - (10, 20), moved).labels
    assert np.array_equal(seen[: SIZE - 20, : SIZE - 10], truth[20:, 10:]) and seen[SIZE - 20 :].max() == 0
    with pytest.raises(ValueError, match="window is None"):
        segmenter.segment(image, landmarks)


def test_label_picture_in_other_numbers(tmp_path, landmarks):
    truth = polygon_labels((SIZE, SIZE), landmarks)
    names = {number: name for name, number in LABEL.items()}
    fasseg = {"skin": 1, "nose": 3, "upper_lip": 5, "lower_lip": 5, "mouth_inside": 5}
    fasseg |= {"right_eye": 4, "left_eye": 4, "right_brow": 6, "left_brow": 6, "background": 0}
    path = tmp_path / "fasseg.png"
    Image.fromarray(np.vectorize(lambda n: fasseg[names[n]])(truth).astype(np.uint8)).save(path)
    image = np.zeros((SIZE, SIZE, 3), np.float32)
    seen = LabelImageSegmenter(path, "fasseg").segment(image, landmarks, identity_window()).labels
    beside = (seen == LABEL["ear"]) | (seen == LABEL["neck"])
    assert (seen == truth)[~beside].mean() > 0.999 and beside.sum() < 50
    celeb = np.array([[0, 1, 2, 3], [11, 12, 13, 14], [15, 16, 17, 18], [7, 8, 9, 10]], np.uint8)
    picture = np.zeros((SIZE, SIZE), np.uint8)
    picture[:4, :4] = celeb
    Image.fromarray(picture).save(path)
    seen = LabelImageSegmenter(path, "celebamask19").segment(image, landmarks, identity_window()).labels
    expected = [
        ["background", "skin", "nose", "glasses"], ["upper_lip", "lower_lip", "hair", "occluder"],
        ["occluder", "neck", "neck", "background"], ["right_brow", "ear", "ear", "mouth_inside"],
    ]  # fmt: skip
    assert [[names[n] for n in row] for row in seen[:4, :4]] == expected


def test_label_pictures_that_are_none(tmp_path):
    with pytest.raises(ImageError, match="no such file"):
        LabelImageSegmenter(tmp_path / "missing.png")
    text = tmp_path / "text.png"
    text.write_text("no picture")
    with pytest.raises(ImageError, match="not an image that can be read"):
        LabelImageSegmenter(text)
    wrong = tmp_path / "wrong.png"
    Image.fromarray(np.full((8, 8), 200, np.uint8)).save(wrong)
    with pytest.raises(ImageError, match="label 200"):
        LabelImageSegmenter(wrong)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(wrong)
    with pytest.raises(ImageError, match="mode RGB"):
        LabelImageSegmenter(wrong)
    with pytest.raises(ValueError, match="label map 'other'"):
        LabelImageSegmenter(wrong, "other")
    with pytest.raises(ValueError, match="accepted: auto"):
        load_segmenter("parser.pt")


# --- an ONNX parser ---------------------------------------------------------------------------------------------------


# --- the default segmenter -----------------------------------------------------------------------------------------


def test_default_segmenter_finds_hair_and_background(window):
    image, landmarks = window
    segmenter = load_segmenter("auto")
    result = segmenter.segment(image, landmarks)
    unit = np.hypot(*(landmarks[10] - landmarks[152]))
    up = (landmarks[10] - landmarks[152]) / unit
    hair = result.labels == LABEL["hair"]
    assert at(result.labels, landmarks[10] + 0.25 * unit * up) == LABEL["hair"]
    assert at(result.labels, landmarks[50]) == at(result.labels, landmarks[280]) == LABEL["skin"]
    assert 0.05 < hair.mean() < 0.5 and not hair[polygon_labels(hair.shape, landmarks) > LABEL["skin"]].any()
    assert np.isfinite(result.confidence).all() and 0 < result.confidence.min() and result.confidence.max() <= 1
    again = segmenter.segment(image, landmarks)
    segmenter.segment(np.ascontiguousarray(image[:, ::-1]), landmarks)
    assert np.array_equal(again.labels, segmenter.segment(image, landmarks).labels)
    assert np.array_equal(again.labels, result.labels)


def test_default_segmenter_takes_any_picture(landmarks):
    """A blank window and noise: no error, whatever it says."""
    for image in (np.zeros((SIZE, SIZE, 3)), np.random.default_rng(0).uniform(size=(SIZE, SIZE, 3))):
        result = load_segmenter("auto").segment(image.astype(np.float32), landmarks)
        masks, valid, line = post_process(result, landmarks)
        assert np.isfinite(masks).all() and np.isfinite(valid).all() and np.isfinite(line).all()


def test_frames_of_glasses_are_found_where_they_are(window):
    image, landmarks = window
    lightness = (color.rgb2lab(image)[..., 0] / 100).astype(np.float32)
    assert not glasses_mask(lightness, landmarks).any()
    unit = np.hypot(*(landmarks[263] - landmarks[33]))
    picture = Image.new("L", (SIZE, SIZE))
    pen = ImageDraw.Draw(picture)
    for eye in (468, 473):
        x, y = landmarks[eye] + (0, 0.06 * unit)
        pen.ellipse((x - 0.3 * unit, y - 0.24 * unit, x + 0.3 * unit, y + 0.24 * unit), outline=1, width=5)
    pen.line([tuple(landmarks[eye] + (side * 0.3 * unit, 0)) for eye, side in ((468, 1), (473, -1))], fill=1, width=4)
    drawn = np.asarray(picture)
    found = glasses_mask(np.where(drawn > 0, 0.03, lightness).astype(np.float32), landmarks)
    skin = polygon_labels((SIZE, SIZE), landmarks) == LABEL["skin"]
    assert (found & (drawn > 0) & skin).sum() > 0.7 * ((drawn > 0) & skin).sum()
    assert (found & ~grow(drawn > 0, 4)).sum() < 0.2 * found.sum()
