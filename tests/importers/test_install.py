"""An original becomes a model file: the default head, stripped of all that a stranger's mesh lacks, is found again."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.toy_model import toy_arrays

from facefit.anatomy.landmarks import FACE_OVAL, LIPS_INNER
from facefit.anatomy.parts import LABEL, PARTS
from facefit.errors import ModelError
from facefit.importers import install as module
from facefit.importers.appearance import Pieces, transferred_albedo
from facefit.importers.install import install_arrays, opened_mouth, without_eye_turns
from facefit.model.model_file import from_arrays
from facefit.model.source import Joints, SourceDecoder, SourceModel

SHIFT = np.array([37.0, 1510.0, -12.0], np.float32)  # a head at the height it has on a body


@pytest.fixture(scope="module")
def donor(default_model):
    return default_model


def stripped(model, **changes) -> SourceModel:
    """The default head as a file of a publisher who says nothing but shape: no colours, no texture coordinates."""
    some = slice(0, 10)
    values = dict(
        name="stranger",
        version="1",
        license="MIT",
        provenance={"source": "a test"},
        verts=model.verts.numpy() + SHIFT,
        faces=model.faces.numpy(),
        identity_basis=model.identity_basis[some].numpy(),
        expression_basis=model.expression_basis.numpy(),
        expression_names=model.expression_names,
        activation=True,
        eyeball=model.eyeball.numpy(),
        label_hint=np.where(model.vertex_label == LABEL["mouth_inside"], LABEL["mouth_inside"], 0),
    )
    return SourceModel(**(values | changes))


def few_looks(verts, opened, colours, real=module.neutral_looks):
    """The whole set of views takes minutes."""
    looks = real(verts, opened, colours[:1])
    return [look for look in looks if abs(look[1]["yaw"]) <= 10 and look[1]["pitch"] <= 0][:4]


@pytest.fixture(scope="module")
def arrays(donor):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "neutral_looks", few_looks)
        atlas = donor.uv.numpy(), donor.uv_faces.numpy()
        patch.setattr(module, "texture_atlas", lambda verts, faces, front: atlas)  # slow; has its tests
        return install_arrays(stripped(donor), renders=0, donor=donor)


def test_it_is_a_model_file(arrays):
    model = from_arrays(arrays)
    assert model.name == "stranger" and model.license == "MIT" and model.provenance == {"source": "a test"}
    assert model.sizes == {"identity": 10, "expression": 52, "albedo": 40, "joints": 0}


def test_the_origin_is_between_the_eyes(arrays, donor):
    assert np.allclose(arrays["verts"], donor.verts.numpy(), atol=0.6)


def test_landmarks_are_found_again(arrays, donor):
    model = from_arrays(arrays)
    there = model.landmarks(donor.verts[None])[0]
    expected = donor.landmarks(donor.verts[None])[0]
    distance = (there - expected).norm(dim=1)
    inside = [k for k in range(468) if k not in FACE_OVAL and k not in LIPS_INNER]
    assert distance[inside].median() < 1.5 and distance[inside].quantile(0.95) < 6


def test_parts_are_found_again(arrays, donor):
    """The eight parts of PRDL, by surface: intersection over union of the vertices' areas."""
    verts, faces = donor.verts.numpy(), donor.faces.numpy()
    side = verts[faces]
    area = np.linalg.norm(np.cross(side[:, 1] - side[:, 0], side[:, 2] - side[:, 0]), axis=1)
    weight = np.bincount(faces.ravel(), np.repeat(area, 3), minlength=len(verts))
    mine, theirs = arrays["vertex_label"], donor.vertex_label.numpy()
    for name in PARTS:
        a, b = mine == LABEL[name], theirs == LABEL[name]
        # those are thin, or curl inwards, and seen in few views here
        least = {"brow": 0.2, "lip": 0.35}.get(name.split("_")[-1], 0.7)
        assert weight[a & b].sum() / weight[a | b].sum() > least, name


def test_colours_are_the_donors(arrays, donor):
    visible = np.isin(donor.vertex_label.numpy(), [LABEL[name] for name in PARTS])
    difference = np.abs(arrays["albedo_mean"] - donor.albedo_mean.numpy())[visible]
    assert np.median(difference) < 0.02 and arrays["albedo_basis"].shape[0] == 40


def test_symmetry_and_eyes(arrays, donor):
    verts = arrays["verts"]
    mirrored = verts[arrays["symmetry"]] * [-1, 1, 1]
    assert np.abs(mirrored - verts).max() < 0.5
    for eye in (1, 2):
        ball = arrays["eyeball"] == eye
        assert arrays["eyeball_weight"][ball].sum() == pytest.approx(1, abs=1e-4)
    model = from_arrays(arrays)
    gaze = torch.full((1, 2, 2), 0.2)
    none = torch.zeros(1, 10), torch.zeros(1, 52)
    turned = model.shape(*none, gaze)[0] - model.shape(*none)[0]
    assert turned[model.eyeball == 0].abs().max() == 0 and turned[model.eyeball == 1].norm(dim=1).max() > 1


def test_texture_coordinates_fit(arrays):
    assert arrays["uv_faces"].shape == arrays["faces"].shape and 0 <= arrays["uv"].min() <= arrays["uv"].max() <= 1


