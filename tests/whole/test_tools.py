"""Files in the programs they are for: Blender, three.js, the Khronos validator. Each is skipped where it is not.

Blender: a Python with bpy, this one or the one that FACEFIT_BLENDER names. three.js and gltf-validator: their folder
node_modules, that of viewer/ or the one that FACEFIT_NODE_MODULES names.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.places import ROOT, TESTS
from helpers.synthetic_result import synthetic_result
from helpers.toy_model import toy_arrays, with_pieces

from facefit.model.model_file import from_arrays
from facefit.model.pieces import PIECES
from facefit.output.placing import Z_UP
from facefit.output.style import FileStyle
from facefit.sequence.animation import sequence_files
from facefit.sequence.sequence import FittedFrame, FittedSequence

VALIDATE = """
const { readFileSync } = require("fs");
const [modules, ...files] = process.argv.slice(1);
const { validateBytes } = require(modules + "/gltf-validator");
for (const file of files) validateBytes(new Uint8Array(readFileSync(file))).then((report) => {
  const { numErrors, numWarnings, numInfos, numHints, messages } = report.issues;
  console.log(JSON.stringify([file, numErrors, numWarnings, numInfos, numHints, messages]));
});
"""


def blender() -> str | None:
    named = os.environ.get("FACEFIT_BLENDER")
    return named or (sys.executable if importlib.util.find_spec("bpy") else None)


def node_modules(package: str) -> Path | None:
    """The folder that has a package of npm, where node is too."""
    named = os.environ.get("FACEFIT_NODE_MODULES")
    folders = [Path(named)] if named else [ROOT / "viewer" / "node_modules"]
    return next((folder for folder in folders if shutil.which("node") and (folder / package).is_dir()), None)


def run(*command: object) -> list[str]:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120)
    assert done.stdout, done.stderr
    return done.stdout.splitlines()


def needs(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(node_modules(package) is None, reason=f"no node with {package} here")


@pytest.fixture(scope="module")
def result():
    """A toy with all four pieces, and as large as a face."""
    return synthetic_result(from_arrays(with_pieces(toy_arrays())), yaw=0.3)


@pytest.fixture(scope="module")
def folder(result, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tools")
    for name, style in {
        "face.glb": {}, "small.glb": {"quantize": True, "jpeg": True}, "camera.glb": {"space": "camera"},
        "bones.glb": {"bones": True},
        "face.obj": {}, "metres.obj": {"units": "m"}, "metres.ply": {"units": "m"}, "face.ply": {},
    }.items():  # fmt: skip
        result.save(folder / name, texture_size=64, **style)
    for name, style in {
        "clip.glb": {},
        "small_clip.glb": {"quantize": True},
        "rigged_clip.glb": {"bones": True},
    }.items():
        contents = sequence_files(film(result), folder / name, FileStyle(texture_size=64, **style))
        (folder / name).write_bytes(contents[folder / name])
    if importlib.util.find_spec("pxr"):
        result.save(folder / "face.usdz", texture_size=64)
    return folder


def film(result) -> FittedSequence:
    """Three frames in which the head turns."""
    frames = []
    for number in range(3):
        parameters = replace(result.parameters, rotvec=result.parameters.rotvec + 0.1 * number)
        frames.append(FittedFrame(number, number / 10, f"{number}.png", "converged", "", parameters, result.summary))
    return FittedSequence(tuple(frames), result, 10.0)


def fitted_weights(result) -> dict[str, float]:
    return dict(zip(result.model.expression_names, result.parameters.expression[0].tolist(), strict=True))


@pytest.mark.skipif(blender() is None, reason="no bpy here")
def test_blender(result, folder):
    """Right size, upright, textured, smooth, with the fitted weights on named shape keys."""
    words = ["face.glb", "small.glb", "bones.glb", "face.obj@0.001", "metres.obj", "face.ply@0.001", "metres.ply"]
    words += ["face.usdz"] if (folder / "face.usdz").is_file() else []
    lines = run(blender(), TESTS / "helpers" / "blender_look.py", *(folder / word for word in words))
    looks = [json.loads(line[5:]) for line in lines if line.startswith("LOOK ")]
    standing = result.verts @ Z_UP.T / 1000  # metres, z up, looking along -y
    for word, seen in zip(words, looks, strict=True):
        np.testing.assert_allclose((seen["low"], seen["high"]), (standing.min(0), standing.max(0)), atol=2e-5)
        assert seen["smooth"], word
        assert seen["bones"] == {"bones.glb": ["Head", "LeftEye", "RightEye"], "face.usdz": ["head"]}.get(word, [])
        kind = word.partition("@")[0].rpartition(".")[2]
        if kind == "ply":
            assert seen["colours"] is not None
        else:
            assert seen["materials"] == list(PIECES) and seen["pictures"] == [[64, 64]] * 4 and seen["layouts"] == 1
        if kind in ("glb", "usdz"):
            assert seen["keys"] == pytest.approx(fitted_weights(result), abs=1e-5) and "head" in seen["names"]


@needs("three")
def test_three(result, folder):
    """Metres, a material a piece with a texture, targets by name under the fitted weights, and normals that move."""
    modules = node_modules("three")
    names = ("face.glb", "small.glb", "bones.glb", "clip.glb", "small_clip.glb")
    looks = run("node", TESTS / "helpers" / "three_look.mjs", modules, *(folder / name for name in names))
    *looks, clip, small = map(json.loads, looks)
    assert clip["clips"] == small["clips"] == 1
    np.testing.assert_allclose(clip["low"] + clip["high"], small["low"] + small["high"], atol=1e-5)
    assert len(looks) == 3 and {"Head", "RightEye", "LeftEye"} <= set(looks[2]["names"])
    for seen in looks:
        wanted = result.verts / 1000
        np.testing.assert_allclose((seen["low"], seen["high"]), (wanted.min(0), wanted.max(0)), atol=2e-5)
        assert [mesh["material"] for mesh in seen["meshes"]] == list(PIECES) and "head" in seen["names"]
        for mesh in seen["meshes"]:
            assert mesh["textured"] and mesh["normals"] == len(mesh["targets"])
            weights = dict(zip(mesh["targets"], mesh["weights"], strict=True))
            assert weights == pytest.approx(fitted_weights(result), abs=1e-6)


@needs("gltf-validator")
def test_the_validator_finds_nothing_to_say(folder):
    modules = node_modules("gltf-validator")
    files = sorted(folder.glob("*.glb"))
    reports = [json.loads(line) for line in run("node", "-e", VALIDATE, modules, *files)]
    assert len(reports) == len(files) == 7
    assert [report[5] for report in reports] == [[]] * len(files) and all(report[1:5] == [0] * 4 for report in reports)
