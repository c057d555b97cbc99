"""The command line: what it accepts, what it says, what it returns. The fit is a stand-in; the rest is real."""

import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import types

import numpy as np
import pytest
from helpers.command_line import error_line, facefit
from helpers.house import HEAVY
from helpers.places import ROOT
from helpers.synthetic_result import synthetic_result
from PIL import Image

from facefit.bundled import model_path
from facefit.commands import main
from facefit.errors import FitError, NoFaceError
from facefit.fit.summary import Summary
from facefit.output.write import write_result


def console(*args, timeout=60, **options):
    """In a process of its own, as a user runs it."""
    command = [sys.executable, "-m", "facefit", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, **options)


@pytest.fixture
def photo(tmp_path):
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "photo.png"
    Image.fromarray(np.full((64, 64, 3), 128, np.uint8)).save(path)
    return path


@dataclasses.dataclass
class Fake:
    """What stands in for the fit: what it was called with, and what it shall do."""

    calls: list = dataclasses.field(default_factory=list)
    faces: int = 1
    error: BaseException | None = None


@pytest.fixture
def fake(monkeypatch):
    state = Fake()

    @dataclasses.dataclass
    class Result:
        model: object
        summary: Summary
        scene: object = None
        photo: object = None
        photo_size: tuple = (64, 64)

    def fit_faces(photo, instruments, *, progress=None, **options):
        state.calls.append({"photo": photo, **vars(instruments), **options})
        if progress is not None:
            for iteration in (1, 2):
                progress("landmarks", iteration, 2, {"landmark": 1.0 / iteration})
            progress("full", 1, 1, {"landmark": 0.25, "prdl": 3.0})
        if state.error is not None:
            raise state.error
        figures = Summary("converged", {"prdl": 1.0}, {"nose": 0.8, "skin": None, "mouth": 0.1}, 0.0123, {})
        return [Result(types.SimpleNamespace(verts=np.zeros((123, 3))), figures) for _ in range(state.faces)]

    def result_files(result, output, style):
        return {
            output: f"{style.space} {style.texture_size} {style.texture}".encode(),
            output.with_suffix(".json"): b"{}",
        }

    import facefit.job.job

    monkeypatch.setattr(facefit.job.job, "fit_faces", fit_faces)
    monkeypatch.setattr(facefit.job.job, "result_files", result_files)
    monkeypatch.setattr(facefit.job.job, "overlay_png", lambda *of, **more: b"picture")
    monkeypatch.setattr(facefit.job.job, "texture_picture", lambda *of: np.zeros((4, 4, 3), np.uint8))
    monkeypatch.setattr(facefit.job.job, "labels_png", lambda *of: b"picture")
    monkeypatch.setattr(facefit.job.job, "load_model", lambda path, device: f"model {path}")
    monkeypatch.setattr(facefit.job.job, "load_detector", lambda: "detector")
    monkeypatch.setattr(facefit.job.job, "dense_observer", lambda model, config: "dense")
    monkeypatch.setattr(facefit.job.job, "load_renderer", lambda name, device: f"{name} {device}")
    return state


class TestHelp:
    def test_imports_nothing_heavy(self):
        """`--help` is quick because it loads click and the commands, and of facefit nothing that computes."""
        code = (
            "import sys, facefit.commands\n"
            "try: facefit.commands.main()\n"
            "finally: print(*sys.modules, file=sys.stderr)\n"
        )
        result = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, cwd=ROOT)
        assert result.returncode == 0 and "Examples:" in result.stdout
        loaded = set(result.stderr.split())
        assert {name for name in HEAVY if name in loaded} == set()
        light = ("facefit.commands", "facefit.errors", "facefit.version", "facefit.vocabulary")
        assert [name for name in loaded if name.startswith("facefit.") and not name.startswith(light)] == []

    @pytest.mark.parametrize("command", ["fit", "batch", "doctor"])
    def test_each_command_has_an_example(self, command):
        result = facefit(command, "--help")
        assert result.exit_code == 0 and f"facefit {'' if command == 'fit' else command}".strip() in result.output

    def test_no_arguments_and_version(self):
        assert "Usage" in facefit().output and facefit().exit_code == 0
        result = facefit("--version")
        assert result.exit_code == 0 and result.output.startswith("facefit 0.")

    def test_exit_codes_are_documented(self):
        text = " ".join(facefit("--help").output.split())
        assert "3 no face found" in text and "130 interrupted" in text


