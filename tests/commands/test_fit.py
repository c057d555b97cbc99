"""`facefit fit` with a face recognition network of the user's own."""

import json

import pytest
from helpers.command_line import error_line, facefit
from PIL import Image

from facefit.bundled import model_path

pytest.importorskip("onnx")
from helpers.toy_recognition import recognition_file  # noqa: E402  after onnx is known to be there

pytestmark = pytest.mark.skipif(not model_path().is_file(), reason="the face model is not built")
QUICK = ("--iterations", 2, "--segmentation", "polygons", "--texture-size", 16, "--device", "cpu")


@pytest.fixture
def portrait(astronaut, tmp_path):
    Image.fromarray(astronaut[:200, 130:330]).save(tmp_path / "face.png")
    return tmp_path / "face.png"


@pytest.mark.usefixtures("loaded_once")
def test_the_render_is_compared_as_the_network_sees_it(portrait, tmp_path):
    net = recognition_file(tmp_path / "faces.onnx")
    told = facefit(portrait, "-o", tmp_path / "m.ply", *QUICK, "--energies", "landmark", "--perceptual", net)
    assert told.exit_code == 0, told.output
    energies = json.loads((tmp_path / "m.json").read_text())["energies"]
    assert {"landmark", "perceptual", "albedo"} <= set(energies) and 0 < energies["perceptual"] < 2 * 150
    before = net.read_bytes()
    error_line(facefit(portrait, "-o", tmp_path / "n.ply", "--albedo", net, *QUICK, "--perceptual", net), 2, "--albedo")
    assert net.read_bytes() == before


def test_a_network_that_is_missing_or_no_network(portrait, tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"no network")
    for options, code, words in (
        (("--perceptual", tmp_path / "gone.onnx"), 2, ("gone.onnx", "no such file")),
        (("--energies", "landmark,perceptual"), 2, ("the energy perceptual", "--perceptual FILE.onnx")),
        (("--perceptual", tmp_path / "net.onnx"), 5, ("net.onnx: not a network (.onnx)",)),
    ):
        error_line(facefit(portrait, "-o", tmp_path / "m.ply", *QUICK, *options), code, *words)
    assert not (tmp_path / "m.ply").exists()
