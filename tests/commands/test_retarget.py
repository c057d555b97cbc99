"""`facefit retarget` through files: a folder of fits and a CSV on a rig, and one line for what cannot be."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from helpers.command_line import error_line, facefit
from helpers.gltf_reader import Glb
from helpers.synthetic_result import synthetic_result
from helpers.toy_faces import toy_face

from facefit.model.model_file import load_model, save_arrays
from facefit.model.pieces import face_pieces
from facefit.output.write import write_result
from facefit.rig.live_link import NAMES, read_live_link
from facefit.scene.scene import Scene


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An installed model with ARKit's names, a clip of three fits, and the fits of another person in two formats."""
    root = tmp_path_factory.mktemp("retarget")
    (root / "models").mkdir()
    toy = toy_face(17, eyes=True, expression=len(NAMES)) | {"expression_names": np.array(sorted(NAMES))}
    save_arrays(root / "models" / "toy.npz", toy)
    model = load_model(root / "models" / "toy.npz")
    result = synthetic_result(model, yaw=0.2)
    (root / "clip").mkdir()
    for k, jaw in enumerate((0.0, 0.3, 0.9)):
        expression = torch.zeros_like(result.parameters.expression)
        expression[0, model.expression_names.index("jawForward")] = jaw
        value = dataclasses.replace(result.parameters, expression=expression, gaze=torch.full((1, 2, 2), 0.1 * k))
        write_result(dataclasses.replace(result, parameters=value), root / "clip" / f"{k}.obj", texture_size=32)
    other = dataclasses.replace(result.parameters, identity=-result.parameters.identity)
    for name in ("other.glb", "other2.obj", "other3.ply"):
        write_result(dataclasses.replace(result, parameters=other), root / name, texture_size=32)
    return root


@pytest.fixture(autouse=True)
def models(folder, monkeypatch):
    monkeypatch.setenv("FACEFIT_MODELS", str(folder / "models"))


def test_a_folder_of_fits_moves_another_head(folder, tmp_path):
    result = facefit("retarget", folder / "clip", "--rig", folder / "other.glb", "-o", tmp_path / "o.glb",
                     "--csv", tmp_path / "o.csv", "--fps", "10")  # fmt: skip
    small = facefit("retarget", folder / "clip", "--rig", folder / "other.glb", "-o", tmp_path / "s.glb", "--quantize")
    assert small.exit_code == 0 and (tmp_path / "s.glb").stat().st_size < (tmp_path / "o.glb").stat().st_size
    assert result.exit_code == 0, result.stderr
    assert "3 frames, 0.2 s" in result.output
    glb = Glb((tmp_path / "o.glb").read_bytes())
    assert glb.keys() == pytest.approx([0, 0.1, 0.2])
    names = glb.document["meshes"][0]["extras"]["targetNames"]
    assert sorted(names) == sorted(NAMES) and len(glb.document["cameras"]) == 1
    model = load_model("toy")
    corner = model.faces.numpy()[np.argsort(face_pieces(model), kind="stable")]
    document = json.loads((folder / "other.json").read_text())
    identity = torch.tensor([document["parameters"]["identity"]])
    neutral = model.shape(identity, torch.zeros(1, len(names)))[0].numpy()
    rotation, translation = Scene(model, synthetic_result(model, yaw=0.2).parameters, None).pose()
    skin = model.eyeball.numpy()[corner] == 0
    posed = 1000 * (glb.posed(0) - translation / 1000) @ rotation
    # the first frame is at rest: the other's own neutral
    assert np.abs(posed[glb.triangles()] - neutral[corner])[skin].max() < 0.01
    table = read_live_link(tmp_path / "o.csv")
    assert table.weights[:, NAMES.index("jawForward")] == pytest.approx([0, 0.3, 0.9], abs=1e-4)
    assert table.weights[2, NAMES.index("eyeLookOutLeft")] == pytest.approx(0.2 / np.radians(30), abs=1e-4)


def test_a_csv_moves_a_head_and_a_clip_becomes_one(folder, tmp_path):
    for command in (
        ("retarget", folder / "clip" / "1.json", "-o", tmp_path / "a.csv", "--neutral", "none"),
        ("retarget", tmp_path / "a.csv", "--rig", folder / "other2.obj", "-o", tmp_path / "b.glb", "--neutral", "1"),
    ):
        result = facefit(*command, "-q")
        assert (result.exit_code, result.output) == (0, ""), result.stderr
    table = read_live_link(tmp_path / "a.csv")
    assert table.weights[0, NAMES.index("jawForward")] == pytest.approx(0.3, abs=1e-4)
    assert len(Glb((tmp_path / "b.glb").read_bytes()).keys()) == 1


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("clip", "-o", "o.obj"), 2, "a moving face is written as .glb or .csv"),
        (("clip", "-o", "o.glb"), 2, "name it with --rig"),
        (("clip", "-o", "o.csv", "--csv", "p.csv"), 2, "a .csv beside a .glb"),
        (("clip", "-o", "o.csv", "--neutral", "0"), 2, "auto, none, or the number"),
        (("clip", "-o", "o.csv", "--neutral", "9"), 2, "has 3 frames"),
        (("none", "-o", "o.csv"), 4, "no fit"),
        (("none.csv", "-o", "o.csv"), 4, "none.csv: No such file"),
        (("clip", "--rig", "none.glb", "-o", "o.glb"), 4, "no JSON of facefit's there"),
        (("clip", "--rig", "broken.json", "-o", "o.glb"), 4, "damaged person: lacks identity"),
        (("clip", "--rig", "short.json", "-o", "o.glb"), 4, "identity has 1 numbers; the model has 4"),
        (("clip", "--rig", "list.json", "-o", "o.glb"), 4, "no head that can be moved"),
        (("clip", "--rig", "other.glb", "-o", "other.glb"), 2, "would overwrite the input"),
    ],
)
def test_what_cannot_be(folder, args, code, words, monkeypatch):
    monkeypatch.chdir(folder)
    model = json.loads((folder / "other.json").read_text())["model"]
    person = {"format": "facefit-person", "format_version": 1, "mesh": {"file": "other.glb"}, "model": model}
    (folder / "broken.json").write_text(json.dumps(person))
    (folder / "short.json").write_text(json.dumps(person | {"identity": [1.0]}))
    (folder / "list.json").write_text("[]")
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    error_line(facefit("retarget", *args), code, words)
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
