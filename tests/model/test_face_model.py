"""The model and its file: every damage is one line that names the array; a rebuild gives the same bytes."""

import io
import json
import zipfile

import numpy as np
import pytest
import torch
from helpers.toy_model import subdivided, toy_arrays

from facefit.errors import ModelError
from facefit.model.face_model import FaceModel
from facefit.model.model_file import from_arrays, load_model, save_arrays

ARRAYS = sorted(toy_arrays())
NUMBERS = [name for name in ARRAYS if toy_arrays()[name].dtype.kind == "f"]
PER_VERTEX = ("symmetry", "vertex_label", "eyeball")
INDICES = ("faces", "uv_faces", "symmetry", "eyeball", "landmark_faces", "contour_rows", "contour_landmarks",
           "vertex_label")  # fmt: skip


def refused(arrays) -> str:
    with pytest.raises(ModelError) as caught:
        from_arrays(arrays, where="some.npz")
    text = str(caught.value)
    assert text.startswith("some.npz: ") and "\n" not in text
    return text


@pytest.mark.parametrize("name", ARRAYS)
def test_a_missing_array_is_named(name):
    arrays = toy_arrays()
    del arrays[name]
    assert name in refused(arrays)


@pytest.mark.parametrize("name", [n for n in ARRAYS if toy_arrays()[n].ndim])
def test_a_wrong_shape_is_named(name):
    arrays = toy_arrays()
    for damaged in (arrays[name][..., None], arrays[name].reshape(-1)[:-1], arrays[name][()].reshape(-1)[0]):
        text = refused(arrays | {name: np.asarray(damaged)})
        # where two arrays must agree, either may be named
        partner = {"verts": "basis", "expression_names": "expression_basis", "landmark_yaw": "landmark_bias",
                   "landmark_faces": "landmark_bary", "faces": "uv_faces", "contour_rows": "contour_landmarks",
                   "contour_landmarks": "contour_rows"}.get(name, name)  # fmt: skip
        assert name in text or partner in text, text


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_numbers_that_are_not_finite(name, wrong):
    arrays = toy_arrays()
    arrays[name] = arrays[name].copy()
    arrays[name].flat[-1] = wrong
    text = refused(arrays)
    assert name in text and "finite" in text


@pytest.mark.parametrize("wrong", [1e300, -2e6])
def test_numbers_that_a_fit_cannot_work_with(wrong):
    arrays = toy_arrays()
    arrays["verts"] = arrays["verts"].astype(np.float64)
    arrays["verts"].flat[-1] = wrong
    assert f"verts holds values of {abs(wrong):.3g}; accepted: up to 1e+06" in refused(arrays)


@pytest.mark.parametrize("name", INDICES)
@pytest.mark.parametrize("wrong", [-2, 10**6])
def test_indices_out_of_range(name, wrong):
    arrays = toy_arrays()
    arrays[name] = arrays[name].astype(np.int64)
    arrays[name].flat[0] = wrong
    assert name in refused(arrays)


@pytest.mark.parametrize("name", [n for n in ARRAYS if toy_arrays()[n].dtype.kind in "iu"])
def test_indices_must_be_whole_numbers(name):
    arrays = toy_arrays()
    arrays[name] = arrays[name] + 0.5
    assert name in refused(arrays)


def test_text_where_numbers_belong():
    arrays = toy_arrays()
    assert "verts" in refused(arrays | {"verts": np.array([["a", "b", "c"]])})
    assert "format" in refused(arrays | {"format": np.str_("one")})


def test_another_format_is_refused():
    assert "format 2; this version reads format 1" in refused(toy_arrays() | {"format": np.int64(2)})


def test_what_the_words_may_be():
    assert "expression_kind is 'blend'" in refused(toy_arrays() | {"expression_kind": np.str_("blend")})
    assert "provenance is not JSON" in refused(toy_arrays() | {"provenance": np.str_("{")})


def test_a_row_of_the_outline_has_a_vertex():
    arrays = toy_arrays()
    rows = arrays["contour_rows"].copy()
    rows[0, 1:] = -1
    from_arrays(arrays | {"contour_rows": rows})
    rows[0] = -1
    assert "contour_rows holds rows without a vertex" in refused(arrays | {"contour_rows": rows})


def test_calibration_must_be_positive_definite_and_its_bins_increase():
    arrays = toy_arrays()
    covariance = arrays["landmark_covariance"].copy()
    covariance[0, 5] = [[1.0, 2.0], [2.0, 1.0]]
    assert "landmark_covariance" in refused(arrays | {"landmark_covariance": covariance})
    double = {n: np.repeat(arrays[n], 2, 0) for n in ("landmark_yaw", "landmark_bias", "landmark_covariance")}
    assert "landmark_yaw" in refused(arrays | double)