class TestFit:
    @pytest.mark.parametrize("command", [[], ["fit"]])
    def test_default_command(self, fake, photo, tmp_path, command):
        result = facefit(*command, photo, "-o", tmp_path / "mesh.obj")
        assert result.exit_code == 0, result.stderr
        assert (tmp_path / "mesh.obj").read_text() == "model 1024 photo"
        assert "123 vertices" in result.stdout and "landmark error 1.2 %" in result.stdout and "0.80" in result.stdout
        call = fake.calls[0]
        assert call["photo"].width == 64 and call["faces"] == "largest" and call["detector"] == "detector"

    def test_option_first(self, fake, photo, tmp_path):
        assert facefit("-o", tmp_path / "mesh.OBJ", photo).exit_code == 0
        assert (tmp_path / "mesh.OBJ").exists()

    def test_options_arrive(self, fake, photo, tmp_path):
        result = facefit(
            photo, "-o", tmp_path / "m.glb", "--focal", 800, "--faces", "2", "--iterations", 7, "--max-seconds", 1.5,
            "--energies", "landmark, prdl", "--renderer", "cpu", "--device", "cpu", "--space", "camera",
            "--texture-size", 256, "--overlay", tmp_path / "o.png", "--labels", tmp_path / "l.png",
        )  # fmt: skip
        assert result.exit_code == 0, result.stderr
        call = fake.calls[0]
        assert call["focal"] == 800 and call["fov"] is None and call["faces"] == "2" and call["renderer"] == "cpu cpu"
        assert (tmp_path / "m.glb").read_text() == "camera 256 photo"
        assert (tmp_path / "o.png").exists() and (tmp_path / "l.png").exists()

    def test_all_faces_are_numbered(self, fake, photo, tmp_path):
        fake.faces = 2
        result = facefit(photo, "-o", tmp_path / "m.ply", "--faces", "all", "--overlay", tmp_path / "o.png")
        assert result.exit_code == 0, result.stderr
        assert {path.name for path in tmp_path.iterdir()} >= {"m_1.ply", "m_2.ply", "m_1.json", "o_1.png", "o_2.png"}
        assert not (tmp_path / "m.ply").exists()

    def test_output_of_quiet_and_plain(self, fake, photo, tmp_path):
        quiet = facefit(photo, "-o", tmp_path / "m.obj", "--quiet")
        assert quiet.exit_code == 0 and quiet.output == ""
        plain = facefit(photo, "-o", tmp_path / "m.obj")
        assert plain.stderr.splitlines() == [
            "photo.png: landmarks 2/2  landmark 0.5", "photo.png: full 1/1  prdl 3  landmark 0.25",
        ]  # fmt: skip


class TestUsage:
    @pytest.mark.parametrize(
        ("args", "word"),
        [
            (["photo.jpg"], "--output"),
            (["fit"], "PHOTO"),
            (["photo.jpg", "-o", "mesh.stl"], ".glb"),
            (["photo.jpg", "-o", "mesh"], "unknown mesh format"),
            (["photo.jpg", "-o", "m.obj", "--overlay", "o.jpg"], "--overlay"),
            (["photo.jpg", "-o", "m.glb", "--exr"], "give that too"),
            (["photo.jpg", "-o", "m.ply", "--detail"], "no texture coordinates"),
            (["photo.jpg", "-o", "m.html", "--detail", "--subdivide", "1"], ".obj, .glb"),
            (["clip.mp4", "--sequence", "-o", "m.glb", "--detail"], "folds of their own"),
            (["photo.jpg", "-o", "m.obj", "--faces", "two"], "largest, all"),
            (["photo.jpg", "-o", "m.obj", "--faces", "0"], "largest, all"),
            (["photo.jpg", "-o", "m.obj", "--focal", "-3"], "--focal"),
            (["photo.jpg", "-o", "m.obj", "--focal", "3", "--fov", "3"], "one of them"),
            (["photo.jpg", "-o", "m.obj", "--fov", "200"], "--fov"),
            (["photo.jpg", "-o", "m.obj", "--iterations", "0"], "--iterations"),
            (["photo.jpg", "-o", "m.obj", "--renderer", "vulkan"], "nvdiffrast"),
            (["photo.jpg", "-o", "m.obj", "--wat"], "--wat"),
            (["photo.jpg", "more.jpg", "-o", "m.obj"], "more.jpg"),
            (["bach", "photos", "-o", "out"], "did you mean 'batch'"),
            (["batch", "photos", "-o", "out", "--segmentation", "a.png"], "one photo"),
        ],
    )
    def test_is_code_2(self, args, word):
        error_line(facefit(*args), 2, word)

    def test_device_and_energies(self, fake, photo, tmp_path):
        error_line(facefit(photo, "-o", tmp_path / "m.obj", "--device", "abacus"), 2, "abacus")
        error_line(facefit(photo, "-o", tmp_path / "m.obj", "--energies", "kinetic"), 2, "kinetic")
        assert not fake.calls and not (tmp_path / "m.obj").exists()


