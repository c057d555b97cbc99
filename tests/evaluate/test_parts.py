"""`facefit eval parts`: label pictures made here, answers by hand."""

import json

import numpy as np
import pytest
from helpers.eval_command import numbers, run
from PIL import Image

from facefit.anatomy.parts import LABEL
from facefit.evaluate.parts import parse_label_map, scored_parts, to_labels
from facefit.metrics.part_iou import part_iou

pytestmark = pytest.mark.usefixtures("loaded_once")


def test_a_fit_against_its_own_parts_is_perfect(folder, toy):
    result = numbers("parts", folder / "fits", "--labels", folder / "labels", "--model", toy)
    assert [fit["name"] for fit in result["fits"]] == ["s1/front/7", "s1/side/8"]
    for fit in result["fits"]:
        assert all(score is None or score == 1 for score in fit["part_iou"].values())
        assert fit["part_iou"]["nose"] == 1 and fit["part_iou"]["left_eye"] == 1
    assert result["summary"]["nose"] == {"mean": 1.0, "std": 0.0, "n": 2}


def test_shifted_labels_score_as_by_hand(folder, toy, tmp_path):
    for name in ("7", "8"):
        labels = np.asarray(Image.open(folder / "labels" / f"{name}_label.png"))
        Image.fromarray(np.roll(labels, 5, 1)).save(tmp_path / f"{name}.png")
    result = numbers("parts", folder / "fits", "--labels", tmp_path, "--model", toy)
    own = np.asarray(Image.open(folder / "labels" / "7_label.png"))
    nose, moved = own == LABEL["nose"], np.roll(own, 5, 1) == LABEL["nose"]
    expected = (nose & moved).sum() / (nose | moved).sum()
    assert result["fits"][0]["part_iou"]["nose"] == pytest.approx(expected)
    assert 0.3 < expected < 0.9
    table = run("parts", folder / "fits", "--labels", tmp_path, "--model", toy)
    assert "nose" in table and f"{result['summary']['nose']['mean']:.3f}" in table


def test_labels_of_another_data_set(folder, toy, tmp_path):
    """Eyes and mouth without sides: merged; hair over the face ignored; numbers of one's own."""
    meaning = {"nose": 3, "right_eye": 4, "left_eye": 4, "upper_lip": 5, "lower_lip": 5}
    for name in ("7", "8"):
        own = np.asarray(Image.open(folder / "labels" / f"{name}_label.png"))
        out = np.zeros_like(own)
        for part, number in meaning.items():
            out[own == LABEL[part]] = number
        rows, columns = np.nonzero(out == 3)
        out[: int(np.median(rows)), :][out[: int(np.median(rows)), :] == 3] = 9  # hair over the upper half of the nose
        Image.fromarray(out).save(tmp_path / f"{name}.png")
    arguments = ("parts", folder / "fits", "--labels", tmp_path, "--model", toy)
    by_list = numbers(*arguments, "--label-map", "3:nose,4:eyes,5:mouth", "--ignore", "9")
    assert set(by_list["summary"]) == {"nose", "eyes", "mouth"}
    assert all(entry["mean"] == 1 for entry in by_list["summary"].values())
    assert numbers(*arguments, "--label-map", "3:nose,4:eyes,5:mouth")["summary"]["nose"]["mean"] < 0.9
    fasseg = numbers(*arguments, "--label-map", "fasseg", "--ignore", "9")["summary"]
    assert fasseg["eyes"]["mean"] == 1 and "right_eye" not in fasseg
    assert fasseg["brows"]["mean"] == 0  # the fit shows brows, the labels have none
    absent = numbers(*arguments, "--label-map", "fasseg", "--skip-absent")["summary"]
    assert absent["brows"] == {"mean": None, "std": None, "n": 0}


