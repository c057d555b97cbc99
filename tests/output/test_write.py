"""Reopen what was written: with a strict reader of our own, with trimesh, and from the JSON alone."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from helpers.gltf_reader import Glb
from helpers.synthetic_result import synthetic_result
from helpers.toy_model import toy_arrays, with_pieces
from PIL import Image

from facefit.errors import OutputError
from facefit.fit.result import FitResult
from facefit.geometry.camera import project
from facefit.geometry.triangles import vertex_normals
from facefit.model.corrective import Correctives
from facefit.model.model_file import from_arrays
from facefit.model.pieces import PIECES, face_pieces
from facefit.output.document import load_parameters, reproject
from facefit.output.morph_glb import morph_glb
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
            assert key in ("mtllib", "o", "g", "usemtl", "s"), line
            assert key not in single or key in ("g", "usemtl", "s"), line
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
    assert (
        library[0] == f"newmtl {mesh['usemtl']}" == "newmtl skin"
        and sum(line.startswith("newmtl") for line in library) == 1
    )
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
    assert (mesh.faces == result.model.faces.numpy()).all()
    colours = mesh.visual.vertex_colors[:, :3].astype(int)
    assert colours.dtype.kind == "i" and colours.max() > 100  # 0 to 255
    middle = len(colours) // 2  # a vertex that the photo shows
    column, row = np.floor(expected_pixels(result)[middle]).astype(int)
    assert np.abs(colours[middle] - result.photo[row, column]).max() < 25


@pytest.fixture(scope="module")
def whole(toy_model) -> FitResult:
    """A toy with all four pieces."""
    return synthetic_result(from_arrays(with_pieces(toy_arrays())), yaw=0.3)


def in_file_order(model, values: np.ndarray) -> np.ndarray:
    """(V, ...) -> (F, 3, ...) of the corners of the triangles, piece after piece."""
    return values[model.faces.numpy()[np.argsort(face_pieces(model), kind="stable")]]


@pytest.mark.parametrize("quantize", (False, True))
@pytest.mark.parametrize("space", ("model", "camera"))
def test_glb_morphs_to_the_fitted_mesh(whole, tmp_path, space, quantize):
    path = write_result(whole, tmp_path / "mesh.glb", space=space, texture_size=64, quantize=quantize)[0]
    glb, model = Glb(path.read_bytes()), whole.model
    (mesh,) = glb.document["meshes"]
    assert mesh["extras"]["targetNames"] == list(model.expression_names) and glb.pieces() == list(PIECES)
    assert mesh["weights"] == pytest.approx(whole.parameters.expression[0].tolist())
    at = glb.triangles()
    wanted = in_file_order(model, whole.verts_in(space)) / 1000  # metres, in the scene and in the buffers
    np.testing.assert_allclose(glb.shown()[at], wanted, atol=1e-5)
    assert glb.document["nodes"][0]["name"] == "head" and ("scale" in glb.document["nodes"][-1]) == quantize
    uv = model.uv.numpy()[model.uv_faces.numpy()[np.argsort(face_pieces(model), kind="stable")]]
    texcoord = glb.attribute("TEXCOORD_0")[at]
    np.testing.assert_allclose(texcoord[..., 0], uv[..., 0], atol=2e-5)
    np.testing.assert_allclose(1 - texcoord[..., 1], uv[..., 1], atol=2e-5)

    scene = trimesh.load(path, process=False)
    assert {mesh.visual.material.name for mesh in scene.geometry.values()} == set(PIECES)
    assert all(mesh.visual.material.baseColorTexture.size == (64, 64) for mesh in scene.geometry.values())
    height = np.ptp(scene.bounds[:, 1])
    assert height == pytest.approx(np.ptp(whole.verts_in(space)[:, 1]) / 1000, rel=0.1)


def test_normals_of_a_glb_turn_with_its_morphs(whole):
    """Under one target alone they are those of the moved mesh; together they nearly are."""
    morphs, model = morph_targets(whole.scene), whole.model
    faces = model.faces.numpy()
    glb = Glb(morph_glb(model, morphs, b"\x89PNG"))
    for k in range(len(morphs.names)):
        weights = np.eye(len(morphs.names))[k]
        wanted = in_file_order(model, vertex_normals(morphs.base + morphs.targets[k], faces))
        np.testing.assert_allclose(glb.attribute("NORMAL", weights)[glb.triangles()], wanted, atol=0.01)
    still = in_file_order(model, vertex_normals(morphs.base, faces))
    shown = glb.attribute("NORMAL")
    shown = (shown / np.linalg.norm(shown, axis=1, keepdims=True))[glb.triangles()]
    wanted = in_file_order(model, vertex_normals(whole.verts, faces))
    assert np.abs(shown - wanted).mean() < 0.3 * np.abs(still - wanted).mean()


def test_a_target_that_leaves_a_piece_alone_stores_nothing_of_it(whole):
    """The toy's expressions move everything; here none of them moves the eyes."""
    model = whole.model
    eyes = np.unique(model.faces.numpy()[face_pieces(model) == PIECES.index("eyes")])
    morphs = morph_targets(whole.scene)
    morphs.targets[:, eyes] = 0
    glb = Glb(morph_glb(model, morphs, b"\x89PNG"))
    primitive = glb.document["meshes"][0]["primitives"][glb.pieces().index("eyes")]
    accessors = {number for target in primitive["targets"] for number in target.values()}
    assert len(accessors) == 2  # one of positions and one of normals, of zeros, for all
    assert all("sparse" not in glb.document["accessors"][number] for number in accessors)