class TestErrors:
    def test_images_are_code_4(self, fake, photo, tmp_path):
        text, empty = tmp_path / "text.jpg", tmp_path / "empty.jpg"
        text.write_text("hello")
        empty.touch()
        for path in (text, empty, tmp_path, tmp_path / "none.jpg"):
            error_line(facefit("fit", path, "-o", tmp_path / "m.obj"), 4, str(path))
        assert not fake.calls

    def test_outputs_are_code_6_before_the_fit(self, fake, photo, tmp_path):
        (tmp_path / "file").touch()
        (tmp_path / "dir.obj").mkdir()
        (tmp_path / "in" / "link.json").symlink_to(photo)
        mesh = tmp_path / "m.obj"
        for args, word in [
            (["-o", tmp_path / "none" / "m.obj"], "does not exist"),
            (["-o", tmp_path / "file" / "m.obj"], "folder"),
            (["-o", tmp_path / "dir.obj"], "folder"),
            (["-o", tmp_path / ("x" * 300 + ".obj")], "long"),
            (["-o", mesh, "--faces", "all", "--overlay", tmp_path / "none" / "o.png"], "does not exist"),
        ]:
            error_line(facefit(photo, *args), 6, word)
        assert not fake.calls and not mesh.exists()

    def test_names_that_are_taken_are_code_2_before_the_fit(self, fake, photo, tmp_path):
        (tmp_path / "in" / "link.json").symlink_to(photo)
        (tmp_path / "folder").symlink_to(tmp_path / "in")
        mesh = tmp_path / "m.obj"
        for args, word in [
            (["-o", mesh, "--overlay", photo], "input"),
            (["-o", mesh, "--overlay", tmp_path / "in" / ".." / "in" / "photo.png"], "input"),
            (["-o", mesh, "--overlay", tmp_path / "folder" / "photo.png"], "input"),
            (["-o", tmp_path / "in" / "link.obj"], "input"),
            (["-o", mesh, "--overlay", tmp_path / "a.png", "--labels", tmp_path / "a.png"], "twice"),
            (["-o", mesh, "--overlay", tmp_path / "a.png", "--labels", tmp_path / "A.png"], "twice"),
            (["-o", mesh, "--overlay", tmp_path / "m_texture.png"], "twice"),
        ]:
            error_line(facefit(photo, *args), 2, word)
        assert not fake.calls and not mesh.exists()

    def test_numbered_output_does_not_overwrite_the_photo(self, fake, tmp_path):
        photo = tmp_path / "o_2.png"
        Image.new("RGB", (64, 64)).save(photo)
        error_line(
            facefit(photo, "-o", tmp_path / "m.obj", "--overlay", tmp_path / "o.png", "--faces", "all"), 2, "o_2.png"
        )

    def test_unwritable_folder(self, fake, photo, tmp_path, monkeypatch):
        def full(*_args, **_options):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("tempfile.TemporaryFile", full)
        error_line(facefit(photo, "-o", tmp_path / "m.obj"), 6, "No space left")

    def test_failures_of_the_fit(self, fake, photo, tmp_path):
        for error, code, word in [
            (NoFaceError("no face found"), 3, "no face"),
            (FitError("energy prdl is NaN\nat iteration 3"), 5, "prdl is NaN at iteration 3"),
            (RuntimeError("surprise"), 5, "--debug"),
            (MemoryError(), 5, "memory"),
            (KeyboardInterrupt(), 130, "interrupted"),
        ]:
            fake.error = error
            result = facefit(photo, "-o", tmp_path / "m.obj", "--quiet")
            error_line(result, code, word)
            assert not (tmp_path / "m.obj").exists()

    def test_kernels_that_cannot_be_kept_name_their_fix(self, fake, photo, tmp_path):
        fake.error = RuntimeError("cannot cache function 'multiply': no locator available for file 'sparse_kernel.py'")
        error_line(facefit(photo, "-o", tmp_path / "m.obj", "-q"), 5, "set NUMBA_CACHE_DIR")

    def test_failure_of_writing_leaves_nothing(self, fake, photo, tmp_path, monkeypatch):
        from facefit.files import outputs

        real, calls = os.fdopen, []

        def full(handle, *args, **options):
            calls.append(handle)
            if len(calls) == 3:
                os.close(handle)
                raise OSError(28, "No space left on device")
            return real(handle, *args, **options)

        (tmp_path / "out").mkdir()
        monkeypatch.setattr(outputs.os, "fdopen", full)
        args = [photo, "-o", tmp_path / "out" / "m.obj", "--quiet", "--overlay", tmp_path / "out" / "o.png"]
        error_line(facefit(*args), 6, "o.png", "No space left")
        assert os.listdir(tmp_path / "out") == []

    def test_debug_shows_the_traceback(self, fake, photo, tmp_path):
        fake.error = FitError("no")
        result = facefit(photo, "-o", tmp_path / "m.obj", "--debug")
        assert isinstance(result.exception, FitError)

    def test_an_error_is_one_line(self, tmp_path):
        (tmp_path / "a.jpg").write_text("no photo")
        result = facefit(tmp_path / "a.jpg", "-o", tmp_path / "m.obj")
        assert result.exit_code == 4 and result.stdout == ""
        assert result.stderr.count("\n") == 1 and "Traceback" not in result.stderr
        assert os.listdir(tmp_path) == ["a.jpg"]

    def test_a_process_can_be_terminated(self, photo, tmp_path):
        """SIGTERM in the middle of a command: the code, no traceback, no file. (Ctrl-C is in test_bad_input.)"""
        script = (
            "import time, facefit.commands, facefit.photo.photo\n"
            "def read_photo(path):\n"
            "    print('fitting', flush=True)\n"
            "    time.sleep(60)\n"
            "facefit.photo.photo.read_photo = read_photo\n"
            "facefit.commands.main()\n"
        )
        command = [sys.executable, "-c", script, str(photo), "-o", str(tmp_path / "m.obj")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        assert process.stdout.readline() == "fitting\n"
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 143 and "Traceback" not in stderr
        assert os.listdir(tmp_path) == ["in"]


def test_names_that_are_no_text_are_printed(toy_model, tmp_path, monkeypatch):
    """By the console script, which alone may change how the program's own stdout writes."""
    for folder, names in (("a", (b"both", b"\xff")), ("b", (b"both",))):
        (tmp_path / folder).mkdir()
        for name in names:
            write_result(synthetic_result(toy_model), tmp_path / folder / os.fsdecode(name + b".ply"), texture_size=16)
    written = io.BytesIO()
    monkeypatch.setattr(sys, "argv", ["facefit", "eval", "compare", str(tmp_path / "a"), str(tmp_path / "b")])
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "utf-8"))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        main()
    sys.stdout.flush()
    assert ended.value.code == 0
    assert b"only in A: 1 (\\udcff)" in written.getvalue()


