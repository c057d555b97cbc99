"""FaceVerse: saved dicts as its versions hold them, in their units and axes, compared with its own formula."""

import io
import pickle

import numpy as np
import pytest
from helpers.original_files import MARKER, RunsCode, check_refused, deformed, head, outward_volume

from facefit.errors import ModelError
from facefit.importers.readers.faceverse import read_faceverse

ARKIT = [f"blendshape{k:02d}" for k in range(52)]


def _landmarks(verts: np.ndarray, index: tuple[int, ...], count: int) -> np.ndarray:
    """Landmark vertices: outer eye corners 90 mm apart, chin and nose tip at vertices appended to the head."""
    out = np.zeros(count, np.int64)
    out[list(index)] = np.arange(len(verts) - 4, len(verts))
    return out


def faceverse_arrays(version: int, seed: int = 0) -> dict:
    """Version 2: decimetres, y down, z into the head, iBUG landmarks. 3: millimetres, y up, z out, MediaPipe's."""
    rng = np.random.default_rng(seed)
    shape = head()
    order = np.argsort(np.where(shape.eye == 0, 0, 3 - shape.eye), kind="stable")  # face, left eye, right eye
    place = np.argsort(order)
    marks = np.array([[-45, 30, 60], [45, 30, 60], [0, -90, 60], [0, -5, 110]], float)
    verts = np.concatenate([shape.verts[order], marks])
    count = len(verts)
    factor = np.array([1, -1, -1]) * 0.01 if version == 2 else np.ones(3)

    def columns(components: int, spread: float, factor: np.ndarray) -> np.ndarray:
        values = rng.normal(0, spread, (count, 3, components))
        return (values * factor[:, None]).reshape(3 * count, components).astype(np.float32)

    data = {
        "meanshape": (verts * factor).astype(np.float32),
        "meantex": rng.uniform(60, 220, (count, 3)).astype(np.float32),
        "idBase": columns(150, 1.0, factor),
        "texBase": columns(251, 5.0, np.ones(3)),
        # winding as the publisher's flipped axes have it: clockwise in version 3, and mirrored once more in version 2
        "tri": place[shape.faces][:, [0, 2, 1]].astype(np.int64),
        "point_buf": np.zeros((count, 8), np.int64),
    }
    if version == 2:
        data |= {
            "exBase": columns(52, 1.0, factor), "exp_name_list": ARKIT, "skinmask": np.ones(count),
            "keypoints": _landmarks(verts, (36, 45, 8, 30), 68), "select_id": np.arange(10),
        }  # fmt: skip
    else:
        faces = int((shape.eye == 0).sum())
        ends = np.array([faces, faces + (shape.eye == 2).sum(), len(shape.verts), count])
        data |= {
            "exBase_52": columns(52, 1.0, factor), "exp_name_list_52": ARKIT, "ver_inds": ends,
            "mediapipe_keypoints": _landmarks(verts, (33, 263, 152, 1), 478), "tri_inds": ends,
            "parsing": {"skin": np.ones(count)}, "face_mask": np.ones(count), "uvtex": np.ones((count, 3)),
        }  # fmt: skip
    return data


def _saved(data: dict) -> bytes:
    stream = io.BytesIO()
    np.save(stream, data, allow_pickle=True)
    return stream.getvalue()


def _formula(data: dict, identity: np.ndarray, expression: np.ndarray) -> np.ndarray:
    """FaceVerseModel.get_vs of version 2: everything in the file's own unit and axes."""
    base = data.get("exBase_52", data.get("exBase"))
    shape = np.einsum("ij,j->i", data["idBase"], identity) + np.einsum("ij,j->i", base, expression)
    return (shape + data["meanshape"].reshape(-1)).reshape(-1, 3)


@pytest.mark.parametrize("version, name", [(2, "faceverse_simple_v2.npy"), (3, "faceverse_v3_6_s.npy")])
def test_coefficients_give_faceverses_vertices_in_our_axes(tmp_path, version, name):
    data = faceverse_arrays(version)
    (tmp_path / name).write_bytes(_saved(data))
    source = read_faceverse(tmp_path / name)
    assert (source.name, source.version, source.activation) == ("FaceVerse", str(version), True)
    rng = np.random.default_rng(1)
    identity, expression, albedo = rng.normal(size=150), rng.random(52), rng.normal(size=251)
    to_ours = np.array([100, -100, -100]) if version == 2 else np.ones(3)
    expected = _formula(data, identity, expression) * to_ours
    np.testing.assert_allclose(deformed(source, identity, expression), expected, atol=2e-3)
    texture = (data["texBase"] @ albedo + data["meantex"].ravel()).reshape(-1, 3) / 255
    found = source.albedo_mean + np.tensordot(albedo, source.albedo_basis, 1)
    np.testing.assert_allclose(found, texture, atol=1e-4)
    assert source.expression_names == tuple(ARKIT) and outward_volume(source) > 0


