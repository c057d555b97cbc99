"""`facefit parse`: labels of a photo through the files it writes."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from facefit.anatomy.parts import COLOURS, LABEL, LABELS
from facefit.commands import cli
from facefit.errors import ExitCode
from facefit.geometry.camera import WindowTransform
from facefit.observe.parse import overlay, parse_photo, to_photo
from facefit.observe.segment.contract import Segmentation
from facefit.observe.segment.label_picture import LabelImageSegmenter
from facefit.photo.photo import read_photo


@pytest.fixture(scope="module")
def portrait(tmp_path_factory):
    photo = pytest.importorskip("skimage.data").astronaut()
    path = tmp_path_factory.mktemp("parse") / "astronaut.png"
    Image.fromarray(photo).save(path)
    return path


@pytest.fixture
def runner():
    return CliRunner()


class Everything:
    """Sees one label everywhere, as surely as it is told."""

    def __init__(self, name: str, confidence: float) -> None:
        self.label, self.confidence = LABEL[name], confidence

    def segment(self, image, landmarks, window=None):
        shape = image.shape[:2]
        return Segmentation(np.full(shape, self.label, np.uint8), np.full(shape, self.confidence, np.float32))


def test_window_values_lie_on_their_photo_pixels():
    import torch

    window = WindowTransform(torch.tensor([[10.0, 4.0]]), torch.tensor([2.0]), 8)  # 4 x 4 photo pixels, twice enlarged
    values = np.arange(64, dtype=np.uint8).reshape(8, 8)
    back = to_photo(values, window, (20, 20))
    assert (back[4:8, 10:14] > 0).sum() >= 15
    back[4:8, 10:14] = 0
    assert not back.any()
    plain = WindowTransform(torch.tensor([[3.0, 2.0]]), torch.tensor([1.0]), 8)
    np.testing.assert_array_equal(to_photo(values, plain, (20, 20))[2:10, 3:11], values)


def test_labels_fill_the_face_and_nothing_else(portrait):
    photo = read_photo(portrait)
    parsed = parse_photo(photo, segmenter=Everything("skin", 0.5))
    assert parsed.faces == 1 and parsed.labels.shape == (photo.height, photo.width)
    there = parsed.labels == LABEL["skin"]
    assert 0.02 < there.mean() < 0.7
    assert (parsed.confidence[there] == 0.5).all() and (parsed.confidence[~there] == 0).all()
    assert parsed.shares == {"skin": pytest.approx(there.mean())}


def test_overlay_colours_labels_and_leaves_the_rest(portrait):
    pixels = read_photo(portrait).pixels
    labels = np.zeros(pixels.shape[:2], np.uint8)
    labels[:100] = LABEL["hair"]
    seen = overlay(pixels, labels, 1.0)
    np.testing.assert_array_equal(seen[100:], pixels[100:])
    assert (seen[:100] == COLOURS[LABEL["hair"]]).all()


def test_the_command_writes_what_the_fit_reads(runner, portrait, tmp_path):
    out, over, sure, numbers = (tmp_path / name for name in ("parts.png", "over.png", "sure.png", "parts.json"))
    result = runner.invoke(
        cli, ["parse", str(portrait), "-o", str(out), "--overlay", str(over), "--confidence", str(sure), "--json",
              str(numbers)], standalone_mode=False,
    )  # fmt: skip
    assert result.exception is None, result.exception
    photo = read_photo(portrait)
    labels = np.asarray(Image.open(out))
    assert labels.shape == (photo.height, photo.width) and labels.dtype == np.uint8
    for name in ("skin", "nose", "right_eye", "left_eye", "upper_lip", "lower_lip", "hair"):
        assert (labels == LABEL[name]).any(), name
    assert LabelImageSegmenter(out).photo_size == (photo.width, photo.height)
    assert np.asarray(Image.open(over)).shape == photo.pixels.shape
    confidence = np.asarray(Image.open(sure))
    assert confidence.shape == labels.shape and confidence[labels > 0].mean() > 150
    document = json.loads(numbers.read_text())
    assert document["labels"] == list(LABELS) and document["faces"] == 1
    assert document["shares"]["skin"] == pytest.approx((labels == LABEL["skin"]).mean())
    assert "skin" in result.output and "parts.png" in result.output


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["-o", "parts.jpg"], "labels are written as .png"),
        (["-o", "parts.png", "--segmentation", "labels.png"], "its labels are there already"),
        (["-o", "parts.png", "--segmentation", "deep"], "accepted: auto, parser, color, polygons"),
        (["-o", "parts.png", "--faces", "some"], "accepted: largest, all"),
    ],
)
def test_bad_options_are_one_line(runner, portrait, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = runner.invoke(cli, ["parse", str(portrait), *arguments], standalone_mode=False)
    assert message in str(getattr(result.exception, "format_message", lambda: result.exception)())
    assert not list(tmp_path.iterdir())


def test_a_photo_without_a_face_writes_nothing(runner, tmp_path):
    empty = tmp_path / "empty.png"
    Image.fromarray(np.full((120, 120, 3), 128, np.uint8)).save(empty)
    result = runner.invoke(cli, ["parse", str(empty), "-o", str(tmp_path / "parts.png"), "--segmentation", "polygons"],
                           standalone_mode=False)  # fmt: skip
    assert result.exception.exit_code == 3
    assert not (tmp_path / "parts.png").exists()


def test_the_photo_is_never_overwritten(runner, portrait):
    before = portrait.read_bytes()
    result = runner.invoke(
        cli, ["parse", str(portrait), "-o", str(portrait), "--segmentation", "polygons"], standalone_mode=False
    )
    assert result.exception.exit_code == ExitCode.USAGE
    assert portrait.read_bytes() == before
