"""Parsers that a user brings: networks made here, what they are given, how their answer comes back, what is refused."""

import numpy as np
import pytest
from helpers.labels import SIZE, at

from facefit.anatomy.parts import LABEL
from facefit.errors import FaceFitError
from facefit.observe.segment.any_parser import _resized
from facefit.observe.segment.load import load_segmenter
from facefit.observe.segment.polygons import polygon_labels


def test_enlarging_goes_between_pixel_centres():
    plane = np.array([[[0.0, 4.0], [8.0, 12.0]]], np.float32)
    row = np.array([0, 1, 3, 4], np.float32)  # centres at 1/4, 3/4, 5/4, 7/4 of the old pixels; the border goes on
    np.testing.assert_allclose(_resized(plane, (4, 4))[0], row + 2 * row[:, None], atol=1e-5)


def test_shrinking_takes_the_mean_and_moves_nothing():
    y, x = np.mgrid[:64, :96].astype(np.float32) + 0.5
    seen = _resized(np.stack([x, y]), (16, 24))
    assert seen.shape == (2, 16, 24) and seen.dtype == np.float32
    np.testing.assert_allclose(
        seen[0, :, 2:-2], np.broadcast_to((np.arange(24) + 0.5) * 4, (16, 24))[:, 2:-2], atol=1e-3
    )
    stripes = np.tile(np.array([0.0, 1.0], np.float32), (1, 64, 48))
    assert np.abs(_resized(stripes, (16, 24))[:, 2:-2, 2:-2] - 0.5).max() < 0.02


def field(number: int, value) -> bytes:
    """One field of a protobuf message: int as varint, bytes and text with their length."""

    def varint(n: int) -> bytes:
        out = bytearray()
        while n > 127:
            out.append(n & 127 | 128)
            n >>= 7
        return bytes([*out, n])

    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def one_layer_network(weight: np.ndarray, bias: np.ndarray, side: int) -> bytes:
    """An ONNX model of a 1 x 1 convolution, (1, 3, side, side) -> (1, C, side, side)."""

    def tensor(name: str, array: np.ndarray) -> bytes:
        sizes = b"".join(field(1, n) for n in array.shape)
        return sizes + field(2, 1) + field(8, name) + field(9, array.astype("<f4").tobytes())

    def value(name: str, shape: tuple[int, ...]) -> bytes:
        sizes = b"".join(field(1, field(1, n)) for n in shape)
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, sizes)))

    node = b"".join(field(1, name) for name in ("image", "weight", "bias")) + field(2, "scores") + field(4, "Conv")
    graph = field(1, node) + field(2, "parser") + field(5, tensor("weight", weight)) + field(5, tensor("bias", bias))
    graph += field(11, value("image", (1, 3, side, side))) + field(12, value("scores", (1, len(bias), side, side)))
    return field(1, 8) + field(8, field(1, "") + field(2, 13)) + field(7, graph)


def colour_parser(path, classes: int, side: int = SIZE) -> np.ndarray:
    """Write a network that tells `classes` colours apart; -> (classes, 3) the colours."""
    colours = np.array([[k % 3, k // 3 % 3, k // 9] for k in range(27)], np.float32)[:classes] / 2
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    # -|x - c|^2 = 2 c x - c^2 - x^2, of which x^2 is the same for all; x = given * deviation + mean
    weight = 200 * colours * deviation
    bias = 200 * (colours * mean).sum(1) - 100 * (colours**2).sum(1)
    path.write_bytes(one_layer_network(weight[:, :, None, None], bias, side))
    return colours


@pytest.mark.parametrize("name", ["celebamask19", "bisenet19", "ibug11", "ibug14"])
def test_onnx_parser(tmp_path, landmarks, name):
    from facefit.anatomy.label_maps import LABEL_MAPS
    from facefit.observe.segment.any_parser import OnnxSegmenter

    names = LABEL_MAPS[name]
    path = tmp_path / "parser.onnx"
    colours = colour_parser(path, len(names))
    truth = polygon_labels((SIZE, SIZE), landmarks)
    truth[:20] = LABEL["hair"]
    number = {LABEL[part]: k for k, part in reversed(list(enumerate(names)))}
    classes = np.vectorize(number.__getitem__)(truth)
    image = colours[classes]
    result = OnnxSegmenter(path).segment(image, landmarks)  # auto: of 19 classes both orders are told apart
    beside = np.isin(result.labels, (LABEL["ear"], LABEL["neck"]))
    assert (result.labels == truth)[~beside].all() and beside.sum() < 50
    assert result.confidence.dtype == np.float32 and result.confidence.min() > 0.9
    # a network whose left is the viewer's
    swap = {"left_eye": "right_eye", "right_eye": "left_eye", "left_brow": "right_brow", "right_brow": "left_brow"}
    classes = np.vectorize({LABEL[swap.get(p, p)]: k for k, p in reversed(list(enumerate(names)))}.get)(truth)
    swapped = OnnxSegmenter(path, name).segment(colours[classes], landmarks)
    assert np.array_equal(swapped.labels, result.labels)


def test_onnx_parser_of_another_size(tmp_path, landmarks):
    path = tmp_path / "parser.onnx"
    colours = colour_parser(path, 11, side=128)
    image = np.tile(colours[1], (SIZE, SIZE, 1))
    result = load_segmenter(str(path)).segment(image, landmarks)
    assert result.labels.shape == (SIZE, SIZE) and at(result.labels, landmarks[50]) == LABEL["skin"]
    assert at(result.labels, landmarks[152] + (0, 20)) == LABEL["neck"]  # its skin has no end at the jaw


def test_onnx_parsers_that_do_not_fit(tmp_path, landmarks, monkeypatch):
    from facefit.observe.segment.any_parser import OnnxSegmenter

    image = np.zeros((SIZE, SIZE, 3), np.float32)
    path = tmp_path / "parser.onnx"
    with pytest.raises(FaceFitError, match="no such file"):
        OnnxSegmenter(path)
    path.write_text("no network")
    with pytest.raises(FaceFitError, match="cannot load it"):
        OnnxSegmenter(path)
    colour_parser(path, 7, side=8)
    with pytest.raises(FaceFitError, match="11, 14 or 19 classes"):
        OnnxSegmenter(path).segment(image, landmarks)
    colour_parser(path, 14, side=8)
    with pytest.raises(FaceFitError, match="14 classes; 'ibug11' has 11"):
        OnnxSegmenter(path, "ibug11").segment(image, landmarks)
    with pytest.raises(ValueError, match="accepted: auto, celebamask19"):
        OnnxSegmenter(path, "lapa")
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(FaceFitError, match="pip install onnxruntime"):
        OnnxSegmenter(path)
