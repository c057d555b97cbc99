"""What people really feed to a command line, on the real pipeline: one line, the right code, no partial file."""

import json
import os
import resource
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.places import ROOT
from PIL import Image, ImageDraw

from facefit.bundled import model_path
from facefit.commands import cli
from facefit.photo.photo import read_photo

QUICK = ("--iterations", "1", "--texture-size", "16")
LIGHT = (
    *QUICK,
    "--energies",
    "landmark",
    "--segmentation",
    "polygons",
)  # where it does not matter how the face is fitted
needs_model = pytest.mark.skipif(not model_path().is_file(), reason="the face model is not built")
pytestmark = pytest.mark.usefixtures("loaded_once", "small_overlays")


@pytest.fixture(scope="module")
def portrait(astronaut):
    """The head with some space around it."""
    return Image.fromarray(astronaut[:300, 60:380])


@pytest.fixture
def facefit(capfd):
    """Run the command line in this process -> exit code, stdout, stderr, with what C libraries wrote to stderr."""

    def run(*args):
        result = CliRunner().invoke(cli, [str(arg) for arg in args])
        written = capfd.readouterr()
        assert written.out == ""
        return result.exit_code, result.stdout, result.stderr + written.err

    return run


def refused(outcome, code, *words):
    got, stdout, stderr = outcome
    assert got == code and stdout == "", (got, stdout, stderr)
    assert stderr.startswith("facefit: error: ") and stderr.count("\n") == 1 and stderr.endswith("\n"), stderr
    for word in words:
        assert str(word) in stderr, stderr


