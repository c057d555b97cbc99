"""`facefit eval export-now` and `export-realy`: what these benchmarks read."""

import json

import numpy as np
from helpers.eval_command import run

from facefit.evaluate.benchmark_files import realy_keypoints
from facefit.files.read_mesh import read_mesh
from facefit.files.read_points import read_points
from facefit.geometry.closest_point import ClosestPoint
from facefit.model.model_file import load_model


def test_now_gets_neutral_meshes_and_their_points(folder, toy, tmp_path):
    (tmp_path / "list.txt").write_text("data/s1/front/7.jpg\ndata/s1/front/9.jpg\n")
    out = run("export-now", folder / "fits", "-o", tmp_path / "now", "--model", toy, "--list", tmp_path / "list.txt")
    assert "2 meshes" in out and "without a fit: 1 (s1/front/9)" in out
    mesh, points = read_mesh(tmp_path / "now/s1/front/7.obj"), np.load(tmp_path / "now/s1/front/7.npy")
    model = load_model(toy)
    document = json.loads((folder / "fits/s1/front/7.json").read_text())
    identity = np.array(document["parameters"]["identity"])
    neutral = model.verts.numpy() + np.einsum("i,ivx->vx", identity, model.identity_basis.numpy())
    assert np.allclose(mesh.verts, neutral, atol=1e-3) and points.shape == (7, 3)
    assert ClosestPoint(mesh.verts, mesh.faces)(points)[0].max() < 1e-3  # on the surface
    run("export-now", folder / "fits", "-o", tmp_path / "expr", "--model", toy, "--expression")
    kept = read_mesh(tmp_path / "expr/s1/front/7.obj")
    assert np.allclose(kept.verts, read_mesh(folder / "fits/s1/front/7.obj").verts, atol=1e-4)
    points = np.load(tmp_path / "expr/s1/front/7.npy")
    assert np.allclose(points, read_points(folder / "fits/s1/front/7.json"), atol=1e-4)


def test_now_wants_subject_and_challenge(folder, toy, tmp_path):
    message = run("export-now", folder / "fits/s1/front", "-o", tmp_path, "--model", toy, code=4)
    assert "SUBJECT/CHALLENGE/IMAGE" in message and not list(tmp_path.rglob("*.obj"))


def test_realy_gets_one_topology_with_85_keypoints(folder, toy, tmp_path):
    out = run("export-realy", folder / "fits", "-o", tmp_path / "realy", "--model", toy)
    assert "2 meshes" in out
    assert sorted(p.name for p in (tmp_path / "realy/prediction").iterdir()) == ["7.obj", "8.obj"]
    template = read_mesh(tmp_path / "realy/data/facefit.obj")
    mesh = read_mesh(tmp_path / "realy/prediction/7.obj")
    assert np.array_equal(mesh.faces, template.faces)
    assert np.allclose(mesh.verts, read_mesh(folder / "fits/s1/front/7.obj").verts, atol=1e-4)
    rows = np.array(json.loads((tmp_path / "realy/data/facefit.txt").read_text()))
    assert rows.shape == (85, 3) and (rows[:, 0] == rows[:, 0].astype(int)).all() and rows[:, 0].max() < len(mesh.faces)
    weight = np.stack([rows[:, 1], rows[:, 2], 1 - rows[:, 1] - rows[:, 2]], 1)
    assert weight.min() > -1e-6
    points = (template.verts[template.faces[rows[:, 0].astype(int)]] * weight[..., None]).sum(1)
    model = load_model(toy)
    landmarks = model.landmarks(model.verts[None])[0].numpy()
    assert np.allclose(points[[36, 45, 33, 54]], landmarks[[33, 263, 2, 291]], atol=1e-3)
    mask = np.loadtxt(tmp_path / "realy/data/facefit_mask.txt", delimiter=",", dtype=int)
    assert mask.shape == (len(mesh.verts),) and set(mask) == {0, 1}


def test_realys_keypoints_on_the_default_model(default_model):
    model = default_model
    face, bary = realy_keypoints(model)
    points = (model.verts.numpy()[model.faces.numpy()[face]] * bary[..., None]).sum(1)
    mirror = {68: 69, 70: 71, 72: 73, 74: 75, 76: 77, 78: 80, 81: 82, 83: 84, 60: 64, 36: 45, 31: 35}
    for right, left in mirror.items():
        assert np.abs(points[right] * [-1, 1, 1] - points[left]).max() < 1.5, right
        assert points[right, 0] < 0
    assert abs(points[79, 0]) < 1 and points[79, 1] < points[57, 1]  # the chin, below the lips
    assert (points[[70, 71], 2] > points[[76, 77], 2]).all()  # beside the nose, and further out on the cheeks


def test_realy_wants_numbers_and_one_fit_a_photo(folder, toy, tmp_path):
    document = json.loads((folder / "fits/s1/front/7.json").read_text())
    (tmp_path / "a.json").write_text(json.dumps(document))
    (tmp_path / "b.json").write_text(json.dumps(document))
    assert "has another fit" in run("export-realy", tmp_path, "-o", tmp_path / "out", "--model", toy, code=4)
    document["photo"]["path"] = "portrait.jpg"
    (tmp_path / "b.json").write_text(json.dumps(document))
    assert "expects names as 1 or 1_2" in run("export-realy", tmp_path, "-o", tmp_path / "out", "--model", toy, code=4)
    assert not (tmp_path / "out").exists()
