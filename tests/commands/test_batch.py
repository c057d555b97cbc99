"""`facefit batch`: what it accepts, says, writes and returns. Mostly in this process, with a stand-in for the fit."""

import errno
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import command_line
from helpers.batch_fakes import WorkersHere
from helpers.command_line import error_line
from helpers.heic import register_heic_writer
from PIL import Image

from facefit.batch.manifest import Record
from facefit.batch.options import PeopleOptions
from facefit.batch.steps import failure
from facefit.batch.store import open_store
from facefit.bundled import model_path
from facefit.errors import OutputError
from facefit.files.read_mesh import read_mesh
from facefit.photo.photo import read_photo

needs_model = pytest.mark.skipif(not model_path().is_file(), reason="the face model is not built")


facefit = partial(command_line.facefit, "batch")


@pytest.fixture
def photo(tmp_path):
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "photo.png"
    Image.fromarray(np.full((64, 64, 3), 128, np.uint8)).save(path)
    return path


@pytest.fixture
def fake(monkeypatch):
    """Stages that read the photo and write two files; `calls` are the tasks, `error` is raised."""

    class FakeStages:
        calls: list = []
        error: BaseException | None = None
        status = "converged"
        left_out: list = []
        people = None

        def __init__(self, options, device=None):
            self.options, self.store = options, open_store(options.output)
            FakeStages.people = options.people

        def whole(self, task):
            FakeStages.calls.append(task)
            if FakeStages.error is not None:
                raise FakeStages.error
            record = Record(
                task.key,
                task.bytes,
                task.modified,
                "done",
                seconds=0.5,
                settings=self.options.settings,
                photos=task.names,
                left_out=[each for each in self.left_out if each["name"] in task.names],
            )
            try:
                read_photo(task.photo)
            except Exception as error:
                why = failure(error)
                return replace(record, status="failed", exit_code=why.exit_code, error=why.error)
            names = [task.mesh, str(Path(task.mesh).with_suffix(".json"))]
            names += [f"{Path(task.mesh).stem}_overlay.png"] * self.options.overlay
            self.store.write(dict.fromkeys(names, b"content"), [task.photo])
            face = {"face": 1, "mesh": task.mesh, "energies": {"prdl": 1.0}, "part_iou": 0.8, "landmark_error": 0.0123}
            face["status"] = self.status
            return replace(record, outputs=names, output_bytes=[7] * len(names), faces=[face])

    monkeypatch.setattr("facefit.batch.steps.load_stages", FakeStages)
    return FakeStages


def batch(*args):
    return facefit(*args, "--workers", 0)


def test_doubtful_fits_are_counted_and_named(fake, photo, tmp_path):
    fake.status = "doubtful"
    result = batch(photo.parent, "-o", tmp_path / "out")
    assert result.exit_code == 0 and "1 done, 0 skipped, 0 failed, 1 doubtful" in result.stdout
    assert "photo.png: done, doubtful, 0.5 s" in result.stderr and "done, doubtful" in result.stdout
    result = batch(photo.parent, "-o", tmp_path / "out")
    assert "photo.png: done, doubtful before" in result.stderr


def test_some_failed_is_code_7(fake, photo, tmp_path):
    (photo.parent / "text.JPG").write_text("no photo")
    out = tmp_path / "out"
    result = batch(photo.parent, "-o", out, "--format", "glb", "--overlay")
    assert result.exit_code == 7, result.stderr
    assert "1 done, 0 skipped, 1 failed" in result.stdout and "1.2" in result.stdout
    assert "[1/2] photo.png: done, 0.5 s" in result.stderr and "text.JPG: failed, not an image" in result.stderr
    assert {path.name for path in out.iterdir()} - {"manifest.parquet", ".lock"} == {
        "photo.glb", "photo.json", "photo_overlay.png", "manifest.jsonl",
    }  # fmt: skip
    records = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert [(r["photo"], r["status"], r["exit_code"]) for r in records] == [
        ("photo.png", "done", 0), ("text.JPG", "failed", 4),
    ]  # fmt: skip