def empty_png(width, height):
    """The head of a PNG of that size, with next to nothing in it."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")


class TestUnreadable:
    @pytest.mark.parametrize("kind", ["cut", "half", "empty", "text", "folder", "missing", "dot", "huge"])
    def test_is_code_4(self, facefit, portrait, tmp_path, kind):
        photo = tmp_path / "photo.jpg"
        portrait.save(photo)
        data = photo.read_bytes()
        word = "photo.jpg"
        if kind == "cut":
            photo.write_bytes(data[:-200])
        elif kind == "half":
            photo.write_bytes(data[: len(data) // 2])
        elif kind == "empty":
            photo.write_bytes(b"")
            word = "empty"
        elif kind == "text":
            photo.write_text("This is a letter.\n" * 50)
            word = "not an image"
        elif kind in ("folder", "missing"):
            photo.unlink()
            word = "no such file"
            if kind == "folder":
                photo.mkdir()
                word = "facefit batch"
        elif kind == "dot":
            Image.new("RGB", (1, 1)).save(photo)
            word = "1 x 1"
        elif kind == "huge":
            photo.write_bytes(empty_png(20000, 20000))
            word = "400 megapixels"
        before = os.listdir(tmp_path)
        refused(facefit(photo, "-o", tmp_path / "mesh.obj"), 4, photo, word)
        assert os.listdir(tmp_path) == before


@needs_model
@pytest.mark.usefixtures("plain_textures")
class TestOddPhotos:
    """Photos that look wrong to a program and right to a person are fitted."""

    @pytest.mark.parametrize("kind", ["rgba", "grey", "16 bit", "cmyk", "palette", "turned", "animated", "UPPER.JPG"])
    def test_are_fitted(self, facefit, portrait, tmp_path, kind):
        photo = tmp_path / "photo.png"
        if kind == "rgba":
            picture = portrait.copy()
            picture.putalpha(Image.new("L", portrait.size, 250))
            picture.save(photo)
        elif kind == "grey":
            portrait.convert("L").save(photo)
        elif kind == "16 bit":
            Image.fromarray(np.asarray(portrait.convert("L"), np.uint16) * 257).save(photo)
        elif kind == "cmyk":
            photo = tmp_path / "photo.jpg"
            portrait.convert("CMYK").save(photo, quality=95)
        elif kind == "palette":
            portrait.quantize(128).save(photo)
        elif kind == "turned":
            photo = tmp_path / "photo.jpg"
            exif = Image.Exif()
            exif[0x0112] = 6  # shown turned clockwise by a quarter
            portrait.transpose(Image.Transpose.ROTATE_90).save(photo, exif=exif, quality=95)
        elif kind == "animated":
            photo = tmp_path / "photo.gif"
            blank = Image.new("RGB", portrait.size, "blue")
            portrait.save(photo, save_all=True, append_images=[blank, blank])
        else:
            photo = tmp_path / kind
            portrait.save(photo, quality=95)
        grey = kind in ("grey", "16 bit")
        shown = np.asarray(portrait.convert("L").convert("RGB") if grey else portrait).astype(float)
        assert np.abs(read_photo(photo).pixels - shown).mean() < 4  # 250 of 255 opaque, 128 colours, ink
        if kind not in ("turned", "animated", "UPPER.JPG"):
            return  # from its pixels on, a photo is as good as another
        code, stdout, stderr = facefit(photo, "-o", tmp_path / "mesh.ply", "--labels", tmp_path / "l.png", *LIGHT)
        assert code == 0, stderr
        assert len(stderr.splitlines()) == 1 and "full 1/1" in stderr  # and no chatter of the networks
        document = json.loads((tmp_path / "mesh.json").read_text())
        assert document["landmark_error"] < 0.04
        assert (document["photo"]["width"], document["photo"]["height"]) == portrait.size
        with Image.open(tmp_path / "l.png") as labels:
            assert labels.mode == "L" and labels.size == portrait.size
            rows, columns = np.nonzero(np.asarray(labels) == 2)  # the nose, where it is in the upright photo
        assert 140 < columns.mean() < 200 and 80 < rows.mean() < 160
        assert "faces" not in stdout and "1 face in" in stdout


@needs_model
class TestFaces:
    @pytest.mark.parametrize("kind", ["noise", "wall", "landscape"])
    def test_no_face_is_code_3(self, facefit, tmp_path, kind):
        photo = tmp_path / "photo.png"
        if kind == "noise":
            Image.fromarray(np.random.default_rng(0).integers(0, 255, (160, 200, 3), np.uint8)).save(photo)
        elif kind == "wall":
            Image.fromarray(np.random.default_rng(0).integers(90, 110, (200, 200, 3), np.uint8)).save(photo)
        else:
            picture = Image.linear_gradient("L").resize((320, 200)).convert("RGB")
            draw = ImageDraw.Draw(picture)
            draw.polygon([(0, 200), (90, 60), (170, 200)], fill=(70, 80, 60))
            draw.polygon([(110, 200), (230, 90), (320, 200)], fill=(50, 90, 50))
            draw.ellipse((240, 15, 275, 50), fill=(250, 230, 120))
            picture.save(photo)
        refused(facefit(photo, "-o", tmp_path / "mesh.obj", "--overlay", tmp_path / "o.png"), 3, "no face")
        assert os.listdir(tmp_path) == ["photo.png"]

    @pytest.mark.usefixtures("plain_textures")
    def test_half_a_face_at_the_border(self, facefit, portrait, tmp_path):
        photo = tmp_path / "photo.png"
        portrait.crop((165, 0, 320, 300)).save(photo)  # the border runs down the nose
        code, _, stderr = facefit(photo, "-o", tmp_path / "mesh.obj", *LIGHT)
        names = {path.name for path in tmp_path.iterdir()} - {"photo.png"}
        if code == 3:  # a detector may see too little in it, but then it says so
            assert stderr.startswith("facefit: error: no face") and not names
        else:
            assert code == 0 and names == {"mesh.obj", "mesh.mtl", "mesh_texture.png", "mesh.json"}

    @pytest.mark.usefixtures("plain_textures")
    def test_several(self, facefit, portrait, tmp_path):
        group = Image.new("RGB", (560, 300), (120, 130, 140))
        group.paste(portrait.resize((160, 150)), (0, 100))
        group.paste(portrait, (200, 0))
        photo, out = tmp_path / "group.png", tmp_path / "out"
        group.save(photo)
        out.mkdir()
        code, stdout, stderr = facefit(photo, "-o", out / "m.ply", "--faces", "all", *LIGHT)
        assert code == 0 and "2 faces in" in stdout and len(stderr.splitlines()) == 2, stderr
        assert {path.name for path in out.iterdir()} == {"m_1.ply", "m_1.json", "m_2.ply", "m_2.json"}
        large, small = (json.loads((out / f"m_{k}.json").read_text()) for k in (1, 2))
        assert large["window"]["scale"] < small["window"]["scale"]  # the largest face comes first
        second = facefit(photo, "-o", tmp_path / "b.ply", "--faces", "2", "-q", *LIGHT)
        assert second == (0, "", "")
        assert (tmp_path / "b.ply").read_bytes() == (out / "m_2.ply").read_bytes()  # alone or together: the same
        refused(facefit(photo, "-o", tmp_path / "c.ply", "--faces", "3", *LIGHT), 3, "2 faces")
        assert not (tmp_path / "c.ply").exists()

    def test_same_input_same_bytes(self, facefit, portrait, tmp_path):
        photo = tmp_path / "photo.png"
        portrait.save(photo)
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            args = [photo, "-o", tmp_path / name / "m.obj", "--overlay", tmp_path / name / "o.png", *QUICK]
            assert facefit(*args, "--iterations", 2)[0] == 0
        for name in ("m.obj", "m.mtl", "m_texture.png", "o.png"):
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
        one, two = (json.loads((tmp_path / name / "m.json").read_text()) for name in ("a", "b"))
        assert one.pop("seconds") != two.pop("seconds") and one == two  # the clock alone differs


@needs_model
class TestOutput:
    @pytest.fixture
    def photo(self, portrait, tmp_path):
        (tmp_path / "in").mkdir()
        portrait.save(tmp_path / "in" / "photo.png")
        return tmp_path / "in" / "photo.png"

    def test_folder_that_cannot_be_written(self, facefit, photo, tmp_path):
        refused(facefit(photo, "-o", tmp_path / "none" / "m.obj"), 6, "does not exist")
        if Path("/proc/self").exists():  # no user may make files there, root neither
            refused(facefit(photo, "-o", "/proc/m.obj"), 6, "/proc", "cannot be written")
        if os.geteuid() != 0:
            (tmp_path / "in").chmod(0o500)
            refused(facefit(photo, "-o", tmp_path / "in" / "m.obj"), 6, "cannot be written")

    def test_output_is_the_input(self, facefit, photo):
        before = photo.read_bytes()
        refused(facefit(photo, "-o", photo.with_suffix(".obj"), "--overlay", photo), 2, "overwrite the input")
        refused(facefit(photo, "-o", photo), 2, "unknown mesh format")
        assert photo.read_bytes() == before and os.listdir(photo.parent) == ["photo.png"]

    @pytest.mark.usefixtures("plain_textures")
    def test_full_disk(self, facefit, photo, tmp_path, monkeypatch):
        """The system refuses to let a file grow, as on a full disk: the mesh is too long, nothing stays."""
        from facefit.job import job

        real = job.write_files

        def write_files(*args):
            limits = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
            try:
                return real(*args)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)

        monkeypatch.setattr(job, "write_files", write_files)
        (tmp_path / "out").mkdir()
        refused(facefit(photo, "-o", tmp_path / "out" / "m.obj", "-q", *LIGHT), 6, "m.obj", "too large")
        assert os.listdir(tmp_path / "out") == []

    def test_ctrl_c_in_the_middle_of_a_fit(self, photo, toy_file, tmp_path):
        script = (
            "import os, signal, facefit.commands, facefit.commands.progress\n"
            "class Stopped(facefit.commands.progress.FitProgress):\n"
            "    def __call__(self, stage, iteration, *rest):\n"
            "        if iteration == 2: os.kill(os.getpid(), signal.SIGINT)\n"
            "facefit.commands.progress.FitProgress = Stopped\n"
            "facefit.commands.main()\n"
        )
        (tmp_path / "out").mkdir()
        command = [sys.executable, "-c", script, photo, "-o", tmp_path / "out" / "m.obj", "--iterations", "50",
                   "--model", toy_file, *LIGHT[4:]]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)
        refused((done.returncode, done.stdout, done.stderr), 130, "facefit: error: interrupted")
        assert os.listdir(tmp_path / "out") == []


class TestOtherFiles:
    @pytest.fixture
    def photo(self, portrait, tmp_path):
        portrait.save(tmp_path / "photo.png")
        return tmp_path / "photo.png"

    def test_models(self, facefit, photo, tmp_path):
        from helpers.toy_model import toy_arrays

        from facefit.model.model_file import save_arrays

        save_arrays(tmp_path / "whole.npz", toy_arrays())
        data = (tmp_path / "whole.npz").read_bytes()
        (tmp_path / "cut.npz").write_bytes(data[: len(data) // 2])
        (tmp_path / "text.npz").write_text("no model")
        for name in ("cut.npz", "text.npz"):
            refused(facefit(photo, "-o", tmp_path / "m.obj", "--model", tmp_path / name), 5, name)
        refused(facefit(photo, "-o", tmp_path / "m.obj", "--model", tmp_path / "none.npz"), 2, "no such file")
        assert not (tmp_path / "m.obj").exists()

    @needs_model
    def test_segmentations(self, facefit, photo, tmp_path):
        parser, small, colours = tmp_path / "parser.onnx", tmp_path / "small.png", tmp_path / "colours.png"
        parser.write_text("no parser")
        Image.new("L", (10, 20), 1).save(small)
        Image.new("RGB", (320, 300)).save(colours)
        for path, code, word in [
            (parser, 5, "onnx"), (small, 4, "10 x 20"), (colours, 4, "RGB"), (tmp_path / "none.png", 2, "no such file"),
            (tmp_path / "none.onnx", 2, "no such file"), ("wat", 2, "accepted"),
        ]:  # fmt: skip
            refused(facefit(photo, "-o", tmp_path / "m.obj", "--segmentation", path), code, word)
        refused(facefit(photo, "-o", tmp_path / "m.obj", "--segmentation", small, "--label-map", "wat"), 2, "wat")
        assert not (tmp_path / "m.obj").exists()

    @needs_model
    def test_an_output_never_overwrites_them(self, facefit, photo, tmp_path):
        labels = tmp_path / "m_texture.png"
        Image.new("L", (320, 300), 1).save(labels)
        refused(facefit(photo, "-o", tmp_path / "m.obj", "--segmentation", labels), 2, "overwrite the input")
