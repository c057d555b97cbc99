"""Somebody who is known: a fit of one photo, or a person of several."""

import json
from types import SimpleNamespace

import pytest
import torch
from helpers.synthetic_result import synthetic_result

from facefit.errors import InputError
from facefit.output.write import write_result
from facefit.person.reference import read_reference


@pytest.fixture
def person_file(toy_model, tmp_path):
    """A document with what a reference needs."""
    document = {
        "format": "facefit-person", "format_version": 1, "mesh": {"file": "ann.glb"},
        "model": {"name": "toy", "version": "1", "checksum": toy_model.checksum, "sizes": toy_model.sizes},
        "identity": [0.5] * toy_model.sizes["identity"], "albedo": [-1.0] * toy_model.sizes["albedo"],
    }  # fmt: skip
    path = tmp_path / "ann.json"

    def write(**changes):
        path.write_text(json.dumps(document | changes))
        return path

    return SimpleNamespace(write=write, path=path)


def test_a_person_is_a_reference(person_file, toy_model):
    found = read_reference(person_file.write().with_suffix(".glb")).load(toy_model)
    assert found.identity.shape == (1, toy_model.sizes["identity"])
    assert (found.identity == 0.5).all() and (found.albedo == -1).all()
    (person_file.path.parent / "ann.glb").write_bytes(b"")
    assert {path.name for path in read_reference(person_file.path).files()} == {"ann.json", "ann.glb"}


def test_a_fit_is_a_reference(toy_model, tmp_path):
    result = synthetic_result(toy_model)
    write_result(result, tmp_path / "ann.obj")
    found = read_reference(tmp_path / "ann.obj").load(toy_model)
    assert torch.allclose(found.identity, result.parameters.identity, atol=1e-4)


def test_what_is_no_reference_says_why(person_file, toy_model, tmp_path):
    for changes, words in (
        ({"format_version": 9}, "format 9"), ({"identity": "x"}, "identity"), ({"mesh": {"file": "../a"}}, "mesh.file"),
        ({"format": "other"}, "not a facefit result"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words):
            read_reference(person_file.write(**changes))
    for changes, words in (({"albedo": [1.0]}, "albedo has 1 numbers"), ({"model": {"name": "b", "version": "1",
                           "checksum": "0", "sizes": {}}}, "face model b 1")):  # fmt: skip
        with pytest.raises(InputError, match=words):
            read_reference(person_file.write(**changes)).load(toy_model)
    with pytest.raises(InputError, match="no fit"):
        read_reference(tmp_path / "gone.json")
