"""Detail as files: what a program reads from them is the relief that was put in."""

import io
import json

import numpy as np
import pytest
from helpers.gltf_reader import Glb
from helpers.synthetic_result import synthetic_result
from PIL import Image

from facefit.compute.derived import derived
from facefit.detail.texel_grid import texel_grid
from facefit.errors import InputError, OutputError
from facefit.geometry.triangles import vertex_normals
from facefit.output.detail_files import exr_bytes
from facefit.output.normal_map import OFFSET, SCALE, heights_as_numbers
from facefit.output.read_back import one_fit
from facefit.output.read_texture import normal_map, painted
from facefit.output.relief import Relief, relief
from facefit.output.stored_page import stored_page
from facefit.output.style import FileStyle
from facefit.output.texture import texels
from facefit.output.viewer import page_glb
from facefit.output.write import write_result

SIZE = 128


@pytest.fixture(scope="module")
def result(toy_model):
    """A result whose relief is known: a ridge along x, 0.5 mm high."""
    made = synthetic_result(toy_model)
    model = made.model
    face, bary = texels(model, SIZE)
    grid = texel_grid(
        face, bary, made.verts, model.faces.numpy(), model.uv.double().numpy(), model.uv_faces.numpy(),
        np.ones(face.shape, bool),
    )  # fmt: skip
    points = grid.of_vertices(made.verts)
    height = 0.5 * np.exp(-((points[:, 1] - 20) ** 2) / 2 / 8**2)
    derived(made.sighting, ("relief", SIZE), lambda _: Relief(grid, grid.slope(height), height, 1.0))
    return made


def normals_of(picture: bytes) -> np.ndarray:
    """(T, T, 3) unit."""
    found = np.asarray(Image.open(io.BytesIO(picture)), float) / 127.5 - 1
    np.testing.assert_allclose(np.linalg.norm(found, axis=2), 1, atol=0.02)
    return found


@pytest.mark.parametrize("suffix", ["obj", "glb", "html"])
def test_a_written_normal_map_is_read_again_and_shown(result, tmp_path, suffix):
    """By `facefit view`, in the page that it makes; without --detail there is none."""
    mesh, plain = tmp_path / f"face.{suffix}", tmp_path / f"plain.{suffix}"
    write_result(result, mesh, detail=True, texture_size=SIZE)
    write_result(result, plain, texture_size=SIZE)
    found = normal_map(mesh)
    assert found.shape == (SIZE, SIZE, 3) and found[..., 2].min() > 127 and found[..., :2].std() > 1
    assert painted(mesh, 0).shape == (SIZE, SIZE, 3) and (painted(mesh, 0) == painted(plain, 0)).all()
    assert normal_map(plain) is None
    materials = []
    for path in (mesh, plain):
        fit = one_fit(path.with_suffix(".json"))
        glb = Glb(page_glb(stored_page(fit, result.model, "page"), "page"))
        materials.append(glb.document["materials"][0])
    assert "normalTexture" in materials[0] and "normalTexture" not in materials[1]
    mesh.write_bytes(mesh.read_bytes()[:300])
    if suffix != "obj":
        with pytest.raises(InputError, match=mesh.name):
            normal_map(mesh)