def test_eyeballs_are_named_by_their_side(tmp_path):
    (tmp_path / "v3.npy").write_bytes(_saved(faceverse_arrays(3)))
    source = read_faceverse(tmp_path / "v3.npy")
    shape = head()
    assert (source.eyeball == 2).sum() == (shape.eye == 2).sum()
    assert source.verts[source.eyeball == 2, 0].mean() > 20 and source.verts[source.eyeball == 1, 0].mean() < -20
    np.testing.assert_array_equal(source.label_hint, np.array([0, 3, 4])[source.eyeball])
    (tmp_path / "v2.npy").write_bytes(_saved(faceverse_arrays(2)))
    assert read_faceverse(tmp_path / "v2.npy").eyeball is None


def test_npz_and_npy_are_the_same(tmp_path):
    data = faceverse_arrays(3)
    (tmp_path / "faceverse_v3.npy").write_bytes(_saved(data))
    np.savez(tmp_path / "faceverse_v3.npz", **{k: v for k, v in data.items() if k != "parsing"})
    npy, npz = (read_faceverse(tmp_path / f"faceverse_v3.{suffix}") for suffix in ("npy", "npz"))
    for name in ("verts", "faces", "identity_basis", "expression_basis", "albedo_basis", "eyeball"):
        np.testing.assert_array_equal(getattr(npy, name), getattr(npz, name))
    assert npy.expression_names == npz.expression_names


def test_components_instead_of_blendshapes(tmp_path):
    data = faceverse_arrays(2)
    data["exBase"] = data["exBase"][:, :7]
    (tmp_path / "faceverse_base_v1.npy").write_bytes(_saved(data))
    source = read_faceverse(tmp_path / "faceverse_base_v1.npy")
    assert not source.activation and source.expression_names[6] == "expression06" and source.version == "1"


def test_bad_files(tmp_path):
    check_refused(read_faceverse, tmp_path, _saved(faceverse_arrays(2)), ".npy")
    stream = io.BytesIO()
    np.savez(stream, **{k: v for k, v in faceverse_arrays(3).items() if k != "parsing"})
    check_refused(read_faceverse, tmp_path, stream.getvalue(), ".npz")


def test_code_hidden_in_a_model_is_not_run(tmp_path):
    path = tmp_path / "faceverse_v3_6_s.npy"
    path.write_bytes(_saved({**faceverse_arrays(3), "parsing": RunsCode(tmp_path)}))
    with pytest.raises(ModelError, match="asks for '(posix|nt).system'.*nothing in it was executed"):
        read_faceverse(path)
    assert not (tmp_path / MARKER).exists()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"keypoints": None}, "lacks mediapipe_keypoints and keypoints"),
        ({"keypoints": np.arange(5)}, "keypoints has 5 landmarks"),
        ({"keypoints": np.full(68, 10**6)}, "keypoints has 68 landmarks that do not fit"),
        ({"keypoints": np.zeros(68, int)}, "corners coincide"),
        ({"idBase": np.zeros((7, 150))}, "idBase has shape"),
        ({"tri": np.array([[0, 1, 10**6]])}, "faces runs from"),
        ({"meanshape": None}, "lacks meanshape"),
        ({"meanshape": "text"}, "not a FaceVerse model"),
        ({"ver_inds": np.array([9, 5, 1])}, "ver_inds"),
    ],
)
def test_a_field_that_does_not_fit_is_named(tmp_path, change, message):
    data = {name: value for name, value in {**faceverse_arrays(2), **change}.items() if value is not None}
    path = tmp_path / "faceverse_simple_v2.npy"
    path.write_bytes(_saved(data))
    with pytest.raises(ModelError, match=message):
        read_faceverse(path)


def test_something_else_saved(tmp_path):
    path = tmp_path / "list.npy"
    path.write_bytes(_saved([1, 2]))
    with pytest.raises(ModelError, match="list.npy: "):
        read_faceverse(path)
    path.write_bytes(pickle.dumps(faceverse_arrays(2)))
    with pytest.raises(ModelError, match="not an .npy file"):
        read_faceverse(path)
