"""What is known of a written fit comes back; what it was seen in is asked for on its own."""

import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.command_line import error_line, facefit
from helpers.synthetic_result import synthetic_result
from PIL import Image

from facefit.errors import InputError
from facefit.output.document import load_parameters
from facefit.output.read_back import find_fits, load_photo, load_scene, load_window
from facefit.output.write import write_result


@pytest.fixture(scope="module")
def once(toy_model, tmp_path_factory):
    """A result, and the folder of what was written of it; its photo lies beside the folder `fits`."""
    root = tmp_path_factory.mktemp("written")
    photo = root / "photo.png"
    result = replace(synthetic_result(toy_model, yaw=0.2), photo_path=str(photo))
    Image.fromarray(result.photo).save(photo)
    (root / "fits").mkdir()
    write_result(result, root / "fits" / "face.obj", texture_size=16)
    return result, root


@pytest.fixture
def written(once, tmp_path):
    """A result, and what was written of it, as a test's own files."""
    result, root = once
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    document = tmp_path / "fits" / "face.json"
    document.write_text(document.read_text().replace(str(root), str(tmp_path)))
    (fit,) = find_fits([tmp_path / "fits"])
    return replace(result, photo_path=str(tmp_path / "photo.png")), fit


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


def changed(document, key, value):
    """The document with another value at a path such as camera.fx; ... takes it away."""
    first, _, rest = key.partition(".")
    if rest:
        return {**document, first: changed(document[first], rest, value)}
    without = {name: each for name, each in document.items() if name != first}
    return without if value is ... else without | {first: value}


WRONG = [
    ("camera", {}, "camera: lacks fx, fy"),
    ("camera.fx", "3", 'camera.fx: is "3"; expected a number'),
    ("camera.fx", 0, "camera.fx: expected above 0"),
    ("camera.R", [[1, 0, 0]], "camera.R: a list of 1; expected 3"),
    ("camera.t", [1, 2, None], r"camera.t\[2\]: is null"),
    ("window", {"size": 3}, "window: lacks origin, scale"),
    ("window.size", 3.5, "window.size: is 3.5; expected a whole number"),
    ("window.scale", -1, "window.scale"),
    ("photo", "p.jpg", 'photo: is "p.jpg"; expected an object'),
    ("photo.width", 0, "photo.width: expected 1 to"),
    ("photo.path", 3, "photo.path: is 3; expected a text"),
    ("mesh.file", "../../x.obj", "mesh.file"),
    ("mesh.file", "", "mesh.file"),
    ("mesh.space", "both", "mesh.space: is \"both\"; expected 'model' or 'camera'"),
    ("model", [], "model: is a list; expected an object"),
    ("model.sizes", {"identity": True}, "model.sizes.identity: is true"),
    ("model.checksum", ..., "model: lacks checksum"),
    ("parameters.identity", [1, "x"], r"parameters.identity\[1\]"),
    ("parameters.rotvec", [0, 0], "parameters.rotvec: a list of 2; expected 3"),
    ("parameters.gaze", ..., "parameters: lacks gaze"),
    ("parameters", ..., "lacks parameters"),
    ("energies", {"prdl": "many"}, "energies.prdl"),
    ("status", 1, "status: is 1"),
    ("landmark_error", [], "landmark_error: is a list"),
    ("part_iou", 3, "part_iou"),
    ("format_version", 9, "result format 9"),
    ("landmarks7", [[1, 2]], r"landmarks7\[0\]"),
]


@pytest.mark.parametrize(("key", "value", "text"), WRONG)
def test_what_is_wrong_is_named_by_its_key(written, key, value, text):
    _, fit = written
    fit.path.write_text(json.dumps(changed(fit.document, key, value)))
    with pytest.raises(InputError, match=f"face.json: .*{text}"):
        find_fits([fit.path])
    with pytest.raises(ValueError, match="face.json"):
        load_parameters(fit.path)


@pytest.mark.parametrize(
    "word", ["NaN", "Infinity", "-Infinity", "1e999", "1" * 400, "[" * 50 + "]" * 50, "[" * 9999, "{", ""]
)
def test_what_is_no_json_is_one_line(written, word):
    _, fit = written
    fit.path.write_text(json.dumps({**fit.document, "status": "@"}).replace('"@"', word))
    error_line(facefit("eval", "landmarks", fit.path.parent), 4, "face.json")
    error_line(facefit("eval", "landmarks", fit.path), 4, "face.json")


def test_numbers_beyond_single_precision(written, toy_model):
    _, fit = written
    fit.path.write_text(json.dumps(changed(fit.document, "parameters.translation", [0, 0, -1e300])))
    with pytest.raises(InputError, match="translation: a number beyond single precision"):
        load_scene(find_fits([fit.path])[0], toy_model)


def test_another_number_of_coefficients(written, toy_model):
    _, fit = written
    fit.path.write_text(json.dumps(changed(fit.document, "parameters.identity", [1.0])))
    with pytest.raises(InputError, match=r"face.json: .*identity has shape \(1,\); expected"):
        load_scene(find_fits([fit.path])[0], toy_model)


def test_what_others_keep_beside_fits_is_left_alone(written):
    _, fit = written
    (fit.path.parent / "metrics.json").write_text('{"loss": NaN}')
    os.mkfifo(fit.path.parent / "pipe.json")
    assert [each.path for each in find_fits([fit.path.parent])] == [fit.path]
    with pytest.raises(InputError, match="metrics.json: not a facefit result"):
        find_fits([fit.path.parent / "metrics.json"])


def test_a_file_of_no_measure_is_not_read(written, monkeypatch):
    _, fit = written
    monkeypatch.setattr("facefit.output.result_format.LARGEST_FILE", 100)
    with pytest.raises(InputError, match="face.json: .* accepted: up to"):
        find_fits([fit.path])
