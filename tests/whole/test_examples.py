"""The programs in examples/, run as a user would, on a real portrait with few iterations."""

import importlib.util
from dataclasses import replace
from functools import partial

import pytest
from helpers.places import ROOT
from PIL import Image

from facefit.bundled import model_path
from facefit.fit.config import override, preset

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
    monkeypatch.setattr(module, "write_result", partial(module.write_result, texture_size=64))
    return module


def test_every_example_is_tested_here():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {
        "fit_from_python", "own_energy", "compare_renderers", "synthetic_dataset",
    }  # fmt: skip


@needs_model
def test_fit_from_python(portrait, tmp_path, monkeypatch, capsys):
    quickly(example("fit_from_python"), monkeypatch, 2).main(str(portrait), str(tmp_path / "mesh.obj"))
    assert (tmp_path / "mesh_texture.png").is_file() and "landmark error" in capsys.readouterr().out


@needs_model
def test_own_energy_moves_the_fit(portrait, tmp_path, monkeypatch, capsys):
    module = quickly(example("own_energy"), monkeypatch, 8)
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