def test_label_maps():
    assert parse_label_map("1:skin, 7:left_eye") == {1: "skin", 7: "left_eye"}
    assert scored_parts({1: "left_eye", 2: "right_eye"}) == ("left_eye", "right_eye", "eyes")
    assert scored_parts({1: "eyes"}) == ("eyes",) and scored_parts({1: "hair"}) == ()
    assert set(scored_parts(parse_label_map("facefit"))) >= {"mouth", "lips", "eyes", "skin"}
    picture = np.array([[0, 4], [5, 200]], np.uint8)
    labels = to_labels(picture, {4: "eyes", 5: "mouth"})
    assert part_iou(labels, labels)["eyes"] == 1 and labels[1, 1] == 0
    for wrong in ("eyes", "4=eyes", "4:ear_ring", "x:nose", "300:nose", ""):
        with pytest.raises(ValueError, match="accepted: facefit, fasseg"):
            parse_label_map(wrong)


def test_the_papers_protocol_parses_the_render(folder, toy, monkeypatch):
    """A parser that knows only colours: what it sees in the render against what it sees in the photo."""
    from facefit.observe.segment.contract import Segmentation

    seen = []

    class Parser:
        def segment(self, image, landmarks, window=None):
            seen.append((image.copy(), landmarks, window))
            nose = np.zeros(image.shape[:2], np.uint8)
            nose[200:300, 240:280] = LABEL["nose"]
            return Segmentation(nose, np.ones(image.shape[:2], np.float32))

    class Detector:
        def detect(self, image):
            found.append(image.shape)
            return []

    found = []
    monkeypatch.setattr("facefit.observe.segment.load.load_segmenter", lambda spec: Parser())
    monkeypatch.setattr("facefit.observe.detector.load_detector", Detector)
    one = folder / "fits" / "s1" / "front" / "7.json"
    result = numbers("parts", one, "--parser", "auto", "--model", toy)
    assert result["fits"][0]["part_iou"]["nose"] == 1 and result["fits"][0]["labels"] is None
    (render, landmarks, window), (photo, _, again) = seen
    assert render.shape == photo.shape == (512, 512, 3) and window.size == again.size == 512
    assert np.ptp(render[:5, :5]) == 0 and np.abs(render - photo).mean() > 0.02
    inside = (landmarks > 0).all() and (landmarks < 512).all()
    assert inside and np.ptp(landmarks[:, 0]) > 100
    assert found == [(360, 420, 3)]
    # with label pictures the photo is not needed
    labelled = numbers("parts", one, "--parser", "auto", "--labels", folder / "labels", "--model", toy)
    assert 0 < labelled["fits"][0]["part_iou"]["nose"] < 1


def test_errors_of_parts(folder, toy, tmp_path):
    fits, model = folder / "fits", ("--model", toy)
    assert "--labels DIR or --parser" in run("parts", fits, code=2)
    assert "no such folder" in run("parts", fits, "--labels", tmp_path / "none", *model, code=2)
    assert "accepted: facefit, fasseg" in run("parts", fits, "--labels", tmp_path, "--label-map", "x", code=2)
    assert "no label picture in" in run("parts", fits, "--labels", tmp_path, *model, code=4)
    assert "face model toy" in run("parts", fits, "--labels", folder / "labels", code=4)  # not the default model
    one = ("parts", fits / "s1/front/7.obj", "--labels", tmp_path, *model)
    Image.new("L", (10, 10)).save(tmp_path / "7.png")
    assert "is 10 x 10 pixels; the photo was 420 x 360" in run(*one, code=4)
    Image.new("RGB", (420, 360)).save(tmp_path / "7.png")
    assert "mode RGB" in run(*one, code=4)
    (tmp_path / "7.png").write_bytes(b"no picture")
    assert "not an image that can be read" in run(*one, code=4)
    # the photo itself is never taken for its labels
    assert "no label picture" in run("parts", fits, "--labels", folder / "photos", *model, code=4)


def test_damaged_parameters_are_named(folder, toy, tmp_path):
    document = json.loads((folder / "fits/s1/front/7.json").read_text())
    document["parameters"]["identity"] = [0.0, 1.0]
    (tmp_path / "7.json").write_text(json.dumps(document))
    message = run("parts", tmp_path / "7.json", "--labels", folder / "labels", "--model", toy, code=4)
    assert "identity has shape (2,); expected (4,)" in message