@pytest.mark.skipif(not model_path().is_file(), reason="the face model is not built")
class TestReal:
    """The whole way, in a process of its own."""

    def test_a_portrait(self, astronaut, tmp_path):
        """Nothing else is said: networks and libraries say nothing where they are loaded."""
        photo, mesh = tmp_path / "astronaut.png", tmp_path / "mesh.obj"
        Image.fromarray(astronaut[:210, 130:330]).save(photo)
        pictures = tmp_path / "overlay.png", tmp_path / "labels.png"
        args = photo, "-o", mesh, "--overlay", pictures[0], "--labels", pictures[1]
        result = console(*args, "--iterations", 1, "--texture-size", 16, timeout=300)
        assert result.returncode == 0, result.stderr
        assert all(line.startswith("astronaut.png: ") for line in result.stderr.splitlines()), result.stderr
        first, last = result.stdout.splitlines()
        assert first.startswith(f"{mesh}, ") and last.startswith(f"{photo}: 1 face in ")
        names = "astronaut.png labels.png mesh.json mesh.mtl mesh.obj mesh_texture.png overlay.png"
        assert sorted(path.name for path in tmp_path.iterdir()) == names.split()
        document = json.loads((tmp_path / "mesh.json").read_text())
        assert document["landmark_error"] < 0.1 and len(document["landmarks7"]) == 7
        with Image.open(pictures[1]) as labels:
            assert labels.size == (200, 210)


@pytest.mark.parametrize(("name", "code", "line"), [
    ("SIGTERM", 143, ""), ("SIGINT", 130, "facefit: error: interrupted; nothing more was written\n"),
])  # fmt: skip
def test_a_signal_in_a_destructor_is_not_lost(name, code, line):
    script = (
        "import os, signal, time, facefit.commands.group as group\n"
        "class Going:\n"
        f"    def __del__(self): os.kill(os.getpid(), signal.{name}); time.sleep(0.01)\n"
        "def command():\n"
        "    Going()\n"
        "    time.sleep(20)\n"
        "    print('went on')\n"
        "group.cli = command\n"
        "group.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", line)


def test_ctrl_c_before_a_command_has_begun_is_one_line(monkeypatch, capsys):
    def early(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("facefit.commands.group.signal.signal", early)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "facefit: error: interrupted; nothing more was written\n"
