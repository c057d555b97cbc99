"""A face back from its files: the same mesh and texture in another kind of file, with another expression."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.gltf_reader import Glb
from helpers.synthetic_result import synthetic_result
from helpers.toy_model import toy_arrays
from PIL import Image

from facefit.errors import ClashError, InputError
from facefit.model.model_file import load_model, save_arrays
from facefit.output.document import reproject
from facefit.output.face import load
from facefit.output.read_texture import painted
from facefit.output.texture_picture import texture_picture
from facefit.output.viewer import page_glb
from facefit.output.write import write_result


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "toy.npz"
    save_arrays(path, toy_arrays())
    return path


@pytest.fixture(scope="module")
def result(model_file):
    return synthetic_result(load_model(model_file), yaw=0.3)


@pytest.mark.parametrize("name", ("mesh.obj", "mesh.glb", "mesh.ply"))
def test_a_face_comes_back_from_each_kind_of_file(result, model_file, tmp_path, name):
    write_result(result, tmp_path / name, texture_size=64)
    face = load(tmp_path / name, str(model_file))
    np.testing.assert_allclose(face.verts, result.verts, atol=1e-4)
    wanted = texture_picture(result, 64)
    if name == "mesh.ply":  # the colours of the vertices, between which is guessed
        assert face.painted == "file" and face.texture.shape == (1024, 1024, 3)
        away = np.abs(face.texture[::16, ::16].astype(int) - wanted).mean()
        assert away < 12
    else:
        np.testing.assert_array_equal(face.texture, wanted)
    assert face.summary == result.summary and face.photo_size == result.photo_size
    assert len(repr(face)) < 200 and "converged" in repr(face)


def test_what_is_saved_again_is_what_was_saved(result, model_file, tmp_path):
    """By way of another format and back, byte for byte."""
    write_result(result, tmp_path / "a.obj", texture_size=32)
    load(tmp_path / "a.json", str(model_file)).save(tmp_path / "b.glb")
    load(tmp_path / "b.glb", str(model_file)).save(tmp_path / "c.obj")
    write_result(result, tmp_path / "d.glb", texture_size=32)
    assert (tmp_path / "b.glb").read_bytes() == (tmp_path / "d.glb").read_bytes()
    assert (tmp_path / "c_texture.png").read_bytes() == (tmp_path / "a_texture.png").read_bytes()
    ours, theirs = ((tmp_path / name).read_text().splitlines()[3:] for name in ("a.obj", "c.obj"))
    assert ours == theirs
    first, last = (json.loads((tmp_path / f"{name}.json").read_text()) for name in "ac")
    assert last.pop("mesh") | {"file": "a.obj"} == first.pop("mesh") and first == last


def test_an_edited_face_is_written_with_its_camera(result, model_file, tmp_path):
    write_result(result, tmp_path / "a.obj", texture_size=32, space="camera")
    face = load(tmp_path / "a.obj", str(model_file)).with_expression(unit1=1.0)
    assert face.expression["unit1"] == 1 and face.summary.status == "edited"
    face.save(tmp_path / "b.ply", units="m")
    document = json.loads((tmp_path / "b.json").read_text())
    assert document["mesh"] | {"units": "metre", "space": "camera", "up": "y"} == document["mesh"]
    assert document["expression"]["unit1"] == 1 and document["landmark_error"] is None
    again = load(tmp_path / "b.json", str(model_file))
    assert torch.equal(again.scene.parameters.expression, face.scene.parameters.expression)
    seen = reproject(document, again.scene.verts_in("camera") / 1000)
    np.testing.assert_allclose(seen, again.scene.pixels()[0].numpy(), atol=0.01)
    assert face.render(size=32).shape == (32, 32, 3)


def test_a_face_whose_texture_is_gone_has_its_skin(result, model_file, tmp_path):
    write_result(result, tmp_path / "a.obj", texture_size=32)
    (tmp_path / "a_texture.png").unlink()
    face = load(tmp_path / "a.json", str(model_file))
    lit = result.scene.colours()[0].clamp(0, 1).mean(0).numpy()
    assert face.painted == "skin" and np.abs(face.texture.mean((0, 1)) / 255 - lit).max() < 0.1


def test_a_page_of_a_face(result, model_file, tmp_path):
    """With the photo under its camera where that still is, without it where another one lies there."""
    photo = tmp_path / "photo.png"
    Image.fromarray(result.photo).save(photo)
    write_result(replace(result, photo_path=str(photo)), tmp_path / "a.obj", texture_size=32)
    face = load(tmp_path / "a.json", str(model_file)).with_expression(unit1=1.0)
    (page, document) = face.save(tmp_path / "face.html")
    assert Glb(page_glb(page.read_bytes(), "a page")).document["meshes"][0]["weights"][1] == 1
    assert json.loads(document.read_text())["mesh"]["file"] == "face.html"
    Image.fromarray(result.photo[:-1]).save(photo)
    face.save(tmp_path / "alone.html")
    assert len((tmp_path / "alone.html").read_bytes()) < len(page.read_bytes())


def test_what_is_read_is_not_written_over(result, model_file, tmp_path):
    write_result(result, tmp_path / "a.obj", texture_size=32)
    face = load(tmp_path / "a.json", str(model_file))
    said = (tmp_path / "a.json").read_bytes()
    assert face.save(tmp_path / "a.glb") == [tmp_path / "a.glb"]  # what the JSON says holds for it as well
    for other, name, style in (
        (face, "a.ply", {}), (face, "a.glb", {"space": "camera"}), (face.with_expression(unit0=1.0), "a.glb", {}),
        (face, "a.obj", {}),
    ):  # fmt: skip
        with pytest.raises(ClashError, match="would overwrite the input"):
            other.save(tmp_path / name, **style)
    assert (tmp_path / "a.json").read_bytes() == said
    with pytest.raises(InputError, match="a folder"):
        load(tmp_path, str(model_file))
    document = json.loads((tmp_path / "a.json").read_text())
    (tmp_path / "a.json").write_text(json.dumps(document | {"mesh": document["mesh"] | {"up": "x"}}))
    with pytest.raises(InputError, match=r"mesh\.up"):
        load(tmp_path / "a.json", str(model_file))


def test_usdz_comes_back(result, model_file, tmp_path):
    pytest.importorskip("pxr")
    write_result(replace(result, photo_path=""), tmp_path / "a.usdz", texture_size=32, jpeg=True)
    assert painted(tmp_path / "a.usdz", 0).shape == (32, 32, 3)
    np.testing.assert_allclose(load(tmp_path / "a.usdz", str(model_file)).verts, result.verts, atol=1e-4)


def test_a_normal_map_goes_along_into_files_that_can_hold_one(result, model_file, tmp_path):
    """And the heights, which belong to the photo's own fit, do not."""
    write_result(result, tmp_path / "a.glb", texture_size=32)
    face = load(tmp_path / "a.glb", str(model_file))
    assert face.normals is None
    normals = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    said = {"displacement": {"files": ["a_displacement.png"]}, "normals": "tangent space", "levels": 0, "shown": 0.5}
    replace(face, normals=normals, document=face.document | {"detail": said}).save(tmp_path / "b.obj")
    assert "norm b_normals.png" in (tmp_path / "b.mtl").read_text()
    load(tmp_path / "b.obj", str(model_file)).save(tmp_path / "c.glb")
    written = json.loads((tmp_path / "c.json").read_text())
    assert written["detail"] == {"normals": "tangent space", "levels": 0, "shown": 0.5}
    again = load(tmp_path / "c.glb", str(model_file))
    np.testing.assert_array_equal(again.normals, normals)
    assert "normalTexture" in Glb((tmp_path / "c.glb").read_bytes()).document["materials"][0]
    assert tmp_path / "d_normals.png" not in again.save(tmp_path / "d.ply")
    assert "detail" not in json.loads((tmp_path / "d.json").read_text())
