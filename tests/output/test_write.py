"""Reopen what was written: with a strict reader of our own, with trimesh, and from the JSON alone."""

import json
import os
import re
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from helpers.synthetic_result import synthetic_result
from PIL import Image

from facefit.errors import OutputError
from facefit.fit.result import FitResult
from facefit.geometry.camera import project
from facefit.model.corrective import Correctives
from facefit.output.document import load_parameters, reproject
from facefit.output.morph_targets import look_gaze, morph_targets
from facefit.output.paths import output_paths
from facefit.output.read_back import find_fits
from facefit.output.read_texture import painted
from facefit.output.write import write_result


@pytest.fixture(scope="module")
def result(toy_model) -> FitResult:
    return synthetic_result(toy_model, yaw=0.3)


@pytest.fixture(scope="module")
def obj(result, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("obj") / "my face.obj"
    write_result(result, path, texture_size=128)
    return path


def expected_pixels(result: FitResult) -> np.ndarray:
    verts = torch.from_numpy(result.verts_in("camera")).float()[None]
    return project(verts, result.camera)[0].numpy()


def read_obj(path: Path) -> dict:
    """Every line must be one that this reader knows, in an order that every program accepts."""
    known = {"v": 3, "vt": 2, "vn": 3}
    rows = {key: [] for key in (*known, "f")}
    single = {}
    number = r"-?\d+\.\d+"
    for line in path.read_text(encoding="ascii").splitlines():
        key, _, rest = line.partition(" ")
        if key == "#":
            continue
        if key in known:
            assert re.fullmatch(rf"{number}( {number}){{{known[key] - 1}}}", rest), line
            rows[key].append([float(x) for x in rest.split()])
        elif key == "f":
            assert re.fullmatch(r"\d+/\d+/\d+( \d+/\d+/\d+){2}", rest), line
            assert "usemtl" in single
            rows[key].append([[int(i) for i in corner.split("/")] for corner in rest.split()])
        else:
            assert key in ("mtllib", "o", "usemtl", "s") and key not in single, line
            single[key] = rest
    return {k: np.array(v) for k, v in rows.items()} | single


def test_obj_by_a_strict_reader(result, obj):
    model = result.model
    mesh = read_obj(obj)
    np.testing.assert_allclose(mesh["v"], result.verts, atol=5.1e-6)
    assert mesh["vt"].min() >= 0 and mesh["vt"].max() <= 1
    np.testing.assert_allclose(mesh["vt"], model.uv.numpy(), atol=1e-6)  # v up, no flip
    assert (mesh["f"][..., 0] - 1 == model.faces.numpy()).all() and (
        mesh["f"][..., 1] - 1 == model.uv_faces.numpy()
    ).all()
    np.testing.assert_allclose(np.linalg.norm(mesh["vn"], axis=1), 1, atol=1e-3)
    assert mesh["vn"][:, 2].mean() > 0.3  # outwards is towards +z

    library = (obj.parent / mesh["mtllib"]).read_text().splitlines()
    assert library[0] == f"newmtl {mesh['usemtl']}" and sum(line.startswith("newmtl") for line in library) == 1
    (texture,) = [line.partition(" ")[2] for line in library if line.startswith("map_Kd")]
    with Image.open(obj.parent / texture) as image:
        assert image.size == (128, 128) and image.mode == "RGB"
    assert sorted(p.name for p in obj.parent.iterdir()) == sorted(p.name for p in output_paths(obj))


def test_obj_opens_in_trimesh_with_its_texture(result, obj):
    mesh = trimesh.load(obj, process=False, maintain_order=True)
    assert isinstance(mesh, trimesh.Trimesh) and len(mesh.faces) == len(result.model.faces)
    np.testing.assert_allclose(mesh.vertices, result.verts, atol=1e-5)
    assert mesh.visual.material.image.size == (128, 128)
    assert mesh.visual.uv.min() >= 0 and mesh.visual.uv.max() <= 1


@pytest.mark.parametrize("space", ("model", "camera"))
def test_the_json_and_the_obj_alone_reproject(result, tmp_path, space):
    write_result(result, tmp_path / "mesh.obj", space=space, texture_size=16)
    document = json.loads((tmp_path / "mesh.json").read_text())
    verts = read_obj(tmp_path / "mesh.obj")["v"]
    assert document["mesh"]["space"] == space and document["mesh"]["units"] == "millimetre"
    wanted = expected_pixels(result)
    assert np.abs(reproject(document, verts) - wanted).max() < 0.01
    # the same by OpenCV's convention, written out
    camera = document["camera"]["opencv"]
    points = (verts @ np.array(camera["R"]).T + camera["t"]) @ np.array(camera["K"]).T
    assert np.abs(points[:, :2] / points[:, 2:] - wanted).max() < 0.01
    # the photo shows the mesh there and the wall elsewhere
    column, row = np.floor(reproject(document, verts.mean(0, keepdims=True)))[0].astype(int)
    assert result.photo[row, column, 1] < 100
    np.testing.assert_allclose(reproject(document, document["landmarks7"]), expected_landmarks(result), atol=0.01)


def expected_landmarks(result: FitResult) -> np.ndarray:
    verts = torch.from_numpy(result.verts_in("camera")).float()[None]
    return project(result.model.landmarks(verts), result.camera)[0].numpy()[[33, 133, 362, 263, 2, 61, 291]]


def test_json_holds_what_a_user_needs(result, obj):
    document = json.loads(obj.with_suffix(".json").read_text())
    assert document["energies"] == {"landmark": 1.5, "prdl": 0.25}
    assert document["part_iou"] == {"nose": 0.8, "left_eye": None}
    assert document["landmark_error"] == 0.017 and "seed" not in document and document["status"] == "converged"
    assert document["seconds"] == {"fit": 1.25} and document["versions"] == {"facefit": "0.1"}
    assert document["model"]["license"] == "CC0-1.0" and document["config"] == {"iterations": 10}
    assert document["camera"]["width"] == 420 and document["camera"]["height"] == 360
    assert document["landmarks7_names"][4] == "nose_bottom" and np.shape(document["landmarks7"]) == (7, 3)
    assert list(document["expression"]) == list(result.model.expression_names)


def test_what_an_earlier_version_wrote_is_read(result, obj):
    document = json.loads(obj.with_suffix(".json").read_text())
    earlier = {**document, "seed": 0, "config": {**document["config"], "seed": 0}}
    obj.with_name("earlier.json").write_text(json.dumps(earlier))
    parameters, _ = load_parameters(obj.with_name("earlier.json"))
    assert all(torch.equal(value, result.parameters.tensors()[name]) for name, value in parameters.tensors().items())


def test_nan_becomes_null(result, tmp_path):
    write_result(replace(result, landmark_error=float("nan")), tmp_path / "mesh.ply", texture_size=16)
    assert json.loads((tmp_path / "mesh.json").read_text())["landmark_error"] is None


def test_parameters_come_back(result, obj, tmp_path):
    parameters, camera = load_parameters(obj.with_suffix(".json"))
    for name, value in result.parameters.tensors().items():
        assert torch.equal(parameters.tensors()[name], value), name
    assert torch.equal(camera.focal, result.camera.focal) and torch.equal(camera.centre, result.camera.centre)
    (tmp_path / "other.json").write_text("[1]")
    for path in (tmp_path / "other.json", tmp_path / "none.json", obj):
        with pytest.raises(ValueError, match=re.escape(str(path))):
            load_parameters(path)


def test_ply_opens_with_vertex_colours(result, tmp_path):
    paths = write_result(result, tmp_path / "mesh.ply", texture_size=256)
    assert [p.name for p in paths] == ["mesh.ply", "mesh.json"]
    mesh = trimesh.load(paths[0], process=False)
    np.testing.assert_allclose(mesh.vertices, result.verts, atol=1e-4)
    assert (mesh.faces == result.model.faces.numpy()).all()
    colours = mesh.visual.vertex_colors[:, :3].astype(int)
    assert colours.dtype.kind == "i" and colours.max() > 100  # 0 to 255
    middle = len(colours) // 2  # a vertex that the photo shows
    column, row = np.floor(expected_pixels(result)[middle]).astype(int)
    assert np.abs(colours[middle] - result.photo[row, column]).max() < 25


def read_glb(path: Path) -> tuple[dict, bytes]:
    data = path.read_bytes()
    magic, version, total = struct.unpack_from("<4sII", data)
    assert (magic, version, total) == (b"glTF", 2, len(data)) and total % 4 == 0
    length, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON" and length % 4 == 0
    document = json.loads(data[20 : 20 + length])
    size, kind = struct.unpack_from("<I4s", data, 20 + length)
    assert kind == b"BIN\0" and 28 + length + size == total
    return document, data[28 + length :]


def read_accessor(document: dict, binary: bytes, number: int) -> np.ndarray:
    accessor = document["accessors"][number]
    dtype = {5123: "<u2", 5125: "<u4", 5126: "<f4"}
    width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}[accessor["type"]]

    def values(view: int, kind: int, count: int, columns: int) -> np.ndarray:
        entry = document["bufferViews"][view]
        assert entry["byteOffset"] % 4 == 0 and entry["byteOffset"] + entry["byteLength"] <= len(binary)
        return np.frombuffer(binary, dtype[kind], count * columns, entry["byteOffset"]).reshape(count, columns)

    if "sparse" not in accessor:
        return values(accessor["bufferView"], accessor["componentType"], accessor["count"], width)
    out, sparse = np.zeros((accessor["count"], width)), accessor["sparse"]
    rows = values(sparse["indices"]["bufferView"], sparse["indices"]["componentType"], sparse["count"], 1)[:, 0]
    assert (np.diff(rows.astype(int)) > 0).all()  # glTF wants them strictly increasing
    out[rows] = values(sparse["values"]["bufferView"], 5126, sparse["count"], width)
    np.testing.assert_allclose(out.min(0), accessor["min"], atol=1e-6)
    np.testing.assert_allclose(out.max(0), accessor["max"], atol=1e-6)
    return out


