"""The programs in examples/, run as a user would, on a real portrait with few iterations."""

import importlib.util
import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from helpers.places import ROOT
from PIL import Image

import facefit.fit.fit
from facefit.bundled import model_path
from facefit.fit.config import override, preset
from facefit.output import texture_picture

pytestmark = pytest.mark.usefixtures("loaded_once", "plain_textures")
EXAMPLES = ROOT / "examples"
needs_model = pytest.mark.skipif(not model_path().is_file(), reason="the face model is not built")


def example(name):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def portrait(astronaut, tmp_path):
    path = tmp_path / "portrait.png"
    Image.fromarray(astronaut[:200, 130:330]).save(path)
    return path


def quickly(module, monkeypatch, iterations):
    real = module.fit_photo
    config = replace(override(preset(), iterations=iterations), window=96)
    monkeypatch.setattr(module, "fit_photo", lambda photo, **options: real(photo, config, **options))
    monkeypatch.setattr(module, "write_result", partial(module.write_result, texture_size=16))
    return module


def test_every_example_is_tested_here():
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == {
        "fit_from_python.py", "own_energy.py", "compare_renderers.py", "edit_expression.py", "first_face.ipynb",
        "synthetic_dataset.py",
    }  # fmt: skip


@needs_model
def test_fit_from_python(portrait, tmp_path, monkeypatch, capsys):
    quickly(example("fit_from_python"), monkeypatch, 2).main(str(portrait), str(tmp_path / "mesh.obj"))
    assert (tmp_path / "mesh_texture.png").is_file() and "landmark error" in capsys.readouterr().out


@needs_model
def test_the_notebook_and_what_edits_its_result(astronaut, tmp_path, monkeypatch, capsys):
    """Its cells one after the other, as a notebook runs them, on a smaller photo with two iterations."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("skimage.data.astronaut", lambda: astronaut[:200, 130:330])
    real, config = facefit.fit.fit.fit_photo, replace(override(preset(), iterations=2), window=96)
    monkeypatch.setattr(facefit.fit.fit, "fit_photo", lambda photo: real(photo, config))
    taken = texture_picture.unwrapped
    monkeypatch.setattr(texture_picture, "unwrapped", lambda result, size: taken(result, 16))
    notebook = json.loads((EXAMPLES / "first_face.ipynb").read_text())
    names = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []  # as it is kept
            exec("".join(cell["source"]), names)
    wink = json.loads((tmp_path / "wink.json").read_text())
    assert wink["status"] == "edited" and wink["expression"]["eyeBlinkLeft"] == 1
    assert names["wink"].parameters.identity is names["result"].parameters.identity
    smile = json.loads((tmp_path / "smile.json").read_text())
    assert smile["expression"]["eyeBlinkLeft"] == 0 and smile["mesh"]["units"] == "metre"
    example("edit_expression").main("wink.json", "open.ply", "faces.png", 64)
    with Image.open("faces.png") as picture:
        faces = np.asarray(picture).reshape(64, 3, 64, 3).astype(int)
    assert np.abs(faces[:, 0] - faces[:, 1]).max() > 30 and "open.ply" in capsys.readouterr().out


@needs_model
def test_own_energy_moves_the_fit(portrait, tmp_path, monkeypatch, capsys):
    module = quickly(example("own_energy"), monkeypatch, 5)
    openings = []
    real = module.closed_mouth

    def watched(parameters, objective):
        terms = real(parameters, objective)
        openings.append(float(terms["closed mouth"].detach()[0]))
        return terms

    monkeypatch.setattr(module, "closed_mouth", watched)
    module.main(str(portrait), str(tmp_path / "mesh.ply"))
    assert "closed mouth" in capsys.readouterr().out and (tmp_path / "mesh.ply").is_file()
    strong, openings[:] = openings[:], []
    monkeypatch.setattr(module, "WEIGHT", 0.0)
    module.main(str(portrait), str(tmp_path / "mesh.ply"))
    assert strong[-1] < 0.9 * strong[0] and set(openings) == {0.0}


def test_compare_renderers(toy_model, capsys):
    cosines = example("compare_renderers").main(toy_model)
    assert cosines["translation"] > 0.98 and cosines["albedo"] > 0.98
    assert "pictures differ by" in capsys.readouterr().out


def test_synthetic_dataset(toy_people, capsys):
    module = example("synthetic_dataset")
    module.main(str(toy_people))
    assert "(4, 3, 96, 96) (4, 96, 96) (4, 478, 2)" in capsys.readouterr().out
    image, labels, landmarks = module.SyntheticPeople(str(toy_people))[1]
    assert 0 <= image.min() and 0.5 < image.max() <= 1 and labels.max() < 16 and landmarks.shape == (478, 2)