@pytest.fixture
def path(tmp_path):
    save_arrays(tmp_path / "model.npz", toy_arrays())
    return tmp_path / "model.npz"


def test_round_trip(path, toy_model):
    model = load_model(path)
    arrays = toy_arrays()
    assert torch.equal(model.verts, torch.from_numpy(arrays["verts"]))
    assert torch.equal(model.landmark_covariance, toy_model.landmark_covariance)
    assert torch.equal(model.faces, toy_model.faces) and model.faces.dtype == torch.int64
    assert (model.name, model.version, model.license, model.provenance) == ("toy", "1", "CC0-1.0", {})
    assert model.expression_names == ("unit0", "unit1", "unit2") and model.activation
    assert model.sizes == {"identity": 4, "expression": 3, "albedo": 3, "joints": 0}
    assert len(model.checksum) == 64 and toy_model.checksum == ""


def test_the_same_arrays_give_the_same_bytes(path, tmp_path):
    arrays = toy_arrays()
    save_arrays(tmp_path / "again.npz", dict(reversed(arrays.items())))
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.npz", "model.npz"]


def test_an_unusable_model_is_not_written(path, tmp_path):
    before = path.read_bytes()
    with pytest.raises(ModelError):
        save_arrays(path, toy_arrays() | {"verts": np.zeros((2, 2))})
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def broken(path, text):
    with pytest.raises(ModelError) as caught:
        load_model(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value) and text in str(caught.value)