@pytest.mark.parametrize("space", ("model", "camera"))
def test_glb_morphs_to_the_fitted_mesh(result, tmp_path, space):
    path = write_result(result, tmp_path / "mesh.glb", space=space, texture_size=64)[0]
    document, binary = read_glb(path)
    (mesh,) = document["meshes"]
    (primitive,) = mesh["primitives"]
    assert mesh["extras"]["targetNames"] == list(result.model.expression_names)
    assert mesh["weights"] == pytest.approx(result.parameters.expression[0].tolist())
    verts = read_accessor(document, binary, primitive["attributes"]["POSITION"]).astype(float)
    for weight, target in zip(mesh["weights"], primitive["targets"], strict=True):
        verts = verts + weight * read_accessor(document, binary, target["POSITION"])
    index = read_accessor(document, binary, primitive["indices"]).reshape(-1, 3).astype(int)
    faces, uv_faces = result.model.faces.numpy(), result.model.uv_faces.numpy()
    np.testing.assert_allclose(verts[index], result.verts_in(space)[faces], atol=2e-3)
    texcoord = read_accessor(document, binary, primitive["attributes"]["TEXCOORD_0"])[index]
    np.testing.assert_allclose(texcoord[..., 0], result.model.uv.numpy()[uv_faces][..., 0], atol=1e-6)
    np.testing.assert_allclose(1 - texcoord[..., 1], result.model.uv.numpy()[uv_faces][..., 1], atol=1e-6)

    scene = trimesh.load(path, process=False)
    (geometry,) = scene.geometry.values()
    assert geometry.visual.material.baseColorTexture.size == (64, 64)
    height = np.ptp(scene.bounds[:, 1])
    assert height == pytest.approx(np.ptp(result.verts_in(space)[:, 1]) / 1000, rel=0.05)  # metres in the scene


