"""ICT-FaceKit: the npz of the real model where the evaluation data are, and OBJ files written as published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.places import EVAL_DATA

from facefit.errors import ModelError
from facefit.importers.readers import ict as module
from facefit.importers.readers.ict import EXPRESSIONS, arkit_name, read_ict

DATA = EVAL_DATA
REAL = DATA / "ict_facekit.npz"
real = pytest.mark.skipif(not REAL.is_file(), reason="the evaluation data are absent")


@pytest.fixture(scope="module")
def source():
    return read_ict(REAL)


@real
def test_real_model(source):
    assert source.verts.shape == (24591, 3) and source.identity_basis.shape == (100, 24591, 3)
    assert source.license == "MIT" and source.activation and len(source.expression_names) == 53
    assert {"jawOpen", "eyeBlinkLeft", "mouthSmileRight"} <= set(source.expression_names)
    # the subject's left eyeball at +x, both of an eyeball's size
    for eye, side in ((1, -1), (2, 1)):
        ball = source.verts[source.eyeball == eye]
        assert side * ball[:, 0].mean() > 25 and 25 < np.ptp(ball[:, 0]) < 35
    assert source.identity_basis[0].std() > source.identity_basis[50].std()  # per standard deviation, sorted


@real
def test_real_model_is_one_atlas(source):
    assert source.uv.min() >= 0 and source.uv.max() <= 1
    corners = source.uv[source.uv_faces].astype(float)
    side = corners[:, 1:] - corners[:, :1]
    area = 0.5 * np.abs(side[:, 0, 0] * side[:, 1, 1] - side[:, 0, 1] * side[:, 1, 0])
    assert 0.3 < area.sum() < 1.0
    # pieces do not lie over one another: no texel belongs to the face and to an eye
    cells = np.floor(corners.mean(1) * 4).astype(int)
    face = (source.faces < 6706).all(1)
    ball = (source.eyeball[source.faces] > 0).all(1)
    assert not set(map(tuple, cells[face])) & set(map(tuple, cells[ball]))


@real
def test_faces_wind_outwards(source):
    a, b, c = (source.verts[source.faces[(source.faces < 6706).all(1)][:, k]] for k in range(3))
    assert np.cross(b - a, c - a)[:, 2].sum() > 0


def write_folder(folder: Path, monkeypatch) -> np.ndarray:
    """A folder as published, of a mesh of 12 vertices: two quads and a triangle of two materials."""
    monkeypatch.setattr(module, "VERTICES", 12)
    monkeypatch.setattr(module, "KEPT", 10)
    monkeypatch.setattr(module, "IDENTITY", 2)
    monkeypatch.setattr(module, "EXPRESSIONS", ("eyeBlink_L", "jawOpen"))
    monkeypatch.setattr(module, "PIECES", {"face": (0, "background"), "left eyeball": (7, "left_eye")})
    rng = np.random.default_rng(3)
    verts = rng.normal(0, 8, (12, 3)).round(4)
    uv = rng.uniform(0.1, 0.9, (10, 2)).round(4)
    uv[7:, 0] += 1.0  # a second tile
    names = ("generic_neutral_mesh", "identity000", "identity001", "eyeBlink_L", "jawOpen")
    for number, name in enumerate(names):
        lines = ["# ICT FaceKit", "mtllib ICTFaceModelMaterial.mtl"]
        moved = verts + (0.1 * number)
        lines += [f"v {x:.4f} {y:.4f} {z:.4f}" for x, y, z in moved]
        lines += [f"vt {u:.4f} {v:.4f}" for u, v in uv]
        lines += ["usemtl M_Face", "f 1/1 2/2 3/3 4/4", "f 3/3 4/4 5/5", "usemtl M_BackHead", "f 8/8 9/9 10/10"]
        lines += ["f 10/8 11/9 12/10"]  # lashes: left out
        (folder / f"{name}.obj").write_text("\n".join(lines) + "\n")
    return verts


def test_folder_as_published(tmp_path, monkeypatch):
    (tmp_path / "FaceXModel").mkdir()
    verts = write_folder(tmp_path / "FaceXModel", monkeypatch)
    source = module.read_ict(tmp_path)  # a checkout holds the folder
    assert np.allclose(source.verts, 10 * verts[:10], atol=1e-4)
    assert np.allclose(source.identity_basis, [[[1.0]], [[2.0]]], atol=1e-4)
    assert np.allclose(source.expression_basis, [[[3.0]], [[4.0]]], atol=1e-4)
    assert source.expression_names == ("eyeBlinkLeft", "jawOpen")
    assert len(source.faces) == 4 and source.faces.max() == 9
    assert source.uv_faces.shape == (4, 3) and source.uv.max() <= 1
    assert (source.eyeball[7:] == 2).all()


def test_folder_that_is_not_it(tmp_path, monkeypatch):
    with pytest.raises(ModelError, match="generic_neutral_mesh.obj"):
        read_ict(tmp_path)
    write_folder(tmp_path, monkeypatch)
    (tmp_path / "identity001.obj").write_text("v 1 2\n")
    with pytest.raises(ModelError, match="identity001.obj: not usable as a mesh"):
        module.read_ict(tmp_path)
    (tmp_path / "identity001.obj").write_text("v 1 2 3\n")
    with pytest.raises(ModelError, match="1 vertices"):
        module.read_ict(tmp_path)
    (tmp_path / "identity001.obj").unlink()
    with pytest.raises(ModelError, match="lacks identity001.obj"):
        module.read_ict(tmp_path)


def test_npz_that_is_not_it(tmp_path):
    file = tmp_path / "model.npz"
    with pytest.raises(ModelError, match="No such file"):
        read_ict(file)
    np.savez(file, verts=np.zeros((4, 3)))
    with pytest.raises(ModelError, match="lacks identity"):
        read_ict(file)
    np.savez(file, verts=np.array([object()], dtype=object), identity=0)
    with pytest.raises(ModelError):
        read_ict(file)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ModelError, match="not ICT-FaceKit .an .npz"):
        read_ict(file)


def test_names():
    assert arkit_name("mouthSmile_L") == "mouthSmileLeft" and arkit_name("jawOpen") == "jawOpen"
    assert len(EXPRESSIONS) == 53
