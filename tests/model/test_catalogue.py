"""Which models there are, and how a name becomes a file."""

import subprocess
import sys

import pytest
from helpers.places import ROOT
from helpers.toy_model import toy_arrays

from facefit.bundled import model_path
from facefit.errors import ModelError
from facefit.model.catalogue import KINDS, check_name, installed, models_folder, resolve
from facefit.model.model_file import load_model, save_arrays


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FACEFIT_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def test_the_folder_is_the_users_unless_said_otherwise(folder, monkeypatch):
    assert models_folder() == folder and installed() == {}
    monkeypatch.delenv("FACEFIT_MODELS")
    assert models_folder().name == "models" and models_folder().is_absolute()


def test_models_by_name_and_by_path(folder, default_model):
    folder.mkdir()
    save_arrays(folder / "mine.npz", toy_arrays())
    (folder / ".mine.npz.x1.part").write_bytes(b"half of a file")  # what a killed process leaves
    assert installed() == {"mine": folder / "mine.npz"}
    assert load_model("mine").name == "toy" and load_model(folder / "mine.npz").name == "toy"
    assert load_model("default").checksum == default_model.checksum == load_model(model_path()).checksum


def test_a_name_that_is_not_installed_says_what_to_do(folder, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="facefit models add ict --download"):
        resolve("ict")
    with pytest.raises(ModelError, match="facefit models add flame PATH"):
        load_model("flame")
    with pytest.raises(ModelError, match="no face model 'nobody'; installed: default"):
        resolve("nobody")
    with pytest.raises(ModelError, match="none.npz"):
        load_model("none.npz")  # a path, for it has a suffix


@pytest.mark.parametrize("name", ["", "Up", "../x", "a b", "x.npz", ".x", "default", "a" * 41])
def test_names_that_will_not_do(name):
    with pytest.raises(ModelError):
        check_name(name)


def test_every_kind_says_what_a_user_needs():
    for name, kind in KINDS.items():
        assert check_name(name) == name and kind.license and kind.home and kind.obtain


def test_the_list_needs_no_torch():
    code = "import sys, facefit.model.catalogue; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0
