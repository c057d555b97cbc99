"""Basel Face Models: MATLAB and HDF5 files as published, compared with Deep3DFaceRecon's and scalismo's formulas."""

import struct

import numpy as np
import pytest
from helpers.original_files import check_refused, deformed, head, outward_volume
from scipy.io import loadmat, savemat

from facefit.errors import ModelError
from facefit.importers.readers.bfm import read_bfm

H5PY = pytest.importorskip("h5py", reason="HDF5 models need the extra facefit[models]")
EXTRA = 12  # vertices of the whole head that have no expressions, as 275 of BFM 2009's do


def _write_2009(folder, seed: int = 0) -> dict:
    """01_MorphableModel.mat in micrometres with clockwise triangles, and Deep3DFaceRecon's files beside it."""
    rng = np.random.default_rng(seed)
    shape = head()
    face = len(shape.verts)
    whole = face + EXTRA + 30
    verts = np.concatenate([shape.verts, rng.normal(0, 50, (EXTRA + 30, 3))])
    order = rng.permutation(whole)  # the cut's vertices lie scattered among the head's
    place = np.argsort(order)[:face]
    with_expression = np.sort(np.setdiff1d(np.arange(whole), rng.choice(np.setdiff1d(order, place), EXTRA, False)))
    published = {
        "shapeMU": (verts[order] * 1000).reshape(-1, 1).astype(np.float32),
        "shapePC": np.linalg.qr(rng.normal(size=(3 * whole, 199)))[0].astype(np.float32),
        "shapeEV": rng.uniform(1e4, 1e6, (199, 1)).astype(np.float32),
        "texMU": rng.uniform(60, 200, (3 * whole, 1)).astype(np.float32),
        "texPC": np.linalg.qr(rng.normal(size=(3 * whole, 199)))[0].astype(np.float32),
        "texEV": rng.uniform(10, 1000, (199, 1)).astype(np.float32),
        "tl": (np.argsort(order)[shape.faces][:, [0, 2, 1]] + 1).astype(np.float64),
        "segbin": np.zeros((whole, 4)),
    }
    savemat(folder / "01_MorphableModel.mat", published)
    components, vertices = 79, len(with_expression)
    mean = rng.normal(size=3 * vertices).astype(np.float32)
    columns = rng.normal(0, 0.01, (components, 3 * vertices)).astype(np.float32)
    (folder / "Exp_Pca.bin").write_bytes(struct.pack("<i", components) + mean.tobytes() + columns.tobytes())
    (folder / "std_exp.txt").write_text(" ".join(f"{v:g}" for v in rng.uniform(1e3, 5e5, components)))
    index = np.searchsorted(with_expression, place)
    savemat(folder / "BFM_front_idx.mat", {"idx": (index + 1).astype(np.float32).reshape(-1, 1)})
    savemat(folder / "BFM_exp_idx.mat", {"trimIndex": (with_expression + 1).astype(np.uint16).reshape(-1, 1)})
    savemat(folder / "facemodel_info.mat", {"tri": (shape.faces + 1).astype(np.float32), "keypoints": np.ones((1, 68))})
    return published


