"""What is known of a written fit comes back; what it was seen in is asked for on its own."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.synthetic_result import synthetic_result
from PIL import Image

from facefit.errors import InputError
from facefit.output.read_back import find_fits, load_photo, load_scene, load_window
from facefit.output.write import write_result


@pytest.fixture
def written(toy_model, tmp_path):
    """A result, and what was written of it; its photo lies in the folder above."""
    photo = tmp_path / "photo.png"
    result = replace(synthetic_result(toy_model, yaw=0.2), photo_path=str(photo))
    Image.fromarray(result.photo).save(photo)
    folder = tmp_path / "fits"
    folder.mkdir()
    write_result(result, folder / "face.obj", texture_size=64)
    (fit,) = find_fits([folder])
    return result, fit


def test_the_scene_of_a_written_fit(written, toy_model):
    result, fit = written
    scene = load_scene(fit, toy_model)
    for name, value in result.parameters.tensors().items():
        assert torch.equal(getattr(scene.parameters, name), value), name
    assert torch.equal(scene.camera.focal, result.camera.focal)
    for space in ("model", "camera"):
        assert np.array_equal(scene.verts_in(space), result.verts_in(space))
    assert np.array_equal(scene.landmarks7_in("model"), result.landmarks7)


def test_its_window_and_its_photo(written):
    result, fit = written
    window = load_window(fit)
    assert torch.equal(window.origin, result.window.origin) and window.size == result.window.size
    assert float(window.scale[0]) == pytest.approx(float(result.window.scale[0]))
    assert np.array_equal(load_photo(fit), result.photo) and fit.photo_size == result.photo_size


def test_another_photo_is_not_taken_for_it(written):
    _, fit = written
    Image.new("RGB", (60, 40)).save(fit.photo)
    with pytest.raises(InputError, match=r"is 60 x 40 pixels; the fit was made on 420 x 360"):
        load_photo(fit)
    nowhere = replace(fit, document={**fit.document, "photo": {"path": ""}})
    with pytest.raises(InputError, match="does not say where its photo is"):
        load_photo(nowhere)


@pytest.mark.parametrize(
    ("key", "value", "load"),
    [("parameters", {"identity": [1.0]}, "scene"), ("camera", {}, "scene"), ("window", {"size": 3}, "window")],
)
def test_damaged_files_are_named(written, toy_model, key, value, load):
    _, fit = written
    fit.path.write_text(json.dumps({**fit.document, key: value}))
    (damaged,) = find_fits([fit.path])
    with pytest.raises(InputError, match="face.json"):
        load_scene(damaged, toy_model) if load == "scene" else load_window(damaged)
