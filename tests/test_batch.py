"""Folders: which photos, which names, what the manifest remembers. The fit itself is a stand-in here."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fitter.batch import MANIFEST, Record, find_photos, mesh_names, plan_batch, read_manifest, run_batch
from fitter.errors import ImageError, NoFaceError, OutputError


@pytest.fixture
def folder(tmp_path):
    """Photos (empty files do: nothing is decoded here) in two folders, among other things."""
    root = tmp_path / "in"
    for name in ("b.JPG", "a.jpeg", "sub/a.png", "sub/deeper/x.TIF", "notes.txt", ".hidden.jpg", ".cache/y.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"photo")
    return root


def fake_fit(task):
    task.mesh.write_text("mesh")
    energies = {"landmark": 0.5, "prdl": None}
    face = {"energies": energies, "part_iou": 0.8, "landmark_error": 0.01, "status": "converged"}
    return [SimpleNamespace(paths=[task.mesh], **face)]


def run(folder, output, work=fake_fit, **options):
    return list(run_batch(plan_batch(folder, output, **options), output, work, options.get("settings")))


def test_finds_photos_in_any_case_and_depth(folder):
    names = [path.relative_to(folder).as_posix() for path in find_photos(folder)]
    assert names == ["a.jpeg", "b.JPG", "sub/a.png", "sub/deeper/x.TIF"]


def test_output_inside_the_input_is_not_searched(folder):
    run(folder, folder / "out")
    (folder / "out" / "a_texture.png").write_bytes(b"texture")
    assert len(find_photos(folder, leave_out=folder / "out")) == 4
    assert [record.status for record in run(folder, folder / "out")] == ["skipped"] * 4


def test_bad_folders(folder, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for path, word in ((tmp_path / "none", "no such folder"), (folder / "a.jpeg", "not a folder"), (empty, "no photo")):
        with pytest.raises(ImageError, match=word):
            plan_batch(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(OutputError, match="folder of the photos"):
        plan_batch(folder, folder)
    with pytest.raises(OutputError, match="cannot be made"):
        plan_batch(folder, folder / "notes.txt" / "out")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["a.jpg", "b.png"], ["a.obj", "b.obj"]),
        (["a.jpg", "a.png"], ["a_jpg.obj", "a_png.obj"]),
        (["A.jpg", "a.jpg"], ["A_jpg.obj", "a_jpg_.obj"]),
        (["a.jpg", "a.png", "a_jpg.png"], ["a_jpg.obj", "a_png.obj", "a_jpg_png.obj"]),
        (["a.jpg", "a_1.jpg"], ["a_jpg.obj", "a_1_jpg.obj"]),
        (["a.jpg", "a_texture.jpg"], ["a_jpg.obj", "a_texture_jpg.obj"]),
        (["a.b.jpg", "a.c.jpg"], ["a.b.obj", "a.c.obj"]),
        (["x/a.jpg", "y/a.jpg"], ["x/a.obj", "y/a.obj"]),
    ],
)
def test_names_never_collide(files, expected):
    names = mesh_names([Path("in") / name for name in files], Path("in"), ".obj")
    assert [path.as_posix() for path in names.values()] == expected


def test_a_failure_never_stops_the_rest(folder, tmp_path):
    def work(task):
        if task.key == "a.jpeg":
            raise NoFaceError("no face\nhere")
        if task.key == "b.JPG":
            raise ZeroDivisionError("surprise")
        return fake_fit(task)

    records = run(folder, tmp_path / "out", work)
    assert [record.status for record in records] == ["failed", "failed", "done", "done"]
    assert [record.exit_code for record in records] == [3, 5, 0, 0]
    assert records[0].error == "no face here" and records[1].error == "ZeroDivisionError: surprise"
    assert (tmp_path / "out/sub/deeper/x.obj").is_file()
    lines = (tmp_path / "out" / MANIFEST).read_text().splitlines()
    assert [json.loads(line)["photo"] for line in lines] == ["a.jpeg", "b.JPG", "sub/a.png", "sub/deeper/x.TIF"]
    face = json.loads(lines[2])["faces"][0]
    assert face["energies"] == {"landmark": 0.5, "prdl": None} and face["mesh"] == "sub/a.obj"


def test_goes_on_where_it_stopped(folder, tmp_path):
    output, seen = tmp_path / "out", []

    def work(task):
        seen.append(task.key)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return fake_fit(task)

    with pytest.raises(KeyboardInterrupt):
        run(folder, output, work)
    assert len(read_manifest(output / MANIFEST)) == 2
    seen[:] = [None] * 10
    records = run(folder, output, work)
    assert [record.status for record in records] == ["skipped", "skipped", "done", "done"]
    assert records[0].faces[0]["landmark_error"] == 0.01  # what was found then is still told
    assert seen[10:] == ["sub/a.png", "sub/deeper/x.TIF"]
    assert len(run(folder, output, fake_fit, overwrite=True)) == 4


def test_done_holds_only_as_long_as_nothing_changed(folder, tmp_path):
    output = tmp_path / "out"
    run(folder, output)
    (output / "a.obj").unlink()
    (folder / "b.JPG").write_bytes(b"another photo")
    os.utime(folder / "sub/a.png", (1, 1))
    assert [r.status for r in run(folder, output)] == ["done", "done", "done", "skipped"]
    assert [r.status for r in run(folder, output, suffix=".glb")] == ["done"] * 4


def test_other_settings_fit_again(folder, tmp_path):
    output = tmp_path / "out"
    for settings, status in (({"seed": 1}, "done"), ({"seed": 1}, "skipped"), ({"seed": 2}, "done")):
        assert [record.status for record in run(folder, output, settings=settings)] == [status] * 4
    assert read_manifest(output / MANIFEST)["a.jpeg"].settings == {"seed": 2}


def test_the_reason_is_short():
    record = Record("sub/a.jpg", 1, 1.0, "failed", 4, "in/sub/a.jpg: damaged or cut off (x: y); expected JPEG or PNG")
    assert record.reason == "damaged or cut off (x: y)"
    assert Record("a.jpg", 1, 1.0, "failed", 3, "no face found; look closer").reason == "no face found"
    assert Record("a.jpg", 1, 1.0, "done").reason == ""


def test_a_new_photo_does_not_take_the_name_of_an_old_one(tmp_path):
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    (folder / "a_jpg.png").write_bytes(b"1")
    assert run(folder, output)[0].outputs == ["a_jpg.obj"]
    for name in ("a.jpg", "a.png"):
        (folder / name).write_bytes(b"2")
    records = {record.photo: record for record in run(folder, output)}
    assert records["a_jpg.png"].status == "skipped"
    outputs = [record.outputs[0] for record in records.values()]
    assert len(set(outputs)) == 3


def test_a_torn_manifest_is_mended(folder, tmp_path):
    output = tmp_path / "out"
    run(folder, output)
    with (output / MANIFEST).open("a") as stream:
        stream.write('{"photo": "a.jpe')  # the power went off
    (output / "a.obj").unlink()
    assert [record.status for record in run(folder, output)] == ["done", "skipped", "skipped", "skipped"]
    assert [record.status for record in run(folder, output)] == ["skipped"] * 4


def test_odd_names(tmp_path):
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    names = ["sp ace.jpg", "ünï\u2028code.jpg", 'quote".jpg', "new\nline.jpg"]
    for name in names:
        (folder / name).write_bytes(b"x")
    assert {record.status for record in run(folder, output)} == {"done"}
    assert {record.status for record in run(folder, output)} == {"skipped"}
    assert set(read_manifest(output / MANIFEST)) == set(names)


def test_a_dead_link_is_one_failed_photo(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "dead.jpg").symlink_to(tmp_path / "nowhere.jpg")
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(folder / "good.png")

    def work(task):
        from fitter.image import read_photo

        read_photo(task.photo)
        return fake_fit(task)

    assert [record.status for record in run(folder, tmp_path / "out", work)] == ["failed", "done"]