def _deep3d(folder) -> dict:
    """transferBFM09 of Deep3DFaceRecon_pytorch, util/load_mats.py, followed line by line: decimetres, 0 to 255."""
    original = loadmat(folder / "01_MorphableModel.mat")
    raw = (folder / "Exp_Pca.bin").read_bytes()
    components = struct.unpack("<i", raw[:4])[0]
    values = np.frombuffer(raw[4:], np.float32)
    vertices = len(values) // (3 * (components + 1))
    exp_pc = values[3 * vertices :].reshape(components, -1).T
    exp_ev = np.loadtxt(folder / "std_exp.txt")
    index_exp = loadmat(folder / "BFM_front_idx.mat")["idx"].astype(np.int32) - 1
    index_shape = (loadmat(folder / "BFM_exp_idx.mat")["trimIndex"].astype(np.int32) - 1)[index_exp]
    cut = {
        "idBase": (original["shapePC"] * original["shapeEV"].reshape(-1, 199) / 1e5)[:, :80].reshape(-1, 3, 80),
        "exBase": (exp_pc * exp_ev.reshape(-1, 79) / 1e5)[:, :64].reshape(-1, 3, 64),
        "texBase": (original["texPC"] * original["texEV"].reshape(-1, 199))[:, :80].reshape(-1, 3, 80),
        "meanshape": original["shapeMU"].reshape(-1, 3) / 1e5,
        "meantex": original["texMU"].reshape(-1, 3),
    }
    for name in ("idBase", "texBase", "meanshape", "meantex"):
        cut[name] = cut[name][index_shape[:, 0]]
    cut["exBase"] = cut["exBase"][index_exp[:, 0]]
    cut = {name: value.reshape(-1, value.shape[-1]) for name, value in cut.items()}
    cut["meanshape"], cut["meantex"] = cut["meanshape"].reshape(1, -1), cut["meantex"].reshape(1, -1)
    return cut | {"tri": loadmat(folder / "facemodel_info.mat")["tri"]}


def _check_cut(source, cut: dict) -> None:
    rng = np.random.default_rng(1)
    identity, expression, albedo = rng.normal(size=80), rng.normal(size=64), rng.normal(size=80)
    expected = cut["idBase"] @ identity + cut["exBase"] @ expression + cut["meanshape"].ravel()
    np.testing.assert_allclose(deformed(source, identity, expression), 100 * expected.reshape(-1, 3), atol=2e-3)
    texture = (cut["texBase"] @ albedo + cut["meantex"].ravel()).reshape(-1, 3) / 255
    found = source.albedo_mean + np.tensordot(albedo, source.albedo_basis, 1)
    np.testing.assert_allclose(found, texture, atol=1e-4)
    assert outward_volume(source) > 0 and not source.activation


def test_2009_is_cut_as_deep3dfacerecon_cuts_it(tmp_path):
    _write_2009(tmp_path)
    for path in (tmp_path, tmp_path / "01_MorphableModel.mat"):
        source = read_bfm(path)
        assert (source.name, source.version) == ("Basel Face Model", "2009")
        assert len(source.verts) == len(head().verts) and len(source.expression_names) == 64
        _check_cut(source, _deep3d(tmp_path))


def test_2009_as_deep3dfacerecon_stores_it(tmp_path):
    _write_2009(tmp_path)
    cut = _deep3d(tmp_path)
    folder = tmp_path / "stored" / "BFM"
    folder.mkdir(parents=True)
    savemat(folder / "BFM_model_front.mat", cut)
    _check_cut(read_bfm(folder.parent), cut)


def test_2009_alone_is_the_whole_head_without_expressions(tmp_path):
    published = _write_2009(tmp_path)
    (tmp_path / "Exp_Pca.bin").unlink()
    source = read_bfm(tmp_path)
    assert source.identity_basis.shape[0] == 199 and source.expression_basis.shape == (0, len(source.verts), 3)
    alpha = np.random.default_rng(2).normal(size=199)
    expected = published["shapeMU"].ravel() + published["shapePC"] @ (alpha * published["shapeEV"].ravel())
    found = deformed(source, alpha, np.zeros(0))
    np.testing.assert_allclose(found, expected.reshape(-1, 3) / 1000, atol=2e-3)
    # the publication winds clockwise
    np.testing.assert_array_equal(np.sort(source.faces, 1), np.sort(published["tl"].astype(int) - 1, 1))
    assert not np.array_equal(source.faces, published["tl"].astype(int) - 1)


@pytest.mark.parametrize("name", ["std_exp.txt", "BFM_front_idx.mat", "BFM_exp_idx.mat", "facemodel_info.mat"])
def test_2009_says_which_companion_is_missing_or_damaged(tmp_path, name):
    _write_2009(tmp_path)
    good = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(b"<html>not found</html>")
    with pytest.raises(ModelError, match=name):
        read_bfm(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ModelError, match=f"lacks {name}"):
        read_bfm(tmp_path)
    (tmp_path / name).write_bytes(good)
    read_bfm(tmp_path)