def test_glb_repeats_a_vertex_where_the_layout_is_cut(toy_model, tmp_path):
    uv_faces = toy_model.uv_faces.clone()
    cut = torch.cat([toy_model.uv, toy_model.uv[:1] * 0 + 0.5])
    uv_faces[0, 0] = len(cut) - 1  # the first corner of the first triangle has its own texture coordinate
    result = synthetic_result(replace(toy_model, uv=cut, uv_faces=uv_faces))
    path = write_result(result, tmp_path / "mesh.glb", texture_size=16)[0]
    document, binary = read_glb(path)
    primitive = document["meshes"][0]["primitives"][0]
    index = read_accessor(document, binary, primitive["indices"]).reshape(-1, 3).astype(int)
    texcoord = read_accessor(document, binary, primitive["attributes"]["TEXCOORD_0"])
    np.testing.assert_allclose(texcoord[index[0, 0]], (0.5, 0.5))
    np.testing.assert_allclose(texcoord[index[:, 1]][:, 0], cut.numpy()[uv_faces[:, 1]][:, 0], atol=1e-6)


def test_eye_look_targets_turn_the_eyeballs(toy_model):
    assert look_gaze("jawOpen") is None
    assert look_gaze("eyeLookInLeft")[0, 1, 0] < 0 < look_gaze("eyeLookOutLeft")[0, 1, 0]
    assert look_gaze("eyeLookInRight")[0, 0, 0] > 0 > look_gaze("eyeLookOutRight")[0, 0, 0]
    assert look_gaze("eyeLookUpLeft")[0, 1, 1] > 0 > look_gaze("eyeLookDownLeft")[0, 1, 1]
    ball = torch.zeros_like(toy_model.eyeball)
    ball[100:140] = 2
    basis = toy_model.expression_basis.clone()
    basis[:, 100:140] = 0
    model = replace(
        toy_model, eyeball=ball, expression_basis=basis, expression_names=("eyeLookUpLeft", "jawOpen", "eyeLookUpRight")
    )
    result = synthetic_result(model)
    gazed = replace(result.parameters, gaze=torch.tensor([[[0.0, 0.0], [0.1, 0.2]]]))
    result = replace(result, parameters=gazed)
    base, targets, weights = morph_targets(result.scene)
    moved = np.abs(targets).max(2) > 1e-3
    assert moved[0, 100:140].any() and not moved[1:, 100:140].any()
    np.testing.assert_allclose(base + np.tensordot(weights, targets, 1), result.verts, atol=1e-9)


