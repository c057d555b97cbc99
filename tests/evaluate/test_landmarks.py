"""`facefit eval landmarks`: points that are known, and points that were moved."""

import json

import numpy as np
import pytest
from helpers.eval_command import numbers, run

from facefit.anatomy.landmarks import IBUG68, LANDMARKS7
from facefit.files.read_mesh import read_mesh
from facefit.model.model_file import load_model
from facefit.output.document import reproject


def test_landmarks_of_the_fits_themselves(folder):
    result = numbers("landmarks", folder / "fits")
    assert [fit["landmark_error"]["all"] for fit in result["fits"]] == [0.02, 0.03]
    assert result["summary"]["all"]["mean"] == pytest.approx(0.025)
    assert "2.50" in run("landmarks", folder / "fits")


def true_points(folder, toy, name):
    """All landmarks of the mesh in the photo, from its files alone, without the two that march."""
    model = load_model(toy)
    document = json.loads((folder / "fits" / f"{name}.json").read_text())
    mesh = read_mesh(folder / "fits" / f"{name}.obj")
    corner = mesh.verts[model.faces[model.landmark_faces].numpy()]
    points = (corner * model.landmark_bary.double().numpy()[..., None]).sum(1)
    pixels = reproject(document, points)
    pixels[model.contour_landmarks.numpy()] = np.nan
    return pixels


def test_clicked_landmarks(folder, toy, tmp_path):
    for name in ("s1/front/7", "s1/side/8"):
        points = true_points(folder, toy, name)
        np.save(tmp_path / f"{name[-1]}.npy", points)
    exact = numbers("landmarks", folder / "fits", "--landmarks", tmp_path, "--model", toy)
    assert exact["summary"]["all"]["mean"] < 1e-4 and exact["summary"]["eyes"]["n"] == 2
    points = true_points(folder, toy, "s1/front/7")
    eyes = np.linalg.norm(points[33] - points[263])
    shifted = points.copy()
    shifted[:, 0] += 0.1 * eyes
    np.save(tmp_path / "7.npy", shifted)
    moved = numbers("landmarks", folder / "fits/s1/front/7.json", "--landmarks", tmp_path, "--model", toy)
    assert moved["fits"][0]["landmark_error"]["all"] == pytest.approx(0.1, abs=1e-4)
    (tmp_path / "7.npy").unlink()
    for chosen, count in ((list(IBUG68), 68), (list(LANDMARKS7), 7)):
        (tmp_path / "7.json").write_text(json.dumps(np.nan_to_num(points[chosen], nan=0.0).tolist()))
        few = numbers("landmarks", folder / "fits/s1/front/7.json", "--landmarks", tmp_path, "--model", toy)
        assert few["fits"][0]["landmark_error"]["eyes"] < 1e-4, count
    (tmp_path / "7.json").write_text("[[1, 2], [3, 4]]")
    assert "2 points; accepted: 478, 468, 68, 7" in run(
        "landmarks", folder / "fits/s1/front/7.json", "--landmarks", tmp_path, "--model", toy, code=4
    )
    (tmp_path / "7.json").unlink()
    assert "no points in" in run("landmarks", folder / "fits/s1/front", "--landmarks", tmp_path, "--model", toy, code=4)


def test_what_is_no_fit(folder, tmp_path):
    assert "holds no fit" in run("landmarks", tmp_path, code=4)
    (tmp_path / "a.json").write_text('{"format": "another"}')
    assert "holds no fit" in run("landmarks", tmp_path, code=4)
    assert "not a facefit result" in run("landmarks", tmp_path / "a.json", code=4)
    (tmp_path / "b.json").write_text('{"format": ')
    assert "damaged JSON" in run("landmarks", tmp_path, code=4)
    assert "no fit" in run("landmarks", tmp_path / "none.obj", code=4)
    document = json.loads((folder / "fits/s1/front/7.json").read_text())
    (tmp_path / "b.json").write_text(json.dumps(document | {"format_version": 99}))
    assert "result format 99" in run("landmarks", tmp_path / "b.json", code=4)
    del document["camera"]
    (tmp_path / "b.json").write_text(json.dumps(document))
    assert "damaged result: lacks camera" in run("landmarks", tmp_path / "b.json", code=4)
