"""`facefit convert` through files: what it writes, and one line for what it cannot do."""

import dataclasses
import json

import numpy as np
import pytest
from helpers.command_line import error_line, facefit
from helpers.gltf_reader import Glb
from helpers.synthetic_result import synthetic_result
from helpers.toy_faces import toy_face
from PIL import Image

from facefit.anatomy.landmarks import LANDMARKS7
from facefit.files.read_mesh import read_mesh
from facefit.files.read_points import read_points
from facefit.geometry.similarity import fit_similarity
from facefit.model.model_file import load_model, save_arrays
from facefit.output.document import reproject
from facefit.output.placing import Z_UP
from facefit.output.read_texture import painted
from facefit.output.write import write_result


def picture(path):
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two installed models, and a fit of one of them in either space and three formats."""
    root = tmp_path_factory.mktemp("convert")
    (root / "models").mkdir()
    save_arrays(root / "models" / "fine.npz", toy_face(33, 35, eyes=True) | {"version": np.str_("fine")})
    other = toy_face(23, 21, eyes=True, identity=2) | {"version": np.str_("coarse")}
    save_arrays(root / "models" / "coarse.npz", other)
    result = synthetic_result(load_model(root / "models" / "fine.npz"), yaw=0.3)
    photo = root / "photo.png"
    Image.fromarray(result.photo).save(photo)
    result = dataclasses.replace(result, photo_path=str(photo))
    for name in ("mesh.obj", "mesh2.ply", "mesh3.glb"):
        write_result(result, root / name, texture_size=64)
    write_result(result, root / "camera.obj", space="camera", texture_size=64)
    return root


@pytest.fixture(autouse=True)
def models(folder, monkeypatch):
    monkeypatch.setenv("FACEFIT_MODELS", str(folder / "models"))


def convert(folder, tmp_path, *args, source="mesh.json", output="out.obj"):
    result = facefit("convert", folder / source, "--to", "coarse", "-o", tmp_path / output, "--texture-size", 32, *args)
    assert result.exit_code == 0, result.stderr
    return result.output, json.loads((tmp_path / output).with_suffix(".json").read_text())


def detailed(folder, path):
    """A result with a normal map that its mesh has not: a finer one had it, or the mesh is gone."""
    document = json.loads((folder / "mesh.json").read_text())
    path.write_text(json.dumps(document | {"detail": {"normals": {"size": 64}, "levels": 1, "shown": 0.5}}))


def test_a_fit_becomes_the_other_model(folder, tmp_path):
    output, document = convert(folder, tmp_path)
    assert "normal map" not in output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json", "out.mtl", "out.obj", "out_texture.png"]
    model = load_model("coarse")
    mesh = read_mesh(tmp_path / "out.obj")
    assert mesh.verts.shape == (len(model.verts), 3) and (mesh.faces == model.faces.numpy()).all()
    assert picture(tmp_path / "out_texture.png").shape == (32, 32, 3)
    assert (document["format"], document["format_version"]) == ("facefit-conversion", 1)
    assert document["model"]["checksum"] == model.checksum and document["model"]["sizes"]["identity"] == 2
    assert document["source"]["model"]["version"] == "fine" and document["source"]["file"] == "mesh.json"
    assert document["residual"] and document["texture"] == "source"
    assert len(document["parameters"]["identity"]) == 2 and document["expression"].keys() == set(model.expression_names)
    # what is printed is what is stored
    for name, line in (("components", "parameters alone"), ("residual", "with offsets")):
        text = next(row for row in output.splitlines() if row.startswith(line))
        for direction in ("source_to_target", "target_to_source"):
            assert f"{document['errors'][name][direction]['median']:.2f} mm median" in text
    after = document["errors"]["residual"]
    assert max(after[name]["median"] for name in after) < 0.7
    assert "toy to toy in" in output


@pytest.mark.parametrize("source", ["mesh.json", "camera.json"])
def test_the_new_mesh_lies_over_the_old_one(folder, tmp_path, source):
    """In its space, and in the photo."""
    _, document = convert(folder, tmp_path, "--no-residual", source=source)
    old = json.loads((folder / source).read_text())
    assert document["mesh"]["space"] == old["mesh"]["space"] and document["camera"] == old["camera"]
    new, verts = read_points(tmp_path / "out.json"), read_mesh(tmp_path / "out.obj").verts
    assert np.abs(new - np.array(old["landmarks7"])).max() < 4  # mm
    pixels = reproject(document, verts)
    theirs = reproject(old, read_mesh(folder / source.replace("json", "obj")).verts)
    assert np.abs(pixels.mean(0) - theirs.mean(0)).max() < 8  # vertices lie elsewhere; the head does not
    # the parameters alone give this mesh
    import torch

    model, stored = load_model("coarse"), document["parameters"]
    tensors = {name: torch.tensor([stored[name]]) for name in ("identity", "expression", "gaze")}
    plain = model.shape(*tensors.values())[0].double().numpy()
    turn, shift = np.array(document["mesh_from_model"]["R"]), np.array(document["mesh_from_model"]["t"])
    assert np.abs(plain @ turn.T + shift - verts).max() < 1e-3
    assert fit_similarity(plain, verts, scale=True).scale == pytest.approx(1, abs=1e-6)
    corners = verts[model.faces[model.landmark_faces[list(LANDMARKS7)]].numpy()]
    assert np.allclose((corners * model.landmark_bary[list(LANDMARKS7)].numpy()[:, :, None]).sum(1), new, atol=1e-3)


def test_parameters_alone(folder, tmp_path):
    """Of a face with a normal map, which does not go along."""
    detailed(folder, tmp_path / "mesh.json")
    output, document = convert(tmp_path, tmp_path, "--no-residual")
    assert not document["residual"] and list(document["errors"]) == ["components"]
    assert "with offsets" not in output
    assert output.count("; its normal map, which belongs to the other head's texture, is left behind\n") == 1
    assert "detail" not in document


def test_other_formats_and_quiet(folder, tmp_path):
    output, _ = convert(folder, tmp_path, "-q", output="out.ply", source="mesh2.ply")  # by the mesh; its colours
    assert output == ""
    coloured = (tmp_path / "out.ply").read_bytes()
    convert(folder, tmp_path, output="out.glb", source="mesh3.json")
    glb = Glb((tmp_path / "out.glb").read_bytes())
    (mesh,) = glb.document["meshes"]
    assert mesh["extras"]["targetNames"] == ["unit0", "unit1", "unit2"]
    verts = read_mesh(tmp_path / "out.ply").verts @ Z_UP  # as the OBJ and the GLB have it
    near = np.linalg.norm(1000 * glb.shown()[:, None] - verts[None], axis=2).min(1)
    assert near.max() < 0.05  # mm
    assert b"comment" in coloured and len(coloured) > 27 * len(verts)


def test_without_the_texture_there_is_the_models_own_skin(folder, tmp_path):
    (tmp_path / "mesh.json").write_bytes((folder / "mesh.json").read_bytes())
    _, document = convert(tmp_path, tmp_path)
    assert document["texture"] == "albedo"
    assert (
        np.abs(picture(tmp_path / "out_texture.png")[24, 3].astype(int) - np.array([0.75, 0.55, 0.45]) * 255).max() <= 2
    )


def test_models_that_are_not_there(folder, tmp_path):
    out = ("-o", tmp_path / "out.obj")
    error_line(facefit("convert", folder / "mesh.json", "--to", "nobody", *out), 5, "no face model 'nobody'")
    error_line(facefit("convert", folder / "mesh.json", "--to", "gnm", *out), 5, "facefit models add gnm")
    error_line(facefit("convert", folder / "mesh.json", "--to", "fine", *out), 2, "in that model already")
    wrong = facefit("convert", folder / "mesh.json", "--to", "coarse", "--model", "coarse", *out)
    error_line(wrong, 4, "fitted with face model toy fine", "not with toy coarse")
    document = json.loads((folder / "mesh.json").read_text())
    document["model"]["checksum"] = "0123456789abcdef"
    (tmp_path / "lost.json").write_text(json.dumps(document))
    lost = facefit("convert", tmp_path / "lost.json", "--to", "coarse", *out)
    error_line(lost, 4, "toy fine (01234567)", "none of default, coarse, fine", "--model")
    assert not (tmp_path / "out.obj").exists()


def test_the_source_model_may_be_a_file(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("FACEFIT_MODELS", str(tmp_path / "empty"))
    models = folder / "models"
    common = ("convert", folder / "mesh.json", "--to", models / "coarse.npz", "-o", tmp_path / "out.obj")
    error_line(facefit(*common), 4, "which is none of default")
    result = facefit(*common, "--model", models / "fine.npz", "--texture-size", 16, "--no-residual", "-q")
    assert result.exit_code == 0, result.stderr


def test_what_is_no_result(folder, tmp_path):
    out = ("--to", "coarse", "-o", tmp_path / "out.obj")
    error_line(facefit("convert", tmp_path / "none.json", *out), 4, "none.json", "no fit")
    error_line(facefit("convert", folder, *out), 4, "a folder")
    other = tmp_path / "other.json"
    other.write_text('{"format": "facefit-conversion"}')
    error_line(facefit("convert", other, *out), 4, "not a facefit result")
    other.write_text("{")
    error_line(facefit("convert", other, *out), 4, "damaged JSON")
    document = json.loads((folder / "mesh.json").read_text())
    nowhere = {"file": "mesh.obj", "space": "nowhere"}
    for damage in ({"mesh": nowhere}, {"mesh": 3}, {"photo": None}, {"parameters": {"identity": [1.0]}}):
        other.write_text(json.dumps(document | damage))
        error_line(facefit("convert", other, *out), 4, "other.json", "result")
    other.write_text(json.dumps(document))
    (tmp_path / "mesh_texture.png").write_bytes(b"no picture")
    error_line(facefit("convert", other, *out), 4, "mesh_texture.png")
    assert not list(tmp_path.glob("out*"))


def test_where_it_cannot_be_written(folder, tmp_path):
    source = ("convert", folder / "mesh.json", "--to", "coarse", "-o")
    error_line(facefit(*source, tmp_path / "out.stl"), 2, ".obj, .ply, .glb")
    error_line(facefit(*source, tmp_path / "no" / "out.obj"), 6, "does not exist")
    error_line(facefit(*source, folder / "mesh.obj"), 2, "would overwrite")
    error_line(facefit(*source, folder / "mesh.ply"), 2, "would overwrite")  # its JSON would be the source's
    error_line(facefit("convert", folder / "mesh.json", "-o", folder / "mesh.ply"), 2, "would overwrite")
    plain = ("convert", folder / "mesh.json", "-o", tmp_path / "out.glb")
    error_line(facefit(*plain, "--no-residual"), 2, "--no-residual belongs to --to")
    error_line(facefit(*plain, "--texture-size", 64), 2, "--texture-size belongs to --to")
    error_line(facefit(*plain[:-1], tmp_path / "no" / "out.glb"), 6, "does not exist")
    assert list(tmp_path.iterdir()) == []


def test_another_kind_of_file(folder, tmp_path):
    """Nothing is fitted: the mesh and the texture are those of the source."""
    done = facefit("convert", folder / "mesh.json", "-o", tmp_path / "out.glb", "--quantize")
    assert done.exit_code == 0, done.stderr
    assert "out.glb" in done.output and "vertices" in done.output and "normal map" not in done.output
    glb = Glb((tmp_path / "out.glb").read_bytes())
    assert glb.document["extensionsUsed"] == ["KHR_mesh_quantization"] and glb.pieces() == ["skin", "eyes"]
    verts = read_mesh(folder / "mesh.obj").verts
    near = np.linalg.norm(1000 * glb.shown()[:, None] - verts[None], axis=2).min(1)
    assert near.max() < 0.02
    np.testing.assert_array_equal(painted(tmp_path / "out.glb", 0), painted(folder / "mesh.obj", 0))
    beside = facefit("convert", tmp_path / "out.json", "-o", tmp_path / "out.obj")  # its JSON holds for both
    assert beside.exit_code == 0 and "out.json" not in beside.output and (tmp_path / "out_texture.png").is_file()
    detailed(folder, tmp_path / "lost.json")
    (tmp_path / "lost.json").write_bytes((tmp_path / "lost.json").read_bytes().replace(b"mesh.obj", b"lost.obj"))
    lost = facefit("convert", tmp_path / "lost.json", "-o", tmp_path / "skin.ply", "--units", "m")
    assert lost.exit_code == 0 and "its texture is gone" in lost.output
    assert lost.output.endswith("; its normal map, which belongs to a finer mesh, is left behind\n")
    assert np.ptp(read_mesh(tmp_path / "skin.ply").verts, 0).max() < 1


def test_usd_needs_its_library(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    error_line(facefit("convert", folder / "mesh.json", "-o", tmp_path / "out.usdz"), 6, "pip install 'facefit[usd]'")
