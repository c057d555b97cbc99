"""No command writes over what it reads or what it owns: exit code 2 before anything is touched, for all of them."""

import json
import os
import shutil

import numpy as np
import pytest
from helpers.command_line import error_line, facefit
from helpers.synthetic_result import synthetic_result
from PIL import Image

from facefit.batch.store import open_store
from facefit.output.write import write_result


@pytest.fixture
def place(tmp_path):
    """A folder p/ with a photo and lists, and two links to it; nothing in it may change."""
    folder = tmp_path / "p"
    folder.mkdir()
    Image.fromarray(np.full((64, 64, 3), 128, np.uint8)).save(folder / "v.png")
    (folder / "list.txt").write_text("v.png\n")
    (tmp_path / "link.png").symlink_to(folder / "v.png")
    os.link(folder / "v.png", tmp_path / "hard.png")
    (tmp_path / "folder").symlink_to(folder)
    return tmp_path


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def refused(place, *args, word="would overwrite the input"):
    before = contents(place)
    error_line(facefit(*args), 2, word)
    assert contents(place) == before


@pytest.mark.parametrize("sheet", ("p/v.png", "link.png", "hard.png", "folder/v.png", "p/../p/v.png", "p/list.txt"))
def test_the_sheet_of_a_batch(place, sheet):
    refused(place, "batch", place / "p", place / "p" / "list.txt", "-o", place / "out", "--sheet", place / sheet)
    assert not (place / "out").exists()


@pytest.mark.parametrize("sheet", ("manifest.jsonl", "manifest.parquet", ".lock", ".partial/a.html", "v.obj", "v.json",
                                   "V.JSON", "v_2.mtl", "v_overlay.png", "v_1_texture.png", "link.jsonl"))  # fmt: skip
@pytest.mark.parametrize("made", (False, True))
def test_the_sheet_and_what_the_folder_owns(place, sheet, made):
    out = place / "out"
    if made:
        out.mkdir()
        (out / "manifest.jsonl").write_text("")
        (out / "link.jsonl").symlink_to("manifest.jsonl")
    elif sheet == "link.jsonl":
        pytest.skip("a link to nothing")
    before = contents(place)
    result = facefit("batch", place / "p", "-o", out, "--sheet", out / sheet)
    assert result.exit_code == 2, result.output
    assert contents(place) == before and out.exists() == made


def test_a_list_that_is_the_manifest(place):
    (place / "out").mkdir()
    (place / "out" / "manifest.parquet").write_bytes(b"")
    refused(place, "batch", place / "p" / "v.png", "-o", place / "out", "--sheet", place / "out" / "manifest.parquet",
            word="written twice")  # fmt: skip


def test_photos_where_results_will_lie(place):
    (place / "out").mkdir()
    shutil.copy(place / "p" / "v.png", place / "out" / "v_texture.png")
    (place / "all.txt").write_text("p/v.png\nout/v_texture.png\n")
    (place / "p" / "w.txt").write_text("v.png\n../out/v_texture.png\n")
    refused(place, "batch", place / "p" / "w.txt", "-o", place / "out", word="lies where a result")


def test_a_sheet_among_the_results_is_none_of_them(place, monkeypatch):
    class Stages:
        def __init__(self, options, device=None):
            self.store = open_store(options.output)

        def whole(self, task):
            from facefit.batch.manifest import Record

            return Record(task.key, task.bytes, task.modified, "failed", 3, "no face")

    monkeypatch.setattr("facefit.batch.steps.load_stages", Stages)
    result = facefit("batch", place / "p", "-o", place / "out", "--sheet", place / "out" / "v.html", "--workers", 0)
    assert result.exit_code == 7 and "v.png" in (place / "out" / "v.html").read_text()


@pytest.mark.parametrize("option", ("--json", "--overlay", "--confidence", "-o"))
def test_parse(place, option):
    photo = place / "p" / "v.png"
    for written in (photo, place / "link.png", place / "hard.png"):
        output = () if option == "-o" else ("-o", place / "l.png")
        refused(place, "parse", photo, *output, option, written)
    if option != "-o":
        refused(place, "parse", photo, "-o", place / "l.png", option, place / "L.PNG", word="written twice")


@pytest.fixture
def fits(place, toy_model):
    photo = place / "p" / "v.png"
    for name in ("a", "b"):
        (place / name).mkdir()
        result = synthetic_result(toy_model)
        object.__setattr__(result, "photo_path", str(photo))
        write_result(result, place / name / "1.obj", texture_size=16)
    return place


def test_reports_of_eval(fits):
    read = [fits / "a" / "1.json", fits / "a" / "1.obj", fits / "a" / "1_texture.png", fits / "p" / "v.png"]
    for path in read:
        refused(fits, "eval", "landmarks", fits / "a", "--json", path)
        refused(fits, "eval", "compare", fits / "a", fits / "b", "--json", path)
    for args in (("landmarks", fits / "a"), ("compare", fits / "a", fits / "b")):
        assert facefit("eval", *args, "--json", fits / "a" / "report.json").exit_code == 0
        assert facefit("eval", *args, "--json", fits / "a" / "report.json").exit_code == 0  # again
    png = fits / "a" / "1_texture.png"
    refused(fits, "eval", "compare", fits / "b", fits / "a", "--sheet", png)
    refused(fits, "eval", "compare", fits / "b", fits / "a", "--sheet", fits / "s.png", "--json", fits / "s.png",
            word="written twice")  # fmt: skip
    mesh = fits / "a" / "1.obj"
    points = fits / "points.json"
    points.write_text(json.dumps([[0, 0, 0]] * 7))
    for args in (("--json", mesh), ("--json", points), ("--json", fits / "a" / "1.json")):
        refused(fits, "eval", "scan", mesh, fits / "b" / "1.obj", "--landmarks", points, *args)


def test_no_report_over_what_came_with_facefit_or_is_installed(fits, monkeypatch):
    from facefit.bundled import model_path

    size = model_path().stat().st_size
    monkeypatch.setenv("FACEFIT_MODELS", str(fits / "models"))
    (fits / "models").mkdir()
    (fits / "models" / "mine.npz").write_bytes(b"a model")
    refused(fits, "eval", "landmarks", fits / "a", "--json", model_path(), word="came with facefit")
    refused(fits, "eval", "landmarks", fits / "a", "--json", fits / "models" / "mine.npz")
    refused(fits, "batch", fits / "p", "-o", fits / "out", "--sheet", fits / "models" / "mine.npz")
    assert model_path().stat().st_size == size


def test_a_model_is_not_installed_over_its_original(place, monkeypatch):
    monkeypatch.setenv("FACEFIT_MODELS", str(place / "models"))
    (place / "models").mkdir()
    (place / "models" / "mine.npz").write_bytes(b"an original")
    original = place / "models" / "mine.npz"
    refused(place, "models", "add", "generic", original, "--as", "mine", "--overwrite")
    refused(place, "models", "add", "generic", place / "p", "--as", "other", "-o", place / "p" / "v.png")


def test_the_beginning_of_a_fit(fits, monkeypatch):
    photo = fits / "p" / "v.png"
    for given in (fits / "a" / "1.json", fits / "a" / "1.obj"):
        refused(fits, photo, "-o", fits / "a" / "1.ply", "--like", given)
