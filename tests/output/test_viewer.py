"""The page of a fit: what is inside, whatever its names are, and that it comes out again."""

import base64
import gzip
import io
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.command_line import error_line, facefit
from helpers.gltf_reader import Glb
from helpers.synthetic_result import synthetic_result
from helpers.toy_model import toy_arrays
from helpers.viewer_page import about
from PIL import Image

from facefit.anatomy.measures import MEASURES, measured
from facefit.anatomy.parts import COLOURS
from facefit.batch.manifest import Record
from facefit.errors import InputError
from facefit.geometry.camera import Camera, project
from facefit.model.model_file import load_model, save_arrays
from facefit.output.read_back import find_fits
from facefit.output.read_texture import painted
from facefit.output.stored_page import stored_page
from facefit.output.viewer import page_glb
from facefit.output.write import write_result

NAME = "<script><b>@glb@"


@pytest.fixture(scope="module")
def result(toy_model):
    return replace(synthetic_result(toy_model, yaw=0.3), photo_path=f"/photos/{NAME}.png")


@pytest.fixture(scope="module")
def page(result, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "face.html"
    assert [written.name for written in write_result(result, path, texture_size=64)] == ["face.html", "face.json"]
    return path


def unpacked(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(gzip.decompress(base64.b64decode(text)), kind)


def test_names_stay_text(page):
    text = page.read_text()
    assert "<b>" not in text and text.count('id="glb">') == 1
    assert "&lt;script&gt;&lt;b&gt;@glb@.png</title>" in text
    assert not re.findall(r"\bsrc=|href=", text.split("<script")[0].split("</style>")[0])  # nothing is fetched
    assert "default-src 'none'" in text


def test_the_head_and_its_texture_come_out_again(page, result, tmp_path):
    glb = Glb(page_glb(page.read_bytes(), "page"))
    assert glb.document["meshes"][0]["extras"]["targetNames"] == list(result.model.expression_names)
    write_result(result, tmp_path / "face.glb", texture_size=64)
    known, found = (painted(path, len(result.model.verts)).astype(int) for path in (tmp_path / "face.glb", page))
    assert np.abs(known - found).mean() < 3  # a JPEG of it
    assert find_fits([page])[0].mesh == page


@pytest.mark.parametrize("space", ["model", "camera"])
def test_landmarks_of_the_page_lie_on_the_photo_of_the_page(result, space, tmp_path):
    """Rest, moves, weights and the photo's camera together give the pixels that the scene gives."""
    write_result(result, tmp_path / "face.html", texture_size=16, space=space)
    found = about((tmp_path / "face.html").read_bytes())
    landmarks, (shot,) = found["landmarks"], found["photos"]
    points = unpacked(landmarks["rest"], "<f4").reshape(-1, 3).astype(float)
    moves = unpacked(landmarks["moves"], "<i2").reshape(-1, len(points), 3) * landmarks["step"]
    points += np.tensordot(result.parameters.expression[0].numpy(), moves, 1)
    camera = shot["camera"]
    points = torch.from_numpy(points @ np.array(camera["R"]).T + camera["t"])[None]
    lens = torch.tensor([[camera["fx"], camera["fy"]]]), torch.tensor([[camera["cx"], camera["cy"]]])
    pixels = project(points, Camera(*(value.double() for value in lens)))[0].numpy()
    known = project(result.scene.surface_landmarks(), result.camera)[0].numpy()  # of the whole photo
    size = np.array([shot["width"], shot["height"]])
    scale = (pixels[1] - pixels[0]) / (known[1] - known[0])
    assert np.allclose(np.diff(pixels, axis=0), np.diff(known, axis=0) * scale, atol=0.2)
    head = np.array([known.min(0), known.max(0)])
    assert ((pixels > 0) & (pixels < size)).all() and (np.ptp(pixels, 0) > 0.4 * np.ptp(head, 0)).all()


def test_measures_are_of_the_face_at_rest(page, result):
    rest = result.model.shape(result.parameters.identity, torch.zeros_like(result.parameters.expression))
    known = measured(result.model.landmarks(rest)[0].double().numpy())
    rows = {row["name"]: row for row in about(page.read_bytes())["measures"]}
    assert list(rows) == list(MEASURES) and rows["face breadth"]["mm"] == pytest.approx(known["face breadth"])
    assert (
        measured(np.eye(478, 3) * 0 + np.arange(478)[:, None] * (1, 0, 0))["face breadth"]
        == 454 - 234 + (356 - 127 - (454 - 234)) / 2
    )  # the mean of two points at either end


def test_what_is_no_page():
    with pytest.raises(InputError, match="x: not a page"):
        page_glb(b"<html></html>", "x")
    whole = gzip.compress(b"glTF" * 100)
    for data, words in ((b"glTF", "damaged"), (whole[:-9], "cut off"), (whole[:12] + bytes(5) + whole[17:], "damaged")):
        page = b'<script type="text/plain" id="glb">' + base64.b64encode(data) + b"</script>"
        with pytest.raises(InputError, match=f"x: .*{words}"):
            page_glb(page, "x")


def test_a_page_unpacks_to_so_much_and_no_more(monkeypatch):
    monkeypatch.setattr("facefit.output.viewer.LARGEST_GLB", 1000)
    page = b'<script type="text/plain" id="glb">' + base64.b64encode(gzip.compress(bytes(10_000))) + b"</script>"
    with pytest.raises(InputError, match="larger than"):
        page_glb(page, "x")


@pytest.mark.parametrize("suffix", [".obj", ".ply", ".glb", ".html"])
def test_written_fits_become_pages(result, suffix, tmp_path, monkeypatch):
    """With their photo and without, and with the texture that was written."""
    for module in ("stored_page", "viewer_face"):
        monkeypatch.setattr(f"facefit.output.{module}.MAP_SIZE", 256)
    photo = tmp_path / "photo.png"
    Image.fromarray(result.photo).save(photo)
    write_result(replace(result, photo_path=str(photo)), tmp_path / f"face{suffix}", texture_size=64)
    (fit,) = find_fits([tmp_path / "face.json"])
    found = about(stored_page(fit, result.model, "face"))
    assert len(found["photos"]) == 1 and set(found["maps"]) == {"albedo", "parts"}
    assert found["numbers"][0] == ["landmark error", "1.7 % of the eye distance"]
    with Image.open(io.BytesIO(base64.b64decode(found["maps"]["parts"].partition(",")[2]))) as picture:
        colours = {colour for _, colour in picture.convert("RGB").getcolors()}
    assert colours >= {tuple(COLOURS[label].tolist()) for label in set(result.model.vertex_label.tolist())}
    photo.unlink()
    page = tmp_path / "page.html"
    page.write_bytes(stored_page(fit, result.model, "face"))
    assert about(page.read_bytes())["photos"] == []
    written, shown = (painted(path, len(result.model.verts)) for path in (fit.mesh, page))
    if suffix != ".ply":
        assert np.abs(shown.astype(int) - written).mean() < 3
    else:  # colours of vertices become a picture
        assert np.abs(np.median(shown.reshape(-1, 3), 0) - np.median(written, 0)).max() < 40


def test_the_command(result, tmp_path):
    """Beside the result under its name; never over it."""
    save_arrays(tmp_path / "toy.npz", toy_arrays())
    result = replace(result, model=load_model(tmp_path / "toy.npz"), photo_path="")
    toy = ("--model", tmp_path / "toy.npz")
    write_result(result, tmp_path / "face.obj", texture_size=16)
    ran = facefit("view", tmp_path / "face.obj", *toy)
    assert ran.exit_code == 0, ran.output
    assert ran.output.strip() == str(tmp_path / "face.html") and (tmp_path / "face.html").is_file()
    write_result(result, tmp_path / "own.html", texture_size=16)
    error_line(facefit("view", tmp_path / "own.json", *toy), 2, "own.html")
    error_line(facefit("view", tmp_path / "face.obj", "-o", tmp_path / "face.png"), 2, ".html")
    error_line(facefit("view", tmp_path), 4, "manifest.jsonl")
    error_line(facefit("view", tmp_path / "face.obj", *toy, "--pages"), 2, "--pages")
    error_line(facefit("view", tmp_path / "none.json"), 4, "none.json")


def test_a_batch_gets_its_pages(result, tmp_path):
    """Those that are missing; a damaged result is named and the rest goes on."""
    save_arrays(tmp_path / "toy.npz", toy_arrays())
    result = replace(result, model=load_model(tmp_path / "toy.npz"), photo_path="")
    out = tmp_path / "out"
    out.mkdir()
    faces = []
    for name in ("ann", "bob", "eve"):
        write_result(result, out / f"{name}.glb", texture_size=16)
        faces.append(Record(f"{name}.jpg", 1, 1.0, "done", faces=[{"face": 1, "mesh": f"{name}.glb"}]).line())
    (out / "manifest.jsonl").write_text("".join(faces))
    (out / "bob.html").write_text("as it was")
    (out / "eve.glb").write_bytes(b"damaged")
    ran = facefit("view", out, "--pages", "--model", tmp_path / "toy.npz")
    assert ran.exit_code == 0 and ran.output.count("left out") == 1 and "eve.glb" in ran.output
    assert (out / "bob.html").read_text() == "as it was" and about((out / "ann.html").read_bytes())["file"] == "ann.glb"
    sheet = (out / "sheet.html").read_text()
    assert '"ann.html"' in sheet and '"bob.html"' in sheet and "eve.html" not in sheet