def test_what_is_left_out_is_counted_and_named(fake, photo, tmp_path):
    for name in ("raw.CR2", "raw2.cr2", "notes.txt", "README", ".hidden.cr2"):
        (photo.parent / name).write_text("no photo")
    result = batch(photo.parent, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert "1 done, 0 skipped, 0 failed; 4 files left out" in result.stdout
    assert "2 .cr2, 1 .txt, 1 without an ending (README, notes.txt, raw.CR2, raw2.cr2)" in result.stderr


def test_phone_photos_are_photos(fake, photo, tmp_path):
    register_heic_writer()
    Image.open(photo).save(photo.with_name("IMG_1.HEIC"))
    result = batch(photo.parent, "-o", tmp_path / "out")
    assert result.exit_code == 0 and "2 done" in result.stdout and "left out" not in result.stdout


def test_the_table_is_written(fake, photo, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    assert batch(photo.parent, "-o", tmp_path / "out").exit_code == 0
    rows = parquet.read_table(tmp_path / "out" / "manifest.parquet").to_pylist()
    assert [(row["photo"], row["energy"], row["status"]) for row in rows] == [("photo.png", 1.0, "done")]


def test_without_pyarrow_it_says_so(fake, photo, tmp_path, monkeypatch):
    monkeypatch.setattr("facefit.batch.run.have_parquet", lambda: False)
    result = batch(photo.parent, "-o", tmp_path / "out")
    assert result.exit_code == 0 and "pip install 'facefit[batch]'" in result.stderr


def test_again_loads_nothing(fake, photo, tmp_path, monkeypatch):
    out = tmp_path / "new" / "out"
    assert batch(photo.parent, "-o", out).exit_code == 0
    monkeypatch.setattr("facefit.batch.steps.load_stages", None)
    result = facefit(photo.parent, "-o", out)
    assert result.exit_code == 0 and "1 skipped" in result.stdout and len(fake.calls) == 1


def test_failures_wait_for_retry(fake, photo, tmp_path):
    photo.write_text("no photo")
    for options, calls in (([], 1), ([], 1), (["--retry-failed"], 2)):
        result = batch(photo.parent, "-o", tmp_path / "out", *options)
        assert result.exit_code == 7 and "1 failed" in result.stdout and len(fake.calls) == calls
    assert "failed before" in batch(photo.parent, "-o", tmp_path / "out").stderr


def test_other_options_fit_again(fake, photo, tmp_path):
    for options, calls in ((["--faces", "1"], 1), (["--faces", "1", "-v"], 1), (["--faces", "1", "--overlay"], 2)):
        assert batch(photo.parent, "-o", tmp_path / "out", *options).exit_code == 0
        assert len(fake.calls) == calls
    assert (tmp_path / "out" / "photo_overlay.png").exists()


def test_groups_are_people(fake, photo, tmp_path):
    for name in ("ann/1.png", "ann/2.png", "bob/1.png"):
        (photo.parent / name).parent.mkdir(exist_ok=True)
        (photo.parent / name).write_bytes(photo.read_bytes())
    fake.left_out = [{"name": "ann/2.png", "reason": "no face found"}]
    result = batch(photo.parent / "ann", photo.parent / "bob", "-o", tmp_path / "out", "--group-by", "folder",
                   "--format", "glb", "--one-lens", "--no-detail", "--sheet", tmp_path / "sheet.html")  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert "ann: done, 1 of 2 photos, 0.5 s (" in result.stderr and "people/s" in result.stderr
    assert "left out: ann/2.png: no face found" in result.stderr and "2 done" in result.stdout
    assert [(task.key, task.names) for task in fake.calls] == [
        ("ann", ["ann/1.png", "ann/2.png"]),
        ("bob", ["bob/1.png"]),
    ]
    assert fake.people == PeopleOptions(None, one_lens=True, detail=False)
    assert "2 people of 3 photos, 0 failed" in (tmp_path / "sheet.html").read_text()
    again = batch(photo.parent, "-o", tmp_path / "out", "--group-by", "folder", "--format", "glb", "--one-lens",
                  "--no-detail")  # fmt: skip
    assert "[3/3]" in again.stderr and len(fake.calls) == 3 and fake.calls[2].key == "in"


@pytest.mark.parametrize(
    "options, words",
    [
        (["--group-by", "folder", "--albedo"], "--albedo is for photos"),
        (["--group-by", "folder", "--faces", "all"], "--faces all"),
        (["--keep-all"], "--keep-all is for people, who need --group-by"),
    ],
)
def test_options_of_photos_and_of_people(photo, tmp_path, options, words):
    error_line(batch(photo.parent, "-o", tmp_path / "out", *options), 2, words)
    assert not (tmp_path / "out").exists()


def test_overwrite_and_quiet(fake, photo, tmp_path):
    for _ in range(2):
        result = batch(photo.parent, "-o", tmp_path / "out", "--overwrite", "--quiet")
        assert result.exit_code == 0 and result.output == ""
    assert len(fake.calls) == 2


def test_sheet(fake, photo, tmp_path):
    assert batch(photo.parent, "-o", tmp_path / "out", "--sheet", tmp_path / "sheet.html").exit_code == 0
    assert '"out/photo.obj"' in (tmp_path / "sheet.html").read_text()


def test_folder_errors(fake, photo, tmp_path):
    error_line(facefit(tmp_path / "none", "-o", tmp_path / "out"), 4, "no such folder")
    error_line(facefit(photo.parent, "-o", photo.parent), 6, "folder of the photos")
    error_line(facefit(photo.parent, "-o", photo), 6, "photo.png")
    error_line(facefit(photo.parent, "-o", tmp_path / "out", "--energies", "fun"), 2, "fun")
    error_line(facefit(photo.parent, "-o", tmp_path / "out", "--sheet", tmp_path / "no/s.html"), 6, "does not exist")


def test_two_at_once_are_refused(fake, photo, tmp_path):
    store = open_store(tmp_path / "out")
    store.prepare()
    with store.lock():
        error_line(batch(photo.parent, "-o", tmp_path / "out"), 6, "another batch")
    assert batch(photo.parent, "-o", tmp_path / "out").exit_code == 0


def test_interrupt_keeps_what_is_done(fake, photo, tmp_path):
    fake.error = KeyboardInterrupt()
    error_line(batch(photo.parent, "-o", tmp_path / "out"), 130, "interrupted")
    fake.error = None
    assert batch(photo.parent, "-o", tmp_path / "out").exit_code == 0


def left(result):
    error_line(result, 6, "No space left on device", "photos are left, run again to go on")


def test_a_full_disk_is_one_line_and_no_photos_failure(fake, photo, tmp_path, monkeypatch):
    (photo.parent / "second.png").write_bytes(photo.read_bytes())
    out = tmp_path / "out"

    def full(*_):
        try:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise OutputError(f"{out}: {error.strerror}") from None

    for place in ("write", "remember"):  # a mesh, a line of the manifest
        monkeypatch.setattr(f"facefit.batch.folder_store.FolderStore.{place}", full)
        left(batch(photo.parent, "-o", out, "--quiet"))
        monkeypatch.undo()
        monkeypatch.setattr("facefit.batch.steps.load_stages", fake)
        assert not (out / "manifest.jsonl").exists()
    assert batch(photo.parent, "-o", out).exit_code == 0


def test_a_disk_that_is_really_full(fake, photo, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(out)]
    try:
        subprocess.run(mount, check=True, capture_output=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("no file system can be mounted here")
    try:
        for number in range(7):
            (photo.parent / f"more{number}.png").write_bytes(photo.read_bytes())
        free = os.statvfs(out)
        (out / "ballast").write_bytes(bytes(free.f_bavail * free.f_bsize - 8 * free.f_bsize))
        left(batch(photo.parent, "-o", out, "--quiet"))
        records = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
        assert 0 < len(records) < 8 and {record["status"] for record in records} == {"done"}
        (out / "ballast").unlink()
        assert batch(photo.parent, "-o", out).exit_code == 0
        lines = (out / "manifest.jsonl").read_text().splitlines()
        assert len(lines) == 8 == len({json.loads(line)["photo"] for line in lines})
        assert len(list(out.glob("*.obj"))) == 8
    finally:
        subprocess.run(["umount", str(out)], check=True, timeout=20)


def test_names_that_would_collide(fake, photo, tmp_path):
    Image.new("RGB", (64, 64)).save(photo.with_suffix(".jpg"))
    assert batch(photo.parent, "-o", tmp_path / "out").exit_code == 0
    assert {path.name for path in (tmp_path / "out").glob("*.obj")} == {"photo_jpg.obj", "photo_png.obj"}


@needs_model
@pytest.mark.usefixtures("loaded_once")
class TestReal:
    """With real fits."""

    @pytest.fixture
    def portraits(self, astronaut, tmp_path):
        folder = tmp_path / "in"
        folder.mkdir()
        face = Image.fromarray(astronaut).crop((130, 0, 330, 200))
        face.save(folder / "one.png")
        pair = Image.new("RGB", (400, 200))
        pair.paste(face, (0, 0))
        pair.paste(face.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((180, 180)), (205, 10))
        pair.save(folder / "two.JPG", quality=95)
        Image.new("RGB", (100, 100)).save(folder / "wall.png")
        (folder / "broken.jpg").write_bytes((folder / "two.JPG").read_bytes()[:1000])
        return folder

    QUICK = ("--segmentation", "polygons", "--iterations", 2, "--texture-size", 16, "--energies", "landmark")

    def test_all_faces_alone_and_together(self, portraits, plain_textures, one_thread, tmp_path, monkeypatch):
        """One after another, and by workers with three faces in a batch: equal results."""
        monkeypatch.setattr("facefit.batch.run.LocalWorkers", WorkersHere)  # processes of their own load for seconds
        outs = tmp_path / "alone", tmp_path / "together"
        for out, options in zip(outs, ((0,), (1, "--batch-size", 3)), strict=True):
            result = facefit(portraits, "-o", out, "--faces", "all", *self.QUICK, "--format", "ply",
                             "--sheet", tmp_path / "s.html", "--workers", *options)  # fmt: skip
            assert result.exit_code == 7, result.stderr
            assert "2 done, 0 skipped, 2 failed" in result.stdout, result.stderr
            records = {r["photo"]: r for r in map(json.loads, (out / "manifest.jsonl").read_text().splitlines())}
            assert {name: record["exit_code"] for name, record in records.items()} == {
                "one.png": 0, "two.JPG": 0, "wall.png": 3, "broken.jpg": 4,
            }  # fmt: skip
            assert [face["mesh"] for face in records["two.JPG"]["faces"]] == ["two_1.ply", "two_2.ply"]
            assert all((out / face["thumbnail"]).is_file() for face in records["two.JPG"]["faces"])
            assert (out / records["wall.png"]["thumbnail"]).is_file()
        for name in ("one_1.ply", "two_1.ply", "two_2.ply"):
            one, other = (read_mesh(out / name).verts for out in outs)
            assert np.abs(one - other).max() < 1e-4  # mm; written as float32
        assert not [path for out in outs for path in out.rglob(".*") if path.name != ".lock"]

    @pytest.fixture
    def one_thread(self):
        """Workers set it for their process."""
        before = torch.get_num_threads()
        yield
        torch.set_num_threads(before)

    def test_ctrl_c_finishes_what_is_under_way(self, portraits, tmp_path):
        """In processes of their own."""
        for number in range(6):
            (portraits / f"more{number}.png").write_bytes((portraits / "one.png").read_bytes())
        command = [sys.executable, "-m", "facefit", "batch", str(portraits), "-o", str(tmp_path / "out"),
                   "--workers", "1", *map(str, self.QUICK)]  # fmt: skip
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        while ": done" not in process.stderr.readline():
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
        stdout, stderr = process.communicate(timeout=60)
        assert process.returncode == 130, stderr
        assert "photos are left" in stderr and "Traceback" not in stderr
        lines = (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()
        done = [record for record in map(json.loads, lines) if record["status"] == "done"]
        assert 1 <= len(done) <= 4
        assert len(list((tmp_path / "out").glob("*.obj"))) == len(done)
        assert (tmp_path / "out" / "manifest.parquet").exists()


def test_every_option_that_changes_a_result_is_remembered():
    from facefit.commands.batch import RESULT_OPTIONS
    from facefit.commands.options import detail_options, shared_options
    from facefit.job.options import JobOptions

    @detail_options
    @shared_options
    def command(**options):
        """Has the options and nothing else."""

    names = {option.name for option in command.__click_params__}
    where_and_how_loud = {"renderer", "device", "quiet", "verbose", "debug"}
    assert names == set(RESULT_OPTIONS) | where_and_how_loud
    assert set(JobOptions.__dataclass_fields__) == names - {"quiet", "verbose", "debug"}


def test_ray_that_is_not_installed(fake, photo, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    error_line(facefit(photo.parent, "-o", tmp_path / "out", "--ray"), 5, "facefit[ray]")
