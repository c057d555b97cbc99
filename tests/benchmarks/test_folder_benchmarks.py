"""The benchmarks of folders see what they are to see. Their long runs are not tests."""

import json
import os
from dataclasses import asdict

import pytest
from PIL import Image

from benchmarks import bench_gpu, kill_resume
from benchmarks.photo_folder import fill, processes_below
from facefit.batch.manifest import Record

pytest.importorskip("skimage")


def test_folders_of_any_length(tmp_path):
    photos = sorted(fill(tmp_path / "a", 70, side=64).iterdir())
    assert len(photos) == 70 and photos[69].samefile(photos[5])
    assert len({path.read_bytes() for path in photos}) == 64
    with Image.open(photos[0]) as picture:
        assert picture.size == (64, 64)
    linked = sorted(fill(tmp_path / "b", 150, photos=tmp_path / "a").iterdir())
    assert len(linked) == 150 and linked[149].resolve() == photos[9]


def test_this_process_is_below_its_parent():
    assert os.getpid() in processes_below(os.getppid())


def test_the_verification_of_a_killed_batch_finds_what_is_wrong(tmp_path):
    (tmp_path / "a.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1/1 2/2 3/3\n")
    (tmp_path / "a.json").write_text(json.dumps({"mesh": {"vertices": 3}}))
    outputs = ["a.obj", "a.json"]
    record = Record("a.jpg", 1, 1.0, "done", outputs=outputs,
                    output_bytes=[(tmp_path / name).stat().st_size for name in outputs])  # fmt: skip
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(record.line())
    assert kill_resume.verify(tmp_path, 1) == []
    assert kill_resume.verify(tmp_path, 2) == ["1 photos of 2"]
    (tmp_path / ".half").write_text("")
    manifest.write_text(record.line() * 2)
    assert kill_resume.verify(tmp_path, 1) == ["a.jpg: done 2 times", ".half: not in the manifest"]
    (tmp_path / ".half").unlink()
    manifest.write_text(record.line())
    text = (tmp_path / "a.obj").read_text()
    (tmp_path / "a.obj").write_text(text.replace("f 1/1 2/2 3/3", "f 1/1 2/2 4/4"))
    found = kill_resume.verify(tmp_path, 1)
    assert len(found) == 2 and "uses v 1 to 4; the file has 1 to 3" in found[0] and found[1] == "a.json: another mesh"
    manifest.write_text(json.dumps({**asdict(record), "status": "failed", "error": "x"}) + "\n")
    assert "a.jpg: x" in kill_resume.verify(tmp_path, 1)
    good, bad = record.line(), Record("broken00.jpg", 1, 1.0, "failed", 4, "broken00.jpg: damaged").line()
    (tmp_path / "a.obj").write_text(text)
    manifest.write_text(good + bad)
    assert kill_resume.verify(tmp_path, 1, 1) == []
    for lines in (good, good + bad * 2, good + bad.replace("damaged", "x").replace("00.jpg: ", "")):
        manifest.write_text(lines)
        assert kill_resume.verify(tmp_path, 1, 1) == [f"{lines.count(': damaged')} of 1 broken photos are named"]


def test_without_a_gpu_it_says_so(capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert bench_gpu.main([]) == 1 and "no CUDA device" in capsys.readouterr().err
