"""A folder of synthetic people: the same by any way it is made, and nothing else is touched."""

import json
import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from helpers.command_line import error_line, facefit
from PIL import Image

from facefit.synth import dataset, pools
from facefit.synth.dataset import make_dataset, picture_path
from facefit.synth.heads import model_head


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_each_picture_has_its_files(toy_people, toy_options):
    found = contents(toy_people)
    names = [name for name in found if name.startswith("pictures/")]
    assert len(names) == 3 * toy_options.count
    assert {"pictures/0000/000001_01.png", "pictures/0000/000001_01.npz", "pictures/0000/000001_01.json"} <= set(names)
    assert set(found) - set(names) == {"README.md", "sheet.jpg", "synth.json"}
    about = json.loads(found["pictures/0000/000001_01.json"])
    assert (about["person"], about["photo"], about["model"]["name"]) == (1, 1, "toy")
    assert "toy" in found["README.md"].decode() and "CC0-1.0" in found["README.md"].decode()
    with Image.open(toy_people / "pictures/0000/000000_00.png") as picture:
        assert picture.size == (toy_options.size, toy_options.size)


def test_photos_of_a_person_share_who_it_is_and_nothing_else(toy_people):
    def read(name):
        with np.load(toy_people / f"pictures/0000/{name}.npz") as file:
            return dict(file)

    first, second, other = read("000000_00"), read("000000_01"), read("000001_00")
    np.testing.assert_array_equal(first["identity"], second["identity"])
    assert np.abs(first["identity"] - other["identity"]).max() > 0.1
    for name in ("expression", "rotvec", "sh", "focal"):
        assert np.abs(first[name] - second[name]).max() > 1e-4, name


def test_killed_and_gone_on_with_by_others_it_is_the_same(toy_people, toy_options, toy_studio, tmp_path, monkeypatch):
    """Threads stand for the processes."""
    data = tmp_path / "data"
    shutil.copytree(toy_people, data)
    for name in ("000000_01.json", "000001_00.npz", "000001_01.png"):
        (data / "pictures/0000" / name).unlink()
    (data / "sheet.jpg").unlink()
    pool = lambda workers, context, begin, given: ThreadPoolExecutor(workers, "w", begin, given)  # noqa: E731
    monkeypatch.setattr(pools, "ProcessPoolExecutor", pool)
    monkeypatch.setattr(dataset, "_AHEAD", 1)
    monkeypatch.setattr(pools.signal, "signal", lambda *given: None)
    told = []
    made = make_dataset(data, toy_options, 2, None, lambda *now: told.append(now), lambda options: toy_studio)
    assert made == 3 and told == [(done, 4) for done in (1, 2, 3, 4)]
    assert contents(data) == contents(toy_people)


def test_shards_hold_the_same_files(toy_people, toy_options, toy_studio, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(toy_people, data)
    assert make_dataset(data, toy_options, shard=3, load=lambda options: toy_studio) == 0
    members = {}
    for path in sorted((data / "shards").iterdir()):
        with tarfile.open(path) as tar:
            members[path.name] = tar.getnames()
            for entry in tar:
                stored = tar.extractfile(entry).read()
                assert stored == (data / "pictures/0000" / entry.name).read_bytes() and entry.mtime == 0
    assert [len(names) for names in members.values()] == [9, 3]
    assert members["0000.tar"][:3] == ["000000_00.png", "000000_00.npz", "000000_00.json"]


def test_another_wish_or_another_folder_is_refused(toy_people, toy_file, tmp_path):
    before = contents(toy_people)
    result = facefit("synth", "-o", toy_people, "--people", 2, "--photos-per-person", 2, "--model", toy_file)
    error_line(result, 4, "was made with another glasses, mesh, noise, seed, size", "choose another folder")
    assert contents(toy_people) == before
    (tmp_path / "mine.txt").write_text("mine")
    error_line(facefit("synth", "-o", tmp_path, "--people", 1), 4, "is not empty")
    error_line(
        facefit("synth", "-o", tmp_path / "new", "--focal", "90-30"), 2, "focal is 90.0-30.0; accepted: LOW-HIGH"
    )
    error_line(facefit("synth", "-o", tmp_path / "new", "--jpeg", "best"), 2, "'best'; accepted: LOW-HIGH")
    error_line(facefit("synth", "-o", tmp_path / "new", "--expressions", "smile", "--model", toy_file), 5, "'smile'")
    assert not (tmp_path / "new").exists()


def test_any_model_is_bent_into_the_painting_frame(default_model, toy_model, monkeypatch):
    """A model of the default one's landmarks at another place and size is painted as that one is."""
    from dataclasses import replace

    from facefit.synth import heads

    monkeypatch.setattr(heads, "sky_share", lambda verts, faces: np.ones(len(verts), np.float32))
    moved = replace(default_model, verts=default_model.verts * 1.1 + 5, name="moved", checksum="other")
    there, known = model_head(moved, default_model), model_head(default_model, default_model)
    face = known.paint[:, 2] > 80
    away = np.linalg.norm(there.paint - known.paint, axis=1)
    assert away[face].max() < 1.0 and there.ends_at_neck
    np.testing.assert_allclose(there.centre, known.centre * 1.1 + 5, atol=3)


def test_the_folder_of_a_picture_tells_its_thousand(tmp_path):
    assert picture_path(tmp_path, 12_345, 2) == tmp_path / "pictures/0012/012345_02"