def test_2009_index_outside_the_head(tmp_path):
    _write_2009(tmp_path)
    savemat(tmp_path / "BFM_front_idx.mat", {"idx": np.array([[1], [53490]])})
    with pytest.raises(ModelError, match="idx points outside"):
        read_bfm(tmp_path)


def test_2009_truncated_expressions(tmp_path):
    _write_2009(tmp_path)
    data = (tmp_path / "Exp_Pca.bin").read_bytes()
    for bad in (data[:-4000], data[:3], b"", struct.pack("<i", -1) + data[4:], data[:-1]):
        (tmp_path / "Exp_Pca.bin").write_bytes(bad)
        with pytest.raises(ModelError, match="Exp_Pca.bin|BFM_exp_idx"):
            read_bfm(tmp_path)


def test_2009_variables_that_are_not_numbers(tmp_path):
    data = _write_2009(tmp_path)
    savemat(tmp_path / "01_MorphableModel.mat", {**data, "shapePC": np.array([[{"a": 1}]], object)})
    with pytest.raises(ModelError, match="shapePC is of MATLAB type"):
        read_bfm(tmp_path)


def test_folder_without_a_model(tmp_path):
    with pytest.raises(ModelError, match="neither 01_MorphableModel.mat nor BFM_model_front.mat"):
        read_bfm(tmp_path)


def test_bad_files(tmp_path):
    _write_2009(tmp_path)
    (tmp_path / "Exp_Pca.bin").unlink()
    check_refused(read_bfm, tmp_path, (tmp_path / "01_MorphableModel.mat").read_bytes(), ".mat")
    path = _write_hdf5(tmp_path / "model2019_face12.h5")[0]
    check_refused(read_bfm, tmp_path, path.read_bytes(), ".h5")


# --- 2017 and 2019 ---


def _write_hdf5(path, seed: int = 0, scaled: bool = False, without: tuple[str, ...] = ()) -> tuple:
    """As scalismo-faces writes a MoMo: groups shape, color, expression with model, modelinfo, representer, version."""
    rng = np.random.default_rng(seed)
    shape = head()
    size, parts = shape.verts.size, {}
    means = {
        "shape": shape.verts.ravel(),
        "color": rng.uniform(0.2, 0.8, size),
        "expression": rng.normal(0, 0.5, size),
    }
    with H5PY.File(path, "w") as file:
        file["version/majorVersion"], file["version/minorVersion"] = np.int32(0), np.int32(9)
        for part, count in (("shape", 11), ("color", 7), ("expression", 5)):
            if part in without:
                continue
            columns = np.linalg.qr(rng.normal(size=(size, count)))[0].astype(np.float32)
            variance = np.sort(rng.uniform(0.01 if part == "color" else 10, 1 if part == "color" else 5000, count))[
                ::-1
            ]
            parts[part] = (means[part].astype(np.float32), columns, variance.astype(np.float32))
            stored = columns * np.sqrt(variance) if scaled else columns
            file[f"{part}/model/mean"] = parts[part][0]
            file[f"{part}/model/pcaBasis"] = stored.astype(np.float32)
            file[f"{part}/model/pcaVariance"] = parts[part][2]
            file[f"{part}/model/noiseVariance"] = np.zeros(1, np.float32)
            file[f"{part}/representer/points"] = shape.verts.T.astype(np.float32)
            file[f"{part}/representer/cells"] = shape.faces.T.astype(np.int32)
            file[f"{part}/representer"].attrs["name"] = b"gravis::MeshShapeRepresenter"
            file[f"{part}/version/majorVersion"], file[f"{part}/version/minorVersion"] = 0, 8 if scaled else 9
        file["metadata/landmarks/json"] = np.array([b"[]"])
    return path, parts