def test_a_persons_morph_targets_hold_the_models_correctives(toy_model):
    identity = synthetic_result(toy_model).parameters.identity
    correctives = Correctives(
        basis=torch.randn(1, *toy_model.verts.shape), expression=torch.tensor([1]), identity=torch.randn_like(identity)
    )
    result = synthetic_result(replace(toy_model, correctives=correctives))
    base, targets, weights = morph_targets(result.scene)
    np.testing.assert_allclose(base + np.tensordot(weights, targets, 1), result.verts, atol=1e-9)
    plain = morph_targets(synthetic_result(toy_model).scene)[1]
    more = (correctives.identity @ result.parameters.identity[0]).item() * correctives.basis[0].numpy()
    np.testing.assert_allclose(targets[1] - plain[1], more, atol=1e-4)
    np.testing.assert_array_equal(targets[0], plain[0])


def test_a_failure_leaves_what_was_there_before(result, tmp_path, monkeypatch):
    (tmp_path / "mesh.mtl").write_text("mine")
    real = os.replace

    def full_disk(source, target):
        if Path(target).suffix == ".png":
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OutputError, match="mesh_texture.png: No space left on device"):
        write_result(result, tmp_path / "mesh.obj", texture_size=16)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"mesh.mtl": "mine"}


@pytest.mark.parametrize("name", (b"\xff\xfe", b"new\nline\r", "\u00fc\u2028".encode(), b"a b"))
def test_any_name_that_the_file_system_has(result, tmp_path, name):
    mesh = tmp_path / os.fsdecode(name + b".obj")
    paths = write_result(replace(result, photo_path=os.fsdecode(b"/photos/" + name)), mesh, texture_size=16)
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    (library,) = [line[7:] for line in mesh.read_bytes().split(b"\n") if line.startswith(b"mtllib ")]
    material = (Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + library))).read_bytes()
    (texture,) = [line[7:] for line in material.split(b"\n") if line.startswith(b"map_Kd ")]
    assert os.path.isfile(os.fsencode(tmp_path) + b"/" + texture)
    (fit,) = find_fits([tmp_path])
    assert fit.mesh == mesh and os.fsencode(fit.photo) == b"/photos/" + name
    assert painted(fit.mesh, 1).shape == (16, 16, 3)
    for suffix in (".ply", ".glb"):
        assert write_result(result, mesh.with_suffix(suffix), texture_size=16)[0].is_file()


def test_destinations_that_cannot_be(result, tmp_path):
    with pytest.raises(OutputError, match=r"\.stl.*\.obj, \.ply, \.glb"):
        write_result(result, tmp_path / "mesh.stl")
    with pytest.raises(OutputError, match="does not exist"):
        write_result(result, tmp_path / "none" / "mesh.obj", texture_size=16)
    (tmp_path / "mesh.json").mkdir()
    with pytest.raises(OutputError, match=r"mesh\.json"):
        write_result(result, tmp_path / "mesh.obj", texture_size=16)
    with pytest.raises(ValueError, match="model, camera"):
        write_result(result, tmp_path / "mesh.obj", space="world")
    photo = tmp_path / "face_texture.png"
    photo.write_bytes(b"a photo")
    with pytest.raises(OutputError, match="face_texture.png"):
        write_result(replace(result, photo_path=str(photo)), tmp_path / "face.obj", texture_size=16)
    assert photo.read_bytes() == b"a photo" and sorted(p.name for p in tmp_path.iterdir()) == [photo.name, "mesh.json"]
