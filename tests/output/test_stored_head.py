"""Pages of conversions and persons: their GLB as it is, and photos under the cameras of their JSON."""

import json
from dataclasses import replace

import numpy as np
import pytest
from helpers.synthetic_result import synthetic_result
from helpers.viewer_page import about
from PIL import Image

from facefit.errors import InputError
from facefit.output.document import reproject
from facefit.output.stored_head import find_head, head_page, read_glb
from facefit.output.viewer import page_glb
from facefit.output.viewer_face import album
from facefit.output.write import write_result


@pytest.fixture
def written(toy_model, tmp_path):
    """A GLB and a JSON, as a person of two photos has them, one of which is gone."""
    result = replace(synthetic_result(toy_model, yaw=0.3), photo_path=str(tmp_path / "photo.png"))
    Image.fromarray(result.photo).save(tmp_path / "photo.png")
    write_result(result, tmp_path / "ann.glb", texture_size=16)
    document = json.loads((tmp_path / "ann.json").read_text())
    seen = {"camera": document["camera"], "photo": document["photo"], "parameters": {"expression": [0.5, 0.25, 0.0]}}
    gone = seen | {"photo": seen["photo"] | {"path": str(tmp_path / "gone.png")}}
    kept = {name: document[name] for name in ("mesh", "model", "landmarks7")}
    person = {"format": "facefit-person", **kept, "photos": [seen, gone]}
    (tmp_path / "ann.json").write_text(json.dumps(person))
    return tmp_path, person, result


def test_a_person(written):
    folder, person, result = written
    head = find_head(folder / "ann.glb")
    page = head_page(head, "ann")
    assert page_glb(page, "page") == (folder / "ann.glb").read_bytes()
    found = about(page)
    (shot,) = found["photos"]
    assert shot["weights"] == {"unit0": 0.5, "unit1": 0.25, "unit2": 0.0} and found["shapes"] == list(shot["weights"])
    # the same points of the mesh in the photo and in the part of it that the page shows
    whole = reproject(person["photos"][0], np.array(person["landmarks7"]))
    part = reproject({"camera": shot["camera"]}, np.array(person["landmarks7"]))
    assert ((part > 0) & (part < (shot["width"], shot["height"]))).all()
    assert np.allclose(np.diff(part, axis=0), np.diff(whole, axis=0), atol=1e-6)  # cut out, not scaled: it is small


def test_a_conversion_has_one_photo(written):
    folder, person, _ = written
    converted = {name: person[name] for name in ("mesh", "model", "landmarks7")} | person["photos"][0]
    (folder / "ann.json").write_text(json.dumps(converted | {"format": "facefit-conversion"}))
    assert len(about(head_page(find_head(folder / "ann.json"), "ann"))["photos"]) == 1


def test_what_cannot_be_shown(written):
    folder, person, _ = written
    path = folder / "ann.json"
    for changed, words in (
        ({"mesh": {"file": "ann.obj"}}, "ann.obj.*glb and .html can be shown"),
        ({"mesh": {"file": "other.glb"}}, "other.glb: no such file"),
        ({"landmarks7": "none"}, "landmarks7"),
        ({"photos": [{"camera": {}}]}, r"photos\[0\]"),
    ):
        path.write_text(json.dumps(person | changed))
        with pytest.raises(InputError, match=words):
            find_head(path)
    path.write_text(json.dumps(person | {"format": "facefit-result"}))
    assert find_head(path) is None and find_head(folder / "nothing.json") is None
    glb = (folder / "ann.glb").read_bytes()
    for data, words in (
        (b"", "not a GLB"), (glb[:30], "not a GLB"), (glb.replace(b'"byteLength"', b'"uri":1,   "', 1), "not a GLB"),
    ):  # fmt: skip
        (folder / "ann.glb").write_bytes(data)
        with pytest.raises(InputError, match=f"ann.glb: {words}"):
            read_glb(folder / "ann.glb")


def test_an_album_has_twelve_from_the_first_to_the_last():
    assert album(3) == [0, 1, 2] and album(0) == []
    many = album(200)
    assert len(many) == 12 and many[0] == 0 and many[-1] == 199 and np.ptp(np.diff(many)) <= 1