def test_smaller_glb(whole, tmp_path):
    plain, small = (
        write_result(whole, tmp_path / f"{style.get('jpeg', False)}.glb", texture_size=256, **style)[0].read_bytes()
        for style in ({}, {"jpeg": True, "quantize": True})
    )
    assert len(small) < 0.6 * len(plain)
    (image,) = Glb(small).document["images"]
    assert image["mimeType"] == "image/jpeg"
    assert painted(tmp_path / "True.glb", 0).shape == (256, 256, 3)


def test_glb_repeats_a_vertex_where_the_layout_is_cut(toy_model, tmp_path):
    uv_faces = toy_model.uv_faces.clone()
    cut = torch.cat([toy_model.uv, toy_model.uv[:1] * 0 + 0.5])
    uv_faces[0, 0] = len(cut) - 1  # the first corner of the first triangle has its own texture coordinate
    result = synthetic_result(replace(toy_model, uv=cut, uv_faces=uv_faces))
    glb = Glb(write_result(result, tmp_path / "mesh.glb", texture_size=16)[0].read_bytes())
    texcoord = glb.attribute("TEXCOORD_0")[glb.triangles()]
    np.testing.assert_allclose(texcoord[0, 0], (0.5, 0.5))
    np.testing.assert_allclose(texcoord[:, 1, 0], cut.numpy()[uv_faces[:, 1]][:, 0], atol=1e-6)


def test_obj_has_a_group_and_a_material_for_each_piece(whole, tmp_path):
    path = write_result(whole, tmp_path / "mesh.obj", texture_size=16)[0]
    mesh = read_groups(path)
    assert list(mesh) == list(PIECES)
    piece = face_pieces(whole.model)
    for number, (faces, material) in enumerate(mesh.values()):
        np.testing.assert_array_equal(faces, whole.model.faces.numpy()[piece == number])
        assert material == PIECES[number]
    scene = trimesh.load(path, process=False)
    assert {mesh.visual.material.name for mesh in scene.geometry.values()} == set(PIECES)


def read_groups(path: Path) -> dict[str, tuple[np.ndarray, str]]:
    """Name of each group -> its triangles and its material."""
    found, name, material = {}, "", {}
    for line in path.read_text().splitlines():
        word, _, rest = line.partition(" ")
        if word == "g":
            name = rest
        elif word == "usemtl":
            material[name] = rest
        elif word == "f":
            found.setdefault(name, []).append([int(corner.split("/")[0]) - 1 for corner in rest.split()])
    return {name: (np.array(faces), material[name]) for name, faces in found.items()}


@pytest.mark.parametrize("name", ("mesh.obj", "mesh.ply"))
def test_metres(result, tmp_path, name):
    """The numbers of the file and of its JSON are a thousandth; both together still lie on the photo."""
    paths = write_result(result, tmp_path / name, texture_size=16, units="m")
    verts = trimesh.load_mesh(paths[0], process=False).vertices
    document = json.loads(paths[-1].read_text())
    assert document["mesh"]["units"] == "metre" and np.ptp(verts, 0).max() < 0.4
    order = [tuple(row) for row in np.round(reproject(document, verts), 2)]
    wanted = expected_pixels(result)
    assert np.abs(np.array(sorted(order)) - np.array(sorted(map(tuple, np.round(wanted, 2))))).max() < 0.05
    assert b"metres" in paths[0].read_bytes()[:200] and b"millimetres" not in paths[0].read_bytes()[:200]
    assert np.abs(reproject(document, document["landmarks7"]) - expected_landmarks(result)).max() < 0.05


def test_a_ply_stands_upright_where_z_is_up(result, tmp_path):
    paths = write_result(result, tmp_path / "mesh.ply", texture_size=16)
    verts = trimesh.load(paths[0], process=False).vertices
    np.testing.assert_allclose(verts, result.verts[:, [0, 2, 1]] * [1, -1, 1], atol=1e-4)
    document = json.loads(paths[-1].read_text())
    assert document["mesh"]["up"] == "z" and np.abs(reproject(document, verts) - expected_pixels(result)).max() < 0.01
    camera = write_result(result, tmp_path / "camera.ply", texture_size=16, space="camera")
    np.testing.assert_allclose(trimesh.load(camera[0], process=False).vertices, result.verts_in("camera"), atol=1e-4)
    assert json.loads(camera[-1].read_text())["mesh"]["up"] == "y"


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
    morphs = morph_targets(result.scene)
    moved = np.abs(morphs.targets).max(2) > 1e-3
    assert moved[0, 100:140].any() and not moved[1:, 100:140].any()
    np.testing.assert_allclose(morphs.verts, result.verts, atol=1e-9)


def test_a_persons_morph_targets_hold_the_models_correctives(toy_model):
    identity = synthetic_result(toy_model).parameters.identity
    correctives = Correctives(
        basis=torch.randn(1, *toy_model.verts.shape), expression=torch.tensor([1]), identity=torch.randn_like(identity)
    )
    result = synthetic_result(replace(toy_model, correctives=correctives))
    morphs = morph_targets(result.scene)
    np.testing.assert_allclose(morphs.verts, result.verts, atol=1e-9)
    targets, plain = morphs.targets, morph_targets(synthetic_result(toy_model).scene).targets
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
