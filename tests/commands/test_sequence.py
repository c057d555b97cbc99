"""`--init`, `--like` and `--sequence` on the command line: what goes together, and one line for what does not."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import error_line, facefit
from helpers.synthetic_result import synthetic_result
from PIL import Image

from facefit.errors import InputError
from facefit.fit.warm_start import WarmStart
from facefit.job.beginnings import refined, same_person
from facefit.output.write import write_result
from facefit.photo.photo import Photo


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.full((64, 64, 3), 128, np.uint8)).save(path)
    return path


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--init", "a.json", "--like", "b.json"), "two beginnings"),
        (("--init", "a.json", "--faces", "all"), "--faces all"),
        (("--sequence", "--faces", "all"), "one person"),
        (("--sequence", "--init", "a.json"), "--like"),
        (("--sequence", "--overlay", "o.png"), "--overlay"),
        (("--fps", "10"), "--fps belongs to --sequence"),
        (("--share-after", "3"), "--share-after belongs to --sequence"),
        (("--smooth",), "--smooth belongs to --sequence"),
        (("--every", "0"), "--every"),
    ],
)
def test_what_does_not_go_together(photo, tmp_path, options, words):
    error_line(facefit(photo, "-o", tmp_path / "m.glb", *options), 2, words)


def test_sequences_that_cannot_be(photo, tmp_path):
    error_line(facefit(tmp_path / "none", "-o", tmp_path / "m.glb", "--sequence"), 4, "no such folder")
    error_line(facefit(tmp_path / "none.mp4", "-o", tmp_path / "m.glb", "--sequence"), 4, "no such folder or video")
    error_line(facefit(photo, "-o", tmp_path / "m.glb", "--sequence"), 4, "a folder of pictures or a video")
    empty = tmp_path / "empty"
    empty.mkdir()
    error_line(facefit(empty, "-o", tmp_path / "m.glb", "--sequence"), 4, "holds no picture")
    error_line(facefit(tmp_path, "-o", tmp_path / "m.obj", "--sequence"), 6, ".glb")
    error_line(facefit(tmp_path, "-o", tmp_path / "no" / "m.glb", "--sequence"), 6, "does not exist")


def test_beginnings_that_are_none(photo, tmp_path):
    for name in ("--init", "--like"):
        error_line(facefit(photo, "-o", tmp_path / "m.obj", name, tmp_path / "none.json"), 4, "none.json", "no fit")
        other = tmp_path / "other.json"
        other.write_text("{}")
        error_line(facefit(photo, "-o", tmp_path / "m.obj", name, other), 4, "not a facefit result")
        error_line(facefit(photo, "-o", tmp_path / "m.obj", name, tmp_path), 4, "a folder")


@pytest.fixture
def fit(toy_model, tmp_path):
    result = synthetic_result(toy_model)
    return result, write_result(result, tmp_path / "earlier.obj", texture_size=16)[-1]


def test_an_earlier_fit_of_the_photo(fit, toy_model):
    result, path = fit
    width, height = result.photo_size
    warm, focal = refined(path, toy_model, Photo.from_array(np.zeros((height, width, 3), np.uint8)))
    assert not warm.landmarks and not warm.light and warm.fixed == ()
    assert warm.parameters.identity.tolist() == result.parameters.identity.tolist()
    assert focal == pytest.approx(float(result.camera.focal[0, 0]))
    with pytest.raises(InputError, match=f"{width} x {height} pixels; array has 40 x 50"):
        refined(path, toy_model, Photo.from_array(np.zeros((50, 40, 3), np.uint8)))


def test_a_beginning_is_not_overwritten(fit, photo, tmp_path):
    error_line(facefit(photo, "-o", tmp_path / "earlier.obj", "--init", fit[1]), 2, "would overwrite")


def test_an_earlier_fit_of_the_person(fit, toy_model):
    result, path = fit
    warm = same_person(path.with_suffix(".obj"), toy_model)
    assert warm.landmarks and warm.light and set(warm.fixed) == {"identity", "albedo"}
    assert warm.parameters.albedo.tolist() == result.parameters.albedo.tolist()


def test_a_fit_of_another_model(fit, toy_model):
    _, path = fit
    document = json.loads(path.read_text())
    document["model"]["checksum"] = "other"
    Path(path).write_text(json.dumps(document))
    with pytest.raises(InputError, match="fitted with face model"):
        same_person(path, toy_model)


def test_unknown_names_cannot_be_fixed(fit):
    with pytest.raises(ValueError, match="fixed: nose"):
        WarmStart(fit[0].parameters, fixed=("nose",))
