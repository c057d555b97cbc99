"""The bundled parser: joining its looks, what it finds in a photo, and its failures."""

import logging

import numpy as np
import pytest

from facefit.anatomy.parts import LABEL
from facefit.bundled import parser_path
from facefit.errors import FaceFitError
from facefit.observe.onnx_session import LARGEST_FILE
from facefit.observe.segment import face_parser as segment_parser
from facefit.observe.segment.colour import ColorSegmenter
from facefit.observe.segment.face_crops import CLASSES, DETAIL_SIDE, FACE_SIDE, face_crops
from facefit.observe.segment.face_parser import ParserSegmenter, fuse, is_parser, load_networks
from facefit.observe.segment.load import load_segmenter
from facefit.observe.segment.polygons import polygon_labels
from facefit.observe.segment.regions import separate_sides

SIZE = 224


@pytest.fixture(scope="module")
def parser() -> ParserSegmenter:
    return ParserSegmenter()


def always(name: str, side: int, count: int = 1) -> np.ndarray:
    """Probabilities of networks that see one class everywhere."""
    seen = np.zeros((count, len(CLASSES), side, side), np.float32)
    seen[:, CLASSES.index(name)] = 1
    return seen


def test_joined_probabilities_sum_to_one(window):
    crops = face_crops(window[1])
    joined = fuse(always("skin", FACE_SIDE)[0], always("right_eye", DETAIL_SIDE, 3), crops, SIZE)
    assert joined.shape == (len(CLASSES), SIZE, SIZE)
    np.testing.assert_allclose(joined.sum(0), 1, atol=1e-5)
    assert joined.min() >= -1e-6


def test_details_count_in_their_middle_and_fade_out(window):
    landmarks = window[1]
    joined = fuse(always("skin", FACE_SIDE)[0], always("right_eye", DETAIL_SIDE, 3), face_crops(landmarks), SIZE)
    right, left = joined[CLASSES.index("right_eye")], joined[CLASSES.index("left_eye")]
    x, y = landmarks[468].astype(int)
    assert right[y, x] == pytest.approx(segment_parser.DETAIL_TRUST, abs=0.02)
    x, y = landmarks[473].astype(int)  # what the mirrored look calls right is left
    assert left[y, x] == pytest.approx(segment_parser.DETAIL_TRUST, abs=0.02)
    x, y = landmarks[50].astype(int)  # the cheek lies in no detail's middle
    assert joined[CLASSES.index("skin"), y, x] > 0.8


def test_beyond_the_crops_is_background(window):
    landmarks = window[1] * 0.25 + 80  # a small face in a large window
    joined = fuse(always("hair", FACE_SIDE)[0], always("hair", DETAIL_SIDE, 3), face_crops(landmarks), SIZE)
    assert joined[CLASSES.index("background"), 2, 2] == pytest.approx(1)


def test_sides_are_the_landmarks_and_confidence_is_the_probability(window):
    def networks(face, detail):
        return always("right_brow", FACE_SIDE) * 0.75, always("right_brow", DETAIL_SIDE, 3) * 0.75

    parser = ParserSegmenter(networks=networks)
    seen = parser.segment(*window)
    x, y = window[1][[105, 334]].mean(0).astype(int)
    assert set(np.unique(seen.labels[y, :])) >= {LABEL["right_brow"], LABEL["left_brow"]}
    np.testing.assert_allclose(seen.confidence, parser.probabilities(*window).max(0))
    assert seen.confidence[y, x] < 0.8


def test_the_bundled_parser_is_the_default_and_small():
    assert isinstance(load_segmenter("auto"), ParserSegmenter)
    assert isinstance(load_segmenter("parser"), ParserSegmenter)
    assert parser_path().stat().st_size <= 4 * 2**20
    assert is_parser(parser_path())
    assert isinstance(load_segmenter(str(parser_path())), ParserSegmenter)


def test_the_bundled_parser_finds_the_parts_of_a_portrait(window, parser):
    image, landmarks = window
    seen = parser.segment(image, landmarks)
    expected = separate_sides(polygon_labels((SIZE, SIZE), landmarks), landmarks)
    least = {"nose": 0.65, "right_eye": 0.5, "left_eye": 0.5, "upper_lip": 0.5, "lower_lip": 0.5}
    for name, overlap in least.items():
        a, b = seen.labels == LABEL[name], expected == LABEL[name]
        assert (a & b).sum() / (a | b).sum() > overlap, name
    # what no landmark knows: the hair beside the face, the neck below it
    assert (seen.labels == LABEL["hair"]).mean() > 0.08
    assert (seen.labels == LABEL["skin"]).mean() > 0.1
    assert seen.confidence.min() > 1 / 16 and seen.confidence.mean() > 0.8


def test_the_same_window_gives_the_same_labels(window, parser):
    first = parser.segment(*window)
    parser.segment(window[0][:, ::-1].copy(), window[1])
    again = parser.segment(*window)
    np.testing.assert_array_equal(first.labels, again.labels)
    np.testing.assert_array_equal(first.confidence, again.confidence)


def test_a_covered_mouth_is_not_skin(window, parser):
    image, landmarks = window[0].copy(), window[1]
    x, y = landmarks[13].astype(int)
    image[y - 14 : y + 30, x - 32 : x + 32] = (0.2, 0.45, 0.8)  # a blue cloth
    before, after = parser.segment(window[0], landmarks), parser.segment(image, landmarks)
    covered = np.s_[y - 8 : y + 24, x - 24 : x + 24]
    face = [LABEL[name] for name in ("skin", "upper_lip", "lower_lip", "mouth_inside", "nose")]
    assert np.isin(before.labels[covered], face).mean() > 0.95
    assert (after.labels[covered] == LABEL["occluder"]).mean() > 0.5


def test_without_the_parsers_file_colours_take_over_and_say_so(monkeypatch, caplog, tmp_path):
    monkeypatch.setattr(segment_parser, "parser_path", lambda: tmp_path / "parser.onnx")
    with caplog.at_level(logging.WARNING, "facefit.observe.segment.load"):
        assert isinstance(load_segmenter("auto"), ColorSegmenter)
    assert "no such file; `make parser` trains it" in caplog.text


def test_whether_a_file_is_a_parser_takes_no_memory(tmp_path):
    path = tmp_path / "parser.onnx"
    path.touch()
    assert not is_parser(path)
    path.write_bytes(b"face_parts detail_parts, but no network")
    with path.open("ab") as stream:
        stream.truncate(LARGEST_FILE + 1)  # takes no room on the disk, and would take 1 GB of memory
    assert not is_parser(path)
    with pytest.raises(FaceFitError, match="accepted"):
        load_networks(path)


def test_files_that_are_no_parser_are_refused(tmp_path):
    absent = tmp_path / "absent.onnx"
    with pytest.raises(FaceFitError, match="absent.onnx: no such file"):
        load_networks(absent)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"face_parts detail_parts, but no network")
    assert is_parser(broken) and not is_parser(absent)
    with pytest.raises(FaceFitError, match="onnxruntime cannot load it"):
        load_networks(broken)
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(parser_path().read_bytes()[:100_000])
    with pytest.raises(FaceFitError, match="cut.onnx"):
        load_networks(cut)


def test_bad_windows_are_refused(parser, window):
    with pytest.raises(ValueError, match="image"):
        parser.segment(window[0][:100], window[1])
    with pytest.raises(ValueError, match="landmarks"):
        parser.segment(window[0], window[1][:10])