def test_a_glb_holds_the_normal_map_of_its_skin(result, tmp_path):
    paths = write_result(result, tmp_path / "face.glb", detail=True, texture_size=SIZE)
    assert [path.name for path in paths] == ["face.glb", "face_displacement.png", "face.json"]
    glb = Glb(paths[0].read_bytes())
    (material,) = glb.document["materials"]
    tangent = glb.attribute("TANGENT")  # without them each program makes its own
    assert (
        np.abs((tangent[:, :3] * glb.attribute("NORMAL", np.zeros(len(result.model.expression_names)))).sum(1)).max()
        < 1e-5
    )
    assert set(tangent[:, 3]) <= {-1.0, 1.0}
    image = glb.document["textures"][material["normalTexture"]["index"]]["source"]
    view = glb.document["bufferViews"][glb.document["images"][image]["bufferView"]]
    shown = normals_of(glb.binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]])
    # the ridge lies across the picture: above its crest skin looks up, below it down, nowhere aside
    face, bary = texels(result.model, SIZE)
    y = np.einsum("hwk,hwk->hw", bary, result.verts[:, 1][result.model.faces.numpy()[face]])
    slope = -0.5 * (y - 20) / 8**2 * np.exp(-((y - 20) ** 2) / 2 / 8**2)
    middle = slice(SIZE // 3, 2 * SIZE // 3)
    flat = vertex_normals(result.verts, result.model.faces.numpy())[:, 2][result.model.faces.numpy()[face]].mean(-1)
    facing = (flat > 0.9)[:, middle]
    assert np.corrcoef(shown[:, middle, 1][facing], -slope[:, middle][facing])[0, 1] > 0.98
    assert np.abs(shown[:, middle, 0][facing]).max() < 0.3 * shown[:, middle, 1][facing].max()

    about = json.loads((tmp_path / "face.json").read_text())["detail"]
    numbers = np.asarray(Image.open(tmp_path / about["displacement"]["files"][0]))
    assert numbers.dtype == np.uint16 and numbers.shape == (SIZE, SIZE)
    tenths = about["displacement"]["scale"] * numbers.astype(float) + about["displacement"]["offset"]
    assert tenths.max() / 10 == pytest.approx(0.5, abs=0.01)


def test_an_obj_names_the_map_and_a_finer_one_has_the_relief(result, tmp_path):
    paths = write_result(result, tmp_path / "face.obj", detail=True, subdivide=1, texture_size=SIZE)
    assert tmp_path / "face_normals.png" in paths and paths == FileStyle(detail=True).paths(tmp_path / "face.obj")
    library = (tmp_path / "face.mtl").read_text()
    assert "\nnorm face_normals.png\n" in library and "face_normals.png" in library.split("map_Bump")[1]
    lines = (tmp_path / "face.obj").read_text().splitlines()
    verts = np.array([line.split()[1:] for line in lines if line.startswith("v ")], float)
    count = len(result.verts)
    assert sum(line.startswith("f ") for line in lines) == 4 * len(result.model.faces)
    document = json.loads((tmp_path / "face.json").read_text())
    assert document["mesh"]["vertices"] == len(verts) > 3 * count and document["detail"]["levels"] == 1
    moved = verts[:count] - result.verts
    y = result.verts[:, 1]
    wanted = 0.5 * np.exp(-((y - 20) ** 2) / 2 / 8**2)
    # the model's own vertices come first, moved along their normals
    inner = np.abs(result.model.uv.numpy() - 0.5).max(1) < 0.45
    assert np.abs(np.linalg.norm(moved, axis=1) - wanted)[inner].max() < 0.05
    # what the mesh has, the map has no more
    left = normals_of((tmp_path / "face_normals.png").read_bytes())
    write_result(result, tmp_path / "plain.obj", detail=True, texture_size=SIZE)
    assert left[..., 1].std() < 0.7 * normals_of((tmp_path / "plain_normals.png").read_bytes())[..., 1].std()


def test_a_finer_glb_keeps_its_expressions(result, tmp_path):
    write_result(result, tmp_path / "plain.glb", texture_size=16)
    write_result(result, tmp_path / "fine.glb", detail=True, subdivide=1, texture_size=SIZE)
    plain, fine = (Glb((tmp_path / name).read_bytes()) for name in ("plain.glb", "fine.glb"))
    names = [glb.document["meshes"][0]["extras"]["targetNames"] for glb in (plain, fine)]
    assert names[0] == names[1] == list(result.model.expression_names)
    weights = np.array([1.0, 0.0, 0.5])
    moves = [glb.shown(weights) - glb.shown(np.zeros(3)) for glb in (plain, fine)]
    near = [np.linalg.norm(move, axis=1).max() for move in moves]
    assert near[1] == pytest.approx(near[0], rel=0.05)


def test_what_cannot_hold_detail_is_refused(result, tmp_path):
    with pytest.raises(OutputError, match=r"face\.ply: a \.ply has no texture coordinates"):
        write_result(result, tmp_path / "face.ply", detail=True)
    with pytest.raises(OutputError, match=r"finer mesh is written as \.obj or \.glb"):
        write_result(result, tmp_path / "face.html", detail=True, subdivide=1)
    with pytest.raises(ValueError, match="detail=True"):
        write_result(result, tmp_path / "face.glb", subdivide=1)
    assert not list(tmp_path.iterdir())


def test_heights_as_numbers_and_exr():
    height = np.array([[0.0, 0.1], [-0.25, 9.0]], np.float32)
    numbers = heights_as_numbers(height)
    np.testing.assert_allclose((SCALE * numbers.astype(float) + OFFSET) / 10, [[0, 0.1], [-0.25, 3.2767]], atol=1e-4)
    exr = pytest.importorskip("OpenEXR")
    data = exr_bytes(height)
    assert data[:4] == bytes((0x76, 0x2F, 0x31, 0x01))
    with exr.File(io.BytesIO(data)) as file:
        np.testing.assert_array_equal(file.channels()["Y"].pixels, height)


def test_the_relief_of_a_toy_photo_is_small(toy_model):
    """Its paint is no shape, and without a light from aside nothing turns."""
    made = relief(synthetic_result(toy_model), 64)
    assert made.size == 64 and made.grid.count > 500 and np.isfinite(made.slope).all()
    assert np.abs(made.height).max() < 1.0 and 0 <= made.shown <= 1
    assert relief(made_again := synthetic_result(toy_model), 64).height.shape == made.height.shape
    assert relief(made_again.with_expression(unit0=1.0), 64) is relief(made_again, 64)