def test_no_face_is_one_line(donor, monkeypatch):
    monkeypatch.setattr(module, "neutral_looks", few_looks)

    class Blind:
        def detect(self, image):
            return []

    source = stripped(donor, eyeball=None)
    with pytest.raises(ModelError, match="stranger: no face is seen"):
        install_arrays(source, detector=Blind(), donor=donor, renders=0)
    with pytest.raises(ModelError, match="stranger: .*seen in none of"):
        install_arrays(stripped(donor), detector=Blind(), donor=donor, renders=0)


def test_ways_to_open_a_mouth(donor):
    source = stripped(donor)
    jaw = opened_mouth(source, None) - source.verts
    assert jaw[:, 1].min() < -10  # by jawOpen
    names = tuple(f"pc{k}" for k in range(52))
    assert opened_mouth(replace(source, expression_names=names), None) is None  # no telling before landmarks are known
    low = np.clip((-40 - (source.verts - SHIFT)[:, 1]) / 20, 0, 1)
    joints = Joints(
        ("root", "jaw"), np.array([-1, 0]), np.array([[0, -80, -60], [0, -20, -40]]) + SHIFT, np.zeros((10, 2, 3)),
        np.stack([1 - low, low], 1),
    )  # fmt: skip
    by_joint = opened_mouth(replace(source, expression_names=names, joints=joints), None) - source.verts
    assert by_joint[low == 1, 1].min() < -10 and not by_joint[low == 0].any()
    face, bary = donor.landmark_faces.numpy(), donor.landmark_bary.numpy()
    stage = module.Stage(replace(source, expression_names=names, activation=False), None, None, face, bary)
    move = opened_mouth(stage.source, stage) - source.verts
    lips = (move[source.faces[face[[0, 17]]]] * bary[[0, 17]][:, :, None]).sum(1)
    assert lips[0, 1] - lips[1, 1] > 5  # the components that move the lips apart, together


def test_units_that_turn_eyes_leave_them_to_the_gaze(donor):
    basis = donor.expression_basis.numpy().copy()
    look = donor.expression_names.index("eyeLookUpLeft")
    basis[look, donor.eyeball.numpy() == 2] = 3.0
    clean = without_eye_turns(stripped(donor, expression_basis=basis))
    assert not clean.expression_basis[look, donor.eyeball.numpy() == 2].any()
    assert (clean.expression_basis[look, donor.eyeball.numpy() == 0] == basis[look, donor.eyeball.numpy() == 0]).all()


def test_colours_on_a_mask_without_eyeballs(donor):
    """A surface that is closed over the eyes takes the eyes' colours too."""
    verts = donor.verts.numpy().astype(float)
    points = donor.landmarks(donor.verts[None])[0].numpy().astype(float)
    none = np.zeros(len(verts), int)
    mean, basis = transferred_albedo(verts, points, Pieces(none, none > 0), donor)
    iris = (donor.albedo_mean.numpy().sum(1) < 0.2) & (donor.eyeball.numpy() > 0)
    assert iris.any() and np.abs(mean - donor.albedo_mean.numpy())[iris].max() < 0.05
    assert basis.shape == donor.albedo_basis.shape


def test_provenance_is_json(arrays):
    assert json.loads(str(arrays["provenance"])) == {"source": "a test"}


def test_a_decoder_goes_into_the_model_file():
    """Beside its linearisation, and where the mean face was moved to."""
    pytest.importorskip("onnx")
    from training.decoder.linear import as_decoder

    toy = toy_arrays()
    decoded = as_decoder(toy)
    given = {name: toy[name] for name in ("verts", "faces", "identity_basis", "expression_basis", "albedo_mean")}
    network = SourceDecoder(decoded["decoder_network"].tobytes(), np.eye(3), {"identity": (np.zeros(4), np.eye(4))})
    source = SourceModel(
        "net", "1", "MIT", **given, expression_names=("a", "b", "c"), activation=True, decoder=network,
        uv=toy["uv"], uv_faces=toy["uv_faces"],
    )  # fmt: skip
    moved = module.shifted(source, np.array([0.0, 7.0, 0.0]))
    pieces = Pieces(np.zeros(len(toy["verts"]), int), np.zeros(len(toy["verts"]), bool))
    stage = module.Stage(moved, pieces, toy["symmetry"], toy["landmark_faces"], toy["landmark_bary"])
    weight = np.eye(len(PARTS) + 3)[toy["vertex_label"]]
    model = from_arrays(
        module._arrays(stage, toy["uv"], toy["uv_faces"], toy["albedo_mean"], toy["albedo_basis"], weight,
                       toy["contour_rows"], toy["contour_landmarks"])
    )  # fmt: skip
    assert model.decoder is not None and set(model.decoder.priors) == {"identity"}
    identity, expression = torch.tensor([[1.0, -2.0, 0.5, 0.0]]), torch.tensor([[0.5, 0.0, 1.0]])
    expected = from_arrays(toy).shape(identity, expression) + torch.tensor([0.0, 7.0, 0.0])
    assert (model.shape(identity, expression) - expected).abs().max() < 0.02
