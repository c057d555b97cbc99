"""`facefit person`: from photos to files, and what it refuses before anything is loaded."""

import json

import numpy as np
import pytest
from helpers.command_line import error_line, facefit
from PIL import Image

from facefit.bundled import model_path

needs_model = pytest.mark.skipif(not model_path().is_file(), reason="the face model is not built")


@pytest.fixture
def folder(tmp_path, astronaut):
    (tmp_path / "in").mkdir()
    portrait = astronaut[:220, 120:340]
    Image.fromarray(portrait).save(tmp_path / "in" / "a.png")
    Image.fromarray((portrait * 0.8).astype(np.uint8)).save(tmp_path / "in" / "b.png")
    Image.new("RGB", (64, 64), "blue").save(tmp_path / "in" / "sky.png")
    return tmp_path


@needs_model
@pytest.mark.usefixtures("loaded_once", "small_overlays", "plain_textures")
def test_photos_become_one_head(folder):
    toy = pytest.importorskip("helpers.toy_recognition", reason="onnx is not there")
    result = facefit(
        "person", folder / "in", "-o", folder / "ann.obj", "--overlays", folder / "seen", "--iterations", 2,
        "--segmentation", "polygons", "--texture-size", 16, "--device", "cpu", "--static",
        "--perceptual", toy.recognition_file(folder / "faces.onnx"),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "ann.obj: 2 photos of 3" in result.stdout
    assert "left out: sky.png" in result.stderr
    document = json.loads((folder / "ann.json").read_text())
    first, second = document["photos"]
    assert first["parameters"]["expression"] == second["parameters"]["expression"]
    assert all(0 < photo["energies"]["perceptual"] < 2 * 150 for photo in (first, second))
    assert document["sharing"]["static"] and [each["name"] for each in document["left_out"]] == ["sky.png"]
    assert sorted(path.name for path in (folder / "seen").iterdir()) == ["01_a_overlay.png", "02_b_overlay.png"]
    assert (folder / "ann_texture.png").is_file() and (folder / "ann.obj").read_bytes().count(b"\nv ") > 18000


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("-o", "ann.fbx"), ("ann.fbx", ".glb")),
        (("-o", "ann.glb", "--sheet", "s.jpg"), ("--sheet", ".png")),
        (("-o", "ann.glb", "--faces", "all"), ("--faces all", "largest")),
        (("-o", "ann.glb", "--space", "camera"), ("--space camera",)),
        (("-o", "ann.glb", "--segmentation", "x.png"), ("--segmentation",)),
        (("-o", "ann.glb", "--every", 5), ("--every", "video")),
        (("-o", "ann.glb", "--bones", "--quantize"), ("--bones", "--quantize", "not go together")),
    ],
)
def test_what_does_not_fit_together_is_refused(folder, arguments, words):
    error_line(facefit("person", folder / "in", *arguments), 2, *words)


def test_folders_are_made_when_there_is_something_to_put_in(folder):
    (folder / "none").mkdir()
    Image.new("RGB", (64, 64), "blue").save(folder / "none" / "sky.png")
    names = ("--overlays", folder / "new" / "seen", "--meshes", folder / "posed")
    error_line(facefit("person", folder / "gone", "-o", folder / "ann.glb", *names), 4, "gone")
    error_line(
        facefit("person", folder / "none", "-o", folder / "ann.glb", *names, "--like", folder / "x.json"), 4, "x"
    )
    error_line(
        facefit("person", folder / "in", "-o", folder / "ann.glb", "--overlays", folder / "in" / "a.png" / "x"), 6
    )
    assert sorted(path.name for path in folder.iterdir()) == ["in", "none"]


def test_inputs_are_not_written_over(folder):
    result = facefit("person", folder / "in", "-o", folder / "ann.glb", "--sheet", folder / "in" / "a.png")
    error_line(result, 2, "a.png", "input")
    error_line(facefit("person", folder / "gone", "-o", folder / "ann.glb"), 4, "gone")
    assert not (folder / "ann.glb").exists()