@pytest.mark.parametrize("scaled", [False, True])
def test_hdf5_gives_scalismos_vertices_and_colours(tmp_path, scaled):
    path, parts = _write_hdf5(tmp_path / "model2017-1_bfm_nomouth.h5", scaled=scaled)
    source = read_bfm(path)
    assert (source.version, source.activation) == ("2017 bfm", False)
    rng = np.random.default_rng(1)
    coefficient = {part: rng.normal(size=len(values[2])) for part, values in parts.items()}
    value = {p: mean + columns @ (np.sqrt(variance) * coefficient[p]) for p, (mean, columns, variance) in parts.items()}
    expected = (value["shape"] + value["expression"]).reshape(-1, 3)
    found = deformed(source, coefficient["shape"], coefficient["expression"])
    np.testing.assert_allclose(found, expected, atol=1e-3)
    color = source.albedo_mean + np.tensordot(coefficient["color"], source.albedo_basis, 1)
    np.testing.assert_allclose(color, value["color"].reshape(-1, 3), atol=1e-4)
    assert outward_volume(source) > 0


def test_hdf5_without_expressions_or_colours(tmp_path):
    path, _ = _write_hdf5(tmp_path / "model2019_fullHead.h5", without=("expression", "color"))
    source = read_bfm(path)
    assert source.version == "2019 fullHead" and source.albedo_mean is None and len(source.expression_basis) == 0


def test_hdf5_without_groups(tmp_path):
    with H5PY.File(tmp_path / "empty.h5", "w"):
        pass
    with pytest.raises(ModelError, match="lacks the array shape/model/mean"):
        read_bfm(tmp_path / "empty.h5")
    with H5PY.File(tmp_path / "flat.h5", "w") as file:
        file["shape"] = np.zeros(3)
    with pytest.raises(ModelError, match="/shape is not a group"):
        read_bfm(tmp_path / "flat.h5")


def _replace(path, name: str, make) -> None:
    with H5PY.File(path, "r+") as file:
        del file[name]
        make(file)


def test_hdf5_that_points_at_other_files_is_not_followed(tmp_path):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(np.arange(3000, dtype=np.float32).tobytes())
    other, _ = _write_hdf5(tmp_path / "other.h5")
    name = "shape/model/mean"
    size = head().verts.size

    def external_data(file):
        file.create_dataset(name, (size,), np.float32, external=[(str(secret), 0, 4 * size)])

    def external_link(file):
        file[name] = H5PY.ExternalLink(str(other), name)

    def virtual(file):
        layout = H5PY.VirtualLayout((size,), np.float32)
        layout[:] = H5PY.VirtualSource(str(other), name, (size,))
        file.create_virtual_dataset(name, layout)

    def soft_link(file):
        file[name] = H5PY.SoftLink("/shape/model/pcaVariance")

    def external_group(file):
        del file["shape"]
        file["shape"] = H5PY.ExternalLink(str(other), "shape")

    for make in (external_data, external_link, virtual, soft_link, external_group):
        path, _ = _write_hdf5(tmp_path / f"{make.__name__}.h5")
        _replace(path, name, make)
        with pytest.raises(ModelError, match="not followed"):
            read_bfm(path)


def test_hdf5_array_larger_than_any_model(tmp_path):
    path, _ = _write_hdf5(tmp_path / "huge.h5")
    _replace(path, "shape/model/pcaBasis", lambda file: file.create_dataset(
        "shape/model/pcaBasis", (1 << 20, 1 << 20), np.float32, chunks=(1024, 1024)))  # fmt: skip
    with pytest.raises(ModelError, match="GiB; a model has up to"):
        read_bfm(path)


@pytest.mark.parametrize("name", ["shape/model/pcaBasis", "color/model/pcaVariance", "shape/representer/cells"])
def test_hdf5_array_of_the_wrong_kind(tmp_path, name):
    for number, value in enumerate((np.zeros((2, 2), np.float32), b"text", np.zeros(0, np.float32))):
        path, _ = _write_hdf5(tmp_path / f"wrong{number}.h5")

        def make(file, value=value):
            file[name] = value

        _replace(path, name, make)
        with pytest.raises(ModelError, match=name.split("/")[-1] + "|pcaBasis"):
            read_bfm(path)