def test_files_that_are_no_model(path, tmp_path):
    broken(tmp_path / "absent.npz", "make model")
    broken(tmp_path, "directory")
    whole = path.read_bytes()
    for name, content in (("empty", b""), ("text", b"not a model"), ("half", whole[: len(whole) // 2])):
        (tmp_path / name).write_bytes(content)
        broken(tmp_path / name, "")
    np.save(tmp_path / "one.npy", np.zeros(3))
    broken(tmp_path / "one.npy", "")


def test_a_flipped_byte_is_noticed(path, tmp_path):
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("identity_basis.npy")
    data[member.header_offset + member.compress_size // 2] ^= 0xFF
    (tmp_path / "flipped.npz").write_bytes(data)
    broken(tmp_path / "flipped.npz", "")


class Bomb:
    """Unpickling this would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_pickled_objects_are_refused_and_never_run(path, tmp_path):
    arrays = toy_arrays() | {"provenance": np.array(Bomb(tmp_path / "ran"), dtype=object)}
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as archive:
        for name, value in arrays.items():
            stream = io.BytesIO()
            np.lib.format.write_array(stream, np.asanyarray(value), allow_pickle=True)
            archive.writestr(f"{name}.npy", stream.getvalue())
    broken(tmp_path / "bomb.npz", "pickled")
    assert not (tmp_path / "ran").exists()


# ---------------------------------------------------------------- subdivided models


def test_a_subdivided_model_equals_its_dense_form():
    one, two = (from_arrays(arrays) for arrays in subdivided())
    for name in ("verts", "identity_basis", "expression_basis", "albedo_mean", "albedo_basis"):
        assert torch.allclose(getattr(one, name), getattr(two, name), atol=1e-6), name
    identity, expression = torch.randn(2, 4), torch.rand(2, 3)
    assert torch.allclose(one.shape(identity, expression), two.shape(identity, expression), atol=1e-4)


@pytest.mark.parametrize("damage", ["range", "shape", "nan", "alone", "index type"])
def test_damaged_upsampling_is_named(damage):
    arrays, _ = subdivided()
    if damage == "range":
        arrays["upsample_index"] = arrays["upsample_index"] + np.uint16(1)
    elif damage == "shape":
        arrays["upsample_weight"] = arrays["upsample_weight"][:, :1]
    elif damage == "nan":
        arrays["upsample_weight"] = arrays["upsample_weight"] * np.nan
    elif damage == "alone":
        del arrays["upsample_weight"]
    else:
        arrays["upsample_index"] = arrays["upsample_index"].astype(float)
    assert "upsample" in refused(arrays)


# ---------------------------------------------------------------- what the model computes


def test_shape_and_albedo_are_linear_and_batches_do_not_mix(toy_model):
    assert torch.equal(toy_model.shape(torch.zeros(1, 4), torch.zeros(1, 3))[0], toy_model.verts)
    identity, expression = torch.zeros(3, 4), torch.zeros(3, 3)
    identity[1, 2], expression[2, 1] = 2.0, 0.5
    verts = toy_model.shape(identity, expression)
    assert torch.allclose(verts[1], toy_model.verts + 2 * toy_model.identity_basis[2], atol=1e-4)
    assert torch.allclose(verts[2], toy_model.verts + 0.5 * toy_model.expression_basis[1], atol=1e-4)
    tint = toy_model.albedo(torch.tensor([[0.0, -1.5, 0.0]]))
    assert torch.allclose(tint[0], toy_model.albedo_mean - 1.5 * toy_model.albedo_basis[1], atol=1e-6)


def test_landmarks_lie_on_their_triangles(toy_model):
    verts = toy_model.verts[None]
    points = toy_model.landmarks(verts)
    assert points.shape == (1, 478, 3)
    corner = verts[0, toy_model.faces[toy_model.landmark_faces]]
    normal = torch.linalg.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    offset = ((points[0] - corner[:, 0]) * torch.nn.functional.normalize(normal, dim=1)).sum(1)
    assert offset.abs().max() < 1e-4  # in the plane; and inside, for the weights are not negative and sum to 1
    assert torch.allclose(toy_model.landmark_bary.sum(1), torch.ones(478), atol=1e-5)


@pytest.fixture
def with_eyes():
    arrays = toy_arrays()
    eyeball = np.zeros(len(arrays["verts"]), np.uint8)
    eyeball[[20, 21, 37, 38]], eyeball[[30, 31, 47, 48]] = 1, 2
    return from_arrays(arrays | {"eyeball": eyeball})


def test_gaze_turns_the_eyeballs_about_their_centres_and_nothing_else(with_eyes):
    gaze = torch.tensor([[[0.3, 0.0], [0.0, 0.2]]])
    still = with_eyes.shape(torch.zeros(1, 4), torch.zeros(1, 3))[0]
    moved = with_eyes.shape(torch.zeros(1, 4), torch.zeros(1, 3), gaze)[0]
    rest = with_eyes.eyeball == 0
    assert torch.equal(moved[rest], still[rest])
    for eye in (1, 2):
        ball, turned = still[with_eyes.eyeball == eye], moved[with_eyes.eyeball == eye]
        assert torch.allclose(turned.mean(0), ball.mean(0), atol=1e-4)
        assert torch.allclose(torch.cdist(turned, turned), torch.cdist(ball, ball), atol=1e-3)
        assert (turned - ball).norm(dim=1).max() > 0.5


def test_direction_of_gaze():
    arrays = toy_arrays()
    verts, eyeball = arrays["verts"].copy(), np.zeros(len(arrays["verts"]), np.uint8)
    verts[[0, 1]] = [-30, 0, 12], [-30, 0, -12]  # front and back pole of the right eye
    eyeball[[0, 1]] = 1
    model = from_arrays(arrays | {"verts": verts, "eyeball": eyeball})

    def pole(yaw, pitch):
        gaze = torch.tensor([[[yaw, pitch], [0.0, 0.0]]])
        return model.shape(torch.zeros(1, 4), torch.zeros(1, 3), gaze)[0, 0]

    assert torch.allclose(pole(np.pi / 2, 0.0), torch.tensor([-18.0, 0, 0]), atol=1e-4)  # to the subject's left, +x
    assert torch.allclose(pole(0.0, np.pi / 2), torch.tensor([-30.0, 12, 0]), atol=1e-4)  # up


def test_the_gradient_of_every_coefficient(with_eyes):
    identity = torch.randn(1, 4, requires_grad=True)
    expression = torch.rand(1, 3, requires_grad=True)
    gaze = torch.zeros(1, 2, 2, requires_grad=True)
    (with_eyes.shape(identity, expression, gaze) * torch.randn(1, 289, 3)).sum().backward()
    for value in (identity, expression, gaze):
        assert torch.isfinite(value.grad).all() and (value.grad != 0).all()


def test_a_share_of_parts_wins_over_the_label(toy_model):
    arrays = toy_arrays()
    assert torch.equal(toy_model.part_weight.argmax(1), toy_model.vertex_label)
    weight = np.zeros((len(arrays["verts"]), 11), np.uint8)
    weight[:, 1], weight[:, 2] = 51, 204
    model = from_arrays(arrays | {"part_weight": weight})
    assert torch.allclose(model.part_weight[:, 2], torch.tensor(0.8))
    assert "part_weight" in refused(arrays | {"part_weight": weight[:, :5]})


def test_moving_to_the_same_device_keeps_the_model(toy_model):
    assert toy_model.to("cpu") is toy_model
    assert isinstance(toy_model.to(torch.device("cpu")), FaceModel)


def test_provenance_is_read(tmp_path):
    model = from_arrays(toy_arrays() | {"provenance": np.str_(json.dumps({"seed": 3}))})
    assert model.provenance == {"seed": 3}
