"""The networks' files: those of data/networks.sha256, with their origin in them, and the same answer for any batch."""

import hashlib

import numpy as np
import onnx
import pytest

from facefit.bundled import bundled
from facefit.errors import FaceFitError
from facefit.observe import face_networks
from facefit.observe.face_mesh import FaceMesh
from facefit.observe.face_networks import FILES, load_face_networks
from facefit.observe.onnx_session import load_session
from facefit.observe.segment.person import FILE


def test_files_are_those_of_the_list():
    listed = dict(line.split()[::-1] for line in bundled("networks.sha256").read_text().splitlines())
    assert set(listed) == {*FILES, FILE}
    for name, expected in listed.items():
        assert hashlib.sha256(bundled(name).read_bytes()).hexdigest() == expected, name
    assert sum(bundled(name).stat().st_size for name in FILES) < 4e6 and bundled(FILE).stat().st_size < 0.25e6


@pytest.mark.parametrize("name", [*FILES, FILE])
def test_each_file_says_whose_it_is(name):
    model = onnx.load(bundled(name))
    properties = {item.key: item.value for item in model.metadata_props}
    assert properties["license"] == "Apache-2.0" and properties["copyright"] == "Copyright The MediaPipe Authors"
    assert properties["source"].startswith("converted to ONNX by facefit from ") and ".tflite" in properties["source"]
    assert len(properties["source_sha256"]) == 64
    for part in ("license", "copyright", "source"):
        assert properties[part] in model.doc_string


def test_a_face_gets_the_same_answer_alone_and_among_others():
    session = load_session(bundled("face_mesh.onnx"))
    crops = np.random.default_rng(0).uniform(size=(5, 192, 192, 3)).astype(np.float32)
    together = session.run(None, {"image": crops})
    for number in range(len(crops)):
        alone = session.run(None, {"image": crops[number : number + 1]})
        assert all(np.array_equal(one[0], many[number]) for one, many in zip(alone, together, strict=True))


def test_irises_are_as_deep_as_their_eyes():
    """The mesh's own landmarks of an eye give the depth of the iris, each side its own."""
    networks = load_face_networks()
    assert isinstance(networks.mesh, FaceMesh)
    picture = np.random.default_rng(0).uniform(size=(1, 192, 192, 3)).astype(np.float32)
    points = load_session(bundled("face_mesh.onnx")).run(["landmarks"], {"image": picture})[0][0]
    for iris, contour in (
        (range(468, 473), (33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173)),
        (range(473, 478), (263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398)),
    ):
        assert points[list(iris), 2] == pytest.approx(np.full(5, points[list(contour), 2].mean()), abs=1e-4)


def test_a_missing_file_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(face_networks, "bundled", lambda name: tmp_path / name)
    with pytest.raises(FaceFitError, match="face_detector_short.onnx: no such file; `make networks` makes it"):
        load_face_networks()
