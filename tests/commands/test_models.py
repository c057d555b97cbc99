"""`facefit models`: what it lists, adds, shows and removes, and what it says when it cannot."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.toy_model import toy_arrays
from PIL import Image

from facefit.commands import cli
from facefit.errors import ModelError, OutputError
from facefit.importers.read import READERS
from facefit.model.catalogue import KINDS
from facefit.model.model_file import load_model

pytestmark = pytest.mark.usefixtures("loaded_once")
OBSERVED = {"dense_faces": np.array([3, -1, 7], np.int32), "dense_bary": np.full((3, 3), 1 / 3, np.float32)}


def facefit(*args):
    return CliRunner().invoke(cli, ["models", *map(str, args)], standalone_mode=False)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FACEFIT_MODELS", str(tmp_path / "data" / "models"))
    return tmp_path / "data" / "models"


@pytest.fixture
def toy(monkeypatch):
    """A kind whose reader and whose look at the renders are stand-ins; all else is real."""
    asked = {}

    def read(path, **options):
        asked.update(path=path, options=options)
        if not path.exists():
            raise ModelError(f"{path}: No such file or directory")
        return "source"

    monkeypatch.setitem(READERS, "generic", lambda: read)
    monkeypatch.setattr("facefit.importers.install.install_arrays", lambda source, **options: toy_arrays())
    monkeypatch.setattr("facefit.convert.dense_points.with_dense_points", lambda arrays, own: arrays | OBSERVED)
    return asked


def test_list(folder):
    result = facefit("list")
    assert result.exit_code == 0
    for word in ("default", "CC0-1.0", "ict", "MIT", "gnm", "Apache-2.0", "--download", str(folder)):
        assert word in result.output.replace("\n", ""), word
    document = json.loads(facefit("list", "--json").output)
    assert document["installed"]["default"]["vertices"] == 18513
    assert document["installed"]["default"]["counts"] == {"identity": 116, "expression": 52, "albedo": 40, "joints": 0}
    assert set(document["available"]) == set(KINDS)


def test_add_show_remove(toy, folder, tmp_path):
    (tmp_path / "head.obj").write_text("v 0 0 0\n")
    (tmp_path / "shapes").mkdir()
    result = facefit(
        "add", "generic", tmp_path / "head.obj", "--with", f"blendshapes={tmp_path / 'shapes'}", "--as", "me"
    )
    assert result.exit_code == 0, result.output
    assert toy["options"] == {"blendshapes": tmp_path / "shapes"}
    assert load_model("me").name == "toy" and "me: toy, 289 vertices" in result.output
    assert Image.open(folder / "me.png").size == (960, 640)
    assert sorted(path.name for path in folder.iterdir()) == ["me.npz", "me.png"]
    assert "me" in facefit("list").output
    picture = tmp_path / "me_sheet.png"
    result = facefit("show", "me", "-o", picture)
    assert result.exit_code == 0 and "4 identity, 3 expression, 3 albedo" in result.output
    assert "observed points: 2 of 3" in result.output
    assert np.asarray(Image.open(picture)).std() > 10
    assert facefit("remove", "me").exit_code == 0 and not list(folder.iterdir())


def test_a_model_is_not_replaced_unasked(toy, folder, tmp_path):
    (tmp_path / "head.obj").write_text("")
    assert facefit("add", "generic", tmp_path / "head.obj").exit_code == 0
    with pytest.raises(Exception, match="--overwrite replaces it"):
        CliRunner().invoke(cli, ["models", "add", "generic", str(tmp_path / "head.obj")],
                           standalone_mode=False, catch_exceptions=False)  # fmt: skip
    assert facefit("add", "generic", tmp_path / "head.obj", "--overwrite").exit_code == 0


def test_nothing_is_half_installed(toy, folder, tmp_path, monkeypatch):
    """Whatever goes wrong, and wherever: no file under the model's name."""
    missing = facefit("add", "generic", tmp_path / "none.obj")
    assert isinstance(missing.exception, ModelError) and not folder.exists()
    (tmp_path / "head.obj").write_text("")
    damaged = toy_arrays()
    damaged["verts"] = damaged["verts"] * np.nan
    monkeypatch.setattr("facefit.importers.install.install_arrays", lambda source, **options: damaged)
    result = facefit("add", "generic", tmp_path / "head.obj")
    assert isinstance(result.exception, ModelError) and not folder.exists()
    monkeypatch.setattr("facefit.importers.install.install_arrays", lambda source, **options: toy_arrays())

    def full(*args, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        result = facefit("add", "generic", tmp_path / "head.obj")
    assert isinstance(result.exception, OutputError) and "No space left" in str(result.exception)
    assert not list(folder.iterdir())


def test_a_model_and_its_picture_are_of_one_installation(toy, folder, tmp_path, monkeypatch):
    """Where the second of the two cannot get its name, the first one has its old content."""
    (tmp_path / "head.obj").write_text("")
    assert facefit("add", "generic", tmp_path / "head.obj").exit_code == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(before) == {"generic.npz", "generic.png"}
    larger = toy_arrays(19, 19)
    monkeypatch.setattr("facefit.importers.install.install_arrays", lambda source, **options: larger)
    real, named = os.replace, []

    def full(source, target):
        named.extend([target] * (target.parent == folder))
        if len(named) == 2 and target not in named[:1]:
            raise OSError(28, "No space left on device")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        result = facefit("add", "generic", tmp_path / "head.obj", "--overwrite")
    assert "No space left" in str(result.exception)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert facefit("add", "generic", tmp_path / "head.obj", "--overwrite").exit_code == 0
    assert all((folder / name).read_bytes() != data for name, data in before.items())


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("add", "itc", "x"), "did you mean 'ict'"),
        (("add", "ict"), "or --download"),
        (("add", "ict", "x", "--download"), "or --download"),
        (("add", "flame", "--download"), "cannot be downloaded for you; get it from https://flame"),
        (("add", "ict", "x", "--with", "texture=y"), "nothing for ict"),
        (("add", "flame", "x", "--with", "texture"), "texture=PATH"),
        (("add", "ict", "x", "--as", "Über"), "accepted: letters"),
        (("add", "ict", "x", "-o", "picture.jpg"), "ends in .png"),
        (("show", "nobody"), "no face model 'nobody'"),
        (("remove", "nobody"), "no model 'nobody' is installed"),
        (("remove", "default"), "cannot be removed"),
    ],
)
def test_one_line_says_what_is_wrong(args, message, capfd):
    with pytest.raises(SystemExit) as end:
        cli.main(["models", *args])
    line = capfd.readouterr().err.strip()
    assert end.value.code in (2, 5) and message in line and "\n" not in line
