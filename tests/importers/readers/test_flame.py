"""FLAME: pickles as Python 2 and 3 write them, compared with FLAME's own formula."""

import io
import pickle

import numpy as np
import pytest
from helpers.original_files import MARKER, RunsCode, check_refused, deformed, head, outward_volume, posed, rotation
from scipy import sparse

from facefit.errors import ModelError
from facefit.importers.readers.flame import read_flame


def flame_arrays(seed: int = 0) -> dict:
    """The fields of generic_model.pkl, in metres: 300 + 100 components, 5 joints, eyes bound to theirs alone."""
    rng = np.random.default_rng(seed)
    shape = head()
    count = len(shape.verts)
    weight = rng.random((count, 5))
    weight[:, 3:] = 0
    weight[shape.eye == 2], weight[shape.eye == 1] = [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]
    regressor = rng.random((5, count)) * (rng.random((5, count)) < 0.1)
    regressor[3], regressor[4] = shape.eye == 2, shape.eye == 1
    return {
        "f": shape.faces.astype(np.uint32),
        "v_template": shape.verts / 1000 - (0.0, 0.02, 0.04),
        "shapedirs": rng.normal(0, 0.001, (count, 3, 400)),
        "posedirs": rng.normal(0, 0.0005, (count, 3, 36)),
        "J_regressor": sparse.csc_matrix(regressor / regressor.sum(1, keepdims=True)),
        "J": np.zeros((5, 3)),
        "kintree_table": np.array([[4294967295, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.uint32),
        "weights": weight / weight.sum(1, keepdims=True),
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }


class _PickledCh:
    """An array that pickles as chumpy.ch.Ch does: an empty instance whose state holds `x`."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __reduce__(self) -> tuple:
        return _PickledCh, (), {"_dirty_vars": set(), "_itr": None, "x": self.array}


def chumpy_pickle(data: dict, protocol: int = 2) -> bytes:
    """As generic_model.pkl: chumpy arrays, old names of scipy's classes."""
    ch = ("v_template", "shapedirs", "posedirs")
    raw = pickle.dumps({k: _PickledCh(v) if k in ch else v for k, v in data.items()}, protocol)
    module = _PickledCh.__module__.encode()
    raw = raw.replace(b"c" + module + b"\n_PickledCh\n", b"cchumpy.ch\nCh\n")
    assert b"chumpy" in raw and module not in raw
    return raw.replace(b"scipy.sparse._csc\n", b"scipy.sparse.csc\n")


def flame_formula(data: dict, betas: np.ndarray, rotations: np.ndarray, joint_betas: np.ndarray) -> np.ndarray:
    """(V, 3) metres by smplx/lbs.py: blend shapes, pose correctives, joints by regressor, skinning."""
    shaped = data["v_template"] + np.einsum("l,mkl->mk", betas, data["shapedirs"])
    for_joints = data["v_template"] + np.einsum("l,mkl->mk", joint_betas, data["shapedirs"])
    place = data["J_regressor"] @ for_joints
    pose_feature = (rotations[1:] - np.eye(3)).reshape(1, -1)
    posedirs = data["posedirs"].reshape(-1, 36).T
    verts = shaped + (pose_feature @ posedirs).reshape(-1, 3)
    parents = data["kintree_table"][0].astype(np.int64)
    chain = []
    for k in range(5):
        local = np.eye(4)
        local[:3, :3] = rotations[k]
        local[:3, 3] = place[k] - (place[parents[k]] if k else 0)
        chain.append(local if k == 0 else chain[parents[k]] @ local)
    relative = np.stack(chain)
    relative[:, :3, 3] -= np.einsum("jab,jb->ja", relative[:, :3, :3], place)
    per_vertex = np.einsum("vj,jab->vab", data["weights"], relative)
    return np.einsum("vab,vb->va", per_vertex, np.c_[verts, np.ones(len(verts))])[:, :3]


@pytest.fixture
def path(tmp_path):
    (tmp_path / "generic_model.pkl").write_bytes(chumpy_pickle(flame_arrays()))
    return tmp_path / "generic_model.pkl"


def test_coefficients_give_flames_vertices_in_mm(path):
    data, source = flame_arrays(), read_flame(path)
    betas = np.random.default_rng(1).normal(size=400)
    expected = 1000 * flame_formula(data, betas, np.tile(np.eye(3), (5, 1, 1)), betas)
    np.testing.assert_allclose(deformed(source, betas[:300], betas[300:]), expected, atol=1e-3)


def test_joints_turn_as_flames(path):
    data, source = flame_arrays(), read_flame(path)
    assert source.joints.names == ("root", "neck", "jaw", "left_eye", "right_eye")
    assert source.joints.parent.tolist() == [-1, 0, 1, 1, 1]
    rng = np.random.default_rng(2)
    betas = rng.normal(size=400)
    turns = np.stack([rotation(v) for v in rng.normal(0, 0.3, (5, 3))])
    expected = 1000 * flame_formula(data, betas, turns, np.r_[betas[:300], np.zeros(100)])
    np.testing.assert_allclose(posed(source, betas[:300], betas[300:], turns), expected, atol=2e-3)


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_chumpy_and_plain_pickles_and_npz_give_the_same(tmp_path, protocol):
    data = flame_arrays()
    (tmp_path / "generic_model.pkl").write_bytes(chumpy_pickle(data, protocol))
    (tmp_path / "flame2023.pkl").write_bytes(pickle.dumps(data))
    arrays = {**data, "J_regressor": data["J_regressor"].toarray()}
    np.savez(tmp_path / "flame2023_Open.npz", **arrays)
    sources = [read_flame(tmp_path / n) for n in ("generic_model.pkl", "flame2023.pkl", "flame2023_Open.npz")]
    assert [s.version for s in sources] == ["2020", "2023", "2023 Open"]
    assert [s.license.startswith("CC-BY") for s in sources] == [False, False, True]
    for other in sources[1:]:
        for name in ("verts", "faces", "identity_basis", "expression_basis", "eyeball"):
            np.testing.assert_array_equal(getattr(other, name), getattr(sources[0], name))
        for name in ("position", "position_basis", "weight", "pose_basis"):
            np.testing.assert_allclose(getattr(other.joints, name), getattr(sources[0].joints, name), atol=1e-5)


def test_what_the_file_says_is_kept(path):
    source, shape = read_flame(path), head()
    np.testing.assert_array_equal(source.eyeball, shape.eye)
    np.testing.assert_array_equal(np.unique(source.label_hint), [0, 3, 4])
    assert outward_volume(source) > 0 and source.activation is False and source.uv is None
    assert len(source.provenance["sha256"]) == 64


def test_eyes_are_named_by_their_side(tmp_path):
    data = flame_arrays()
    swap = [0, 1, 2, 4, 3]
    data["weights"], data["J_regressor"] = data["weights"][:, swap], data["J_regressor"][swap]
    (tmp_path / "flame.pkl").write_bytes(pickle.dumps(data))
    source = read_flame(tmp_path / "flame.pkl")
    assert source.joints.names == ("root", "neck", "jaw", "right_eye", "left_eye")
    np.testing.assert_array_equal(source.eyeball, head().eye)


def test_texture_beside_the_model_gives_colours_and_uv(path):
    data, rng = flame_arrays(), np.random.default_rng(3)
    count = len(data["v_template"])
    uv = rng.random((count, 2))
    picture = rng.integers(0, 256, (16, 16, 3)).astype(np.float64)
    directions = rng.normal(0, 5, (16, 16, 3, 4))
    np.savez(path.parent / "FLAME_texture.npz", mean=picture, tex_dir=directions, vt=uv, ft=data["f"].astype(np.int64))
    source = read_flame(path)
    row, column = np.rint((1 - uv[7, 1]) * 15).astype(int), np.rint(uv[7, 0] * 15).astype(int)
    np.testing.assert_allclose(source.albedo_mean[7], picture[row, column, ::-1] / 255, atol=1e-6)  # stored as BGR
    np.testing.assert_allclose(source.albedo_basis[2, 7], directions[row, column, ::-1, 2] / 255, atol=1e-6)
    np.testing.assert_allclose(source.uv[source.uv_faces], uv[data["f"].astype(int)], atol=1e-6)
    assert source.license.endswith("albedo: FLAME texture space, non-commercial")
    (path.parent / "FLAME_texture.npz").write_bytes(b"PK")
    with pytest.raises(ModelError, match="FLAME_texture.npz"):
        read_flame(path)


def test_bad_files(path, tmp_path):
    check_refused(read_flame, tmp_path, path.read_bytes(), ".pkl")
    stream = io.BytesIO()
    arrays = flame_arrays()
    np.savez(stream, **{**arrays, "J_regressor": arrays["J_regressor"].toarray()})
    check_refused(read_flame, tmp_path, stream.getvalue(), ".npz")


def test_code_hidden_in_a_model_is_not_run(tmp_path):
    path = tmp_path / "flame2023.pkl"
    path.write_bytes(pickle.dumps({**flame_arrays(), "weights": RunsCode(tmp_path)}))
    with pytest.raises(ModelError, match="asks for '(posix|nt).system'.*nothing in it was executed"):
        read_flame(path)
    assert not (tmp_path / MARKER).exists()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"shapedirs": np.zeros((5, 3, 400))}, "shapedirs has shape"),
        ({"shapedirs": np.zeros((len(head().verts), 3, 150))}, "shapedirs has shape"),
        ({"f": np.array([[0, 1, 999999]])}, "999999"),
        ({"weights": np.full((len(head().verts), 5), 0.7)}, "sum to 1"),
        ({"J_regressor": np.zeros((4, 3))}, "J_regressor has shape"),
        ({"v_template": "a mesh"}, "v_template"),
        ({"v_template": None}, "lacks v_template"),
        ({"kintree_table": np.array([[4294967295, 3, 1, 1, 1], [0, 1, 2, 3, 4]])}, "parents"),
    ],
)
def test_a_field_that_does_not_fit_is_named(tmp_path, change, message):
    data = {name: value for name, value in {**flame_arrays(), **change}.items() if value is not None}
    path = tmp_path / "generic_model.pkl"
    path.write_bytes(pickle.dumps(data))
    with pytest.raises(ModelError, match=message):
        read_flame(path)


def test_a_pickle_of_something_else(tmp_path):
    path = tmp_path / "list.pkl"
    path.write_bytes(pickle.dumps([1, 2, 3]))
    with pytest.raises(ModelError, match="holds a list; expected a dict"):
        read_flame(path)
