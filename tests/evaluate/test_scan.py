"""`facefit eval scan`: scans that are the mesh itself, moved, made larger and bumpy."""

import json

import numpy as np
import pytest
from helpers.eval_command import few, numbers, run
from PIL import Image

from facefit.evaluate.scan import compare_to_scan, error_colours, face_region, upright
from facefit.files.mesh_bytes import plain_obj
from facefit.files.read_mesh import Mesh, read_mesh
from facefit.files.read_points import read_points
from facefit.geometry.closest_point import ClosestPoint
from facefit.metrics.scan_distance import scan_error
from facefit.output.placing import Z_UP

pytestmark = pytest.mark.usefixtures("loaded_once")
TURN = np.array([[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]])


@pytest.fixture(scope="module")
def scan(folder, tmp_path_factory):
    """The first fit's mesh itself, turned, moved and 3 % larger, as a scan, with its seven points."""
    root = tmp_path_factory.mktemp("scan")
    mesh = read_mesh(folder / "fits/s1/front/7.obj")
    points = read_points(folder / "fits/s1/front/7.json")

    def place(x):
        return 1.03 * x @ TURN.T + [50, -20, 400]

    np.savez(root / "scan.npz", verts=place(mesh.verts), faces=mesh.faces, landmarks7=place(points),
             upper=mesh.verts[:, 1] > 0, pickled=np.array([{"a": 1}], object))  # fmt: skip
    (root / "points.json").write_text(json.dumps({"landmarks": place(points).tolist()}))
    (root / "scan.obj").write_bytes(plain_obj(place(mesh.verts), mesh.faces))
    return root


def test_a_copy_of_the_mesh_is_at_distance_zero(folder, scan):
    result = numbers("scan", folder / "fits/s1/front/7.obj", scan / "scan.npz", "--region", "all")
    assert result["similarity"]["median"] < 0.01 and result["similarity"]["scale"] == pytest.approx(1.03, abs=1e-3)
    assert result["rigid"]["scale"] == 1 and result["rigid"]["median"] > 0.2
    assert result["unit"] == "mm" and result["similarity"]["samples"] == 20_000
    table = run("scan", folder / "fits/s1/front/7.obj", scan / "scan.npz", "--samples", 2000)
    assert "rigid" in table and "similarity" in table and "median" in table


def test_a_ply_that_stands_on_z_is_compared_upright(folder, scan, tmp_path):
    """Its own JSON says so; the picture of the errors is from the front for it too."""
    mesh, document = folder / "fits/s1/front/7.obj", json.loads((folder / "fits/s1/front/7.json").read_text())
    read = read_mesh(mesh)
    turned = np.array(document["landmarks7"]) @ Z_UP.T
    (tmp_path / "7.obj").write_bytes(plain_obj(read.verts @ Z_UP.T, read.faces))
    about = {**document["mesh"], "up": "z"}
    (tmp_path / "7.json").write_text(json.dumps({**document, "mesh": about, "landmarks7": turned.tolist()}))
    verts, points = upright(tmp_path / "7.obj", read_mesh(tmp_path / "7.obj"), turned)
    np.testing.assert_allclose(verts.verts, read.verts, atol=1e-4)
    np.testing.assert_allclose(points, document["landmarks7"], atol=1e-9)
    assert upright(mesh, read, turned)[1] is turned


def test_scans_of_other_formats_and_regions(folder, scan, tmp_path):
    mesh = folder / "fits/s1/front/7.obj"
    by_obj = few("scan", mesh, scan / "scan.obj", "--landmarks", scan / "points.json", "--align", "similarity")
    by_npz = few("scan", mesh, scan / "scan.npz", "--align", "similarity")
    assert set(by_obj) & {"rigid", "similarity", "none"} == {"similarity"}
    assert by_obj["similarity"]["median"] == pytest.approx(by_npz["similarity"]["median"], abs=1e-4)
    upper = few("scan", mesh, scan / "scan.npz", "--region", "upper", "--align", "rigid")
    assert upper["rigid"]["median"] != by_npz["similarity"]["median"]
    assert "accepted: face, all, upper" in run("scan", mesh, scan / "scan.npz", "--region", "lower", code=4)
    # metres and millimetres
    theirs = read_mesh(scan / "scan.npz")
    np.savez(tmp_path / "metre.npz", verts=theirs.verts / 1000, faces=theirs.faces,
             landmarks7=theirs.arrays["landmarks7"] / 1000)  # fmt: skip
    metre = few("scan", mesh, tmp_path / "metre.npz", "--scan-scale", "1000", "--align", "similarity")
    assert metre["similarity"]["median"] == pytest.approx(by_npz["similarity"]["median"], abs=1e-4)


def test_point_and_plane(tmp_path):
    """A wall of 200 mm, scanned twice as large and 2 mm in front: beside the wall the closest point is its border, the
    plane goes on."""

    def wall(half, depth):
        return np.array([[-half, -half, depth], [half, -half, depth], [half, half, depth], [-half, half, depth]], float)

    faces = np.array([[0, 1, 2], [0, 2, 3]])
    points = np.array([[-30, 20, 0], [-10, 20, 0], [10, 20, 0], [30, 20, 0], [0, 0, 10], [-20, -30, 0], [20, -30, 0.0]])
    np.savez(tmp_path / "mesh.npz", verts=wall(100, 0), faces=faces, landmarks7=points)
    np.savez(tmp_path / "scan.npz", verts=wall(200, 2), faces=faces, landmarks7=points)
    arguments = ("scan", tmp_path / "mesh.npz", tmp_path / "scan.npz", "--align", "none", "--region", "all")
    point, plane = (numbers(*arguments, "--metric", m)["none"] for m in ("point", "plane"))
    assert plane["median"] == pytest.approx(2) and plane["max"] == pytest.approx(2)
    assert point["max"] > 80 and point["median"] > 20


@pytest.mark.parametrize("metric", ["point", "plane"])
def test_a_mesh_of_half_the_size_is_measured_in_millimetres_of_the_scan(folder, scan, metric):
    mesh, points = read_mesh(folder / "fits/s1/front/7.obj"), read_points(folder / "fits/s1/front/7.json")
    theirs = read_mesh(scan / "scan.npz")
    bumps = theirs.verts + 3 * np.sin(theirs.verts[:, ::-1] / 7)  # nothing that a motion could undo
    rough = Mesh(bumps, theirs.faces)
    region = theirs.arrays["upper"]
    options = {"align": "similarity", "samples": 2000}
    found = []
    for size in (1.0, 0.5):
        small = Mesh(size * mesh.verts, mesh.faces)
        comparison = compare_to_scan(small, size * points, rough, theirs.arrays["landmarks7"], region, metric=metric,
                                     **options)  # fmt: skip
        found.append(comparison)
        assert np.isnan(comparison.distances[~region]).all()
        moved = ClosestPoint(comparison.motion(small.verts), small.faces)
        away, _, face = moved(bumps[region])
        if metric == "plane":
            corner = moved.corners[face]
            normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
            plane = np.abs(((bumps[region] - corner[:, 0]) * normal).sum(1)) / np.linalg.norm(normal, axis=1)
            edge = away - plane > 1e-3  # there either plane will do
            assert (comparison.distances[region] < away + 0.01).all() and 0.1 < edge.mean() < 0.9
            away = np.where(edge, comparison.distances[region], plane)
        np.testing.assert_allclose(comparison.distances[region], away, atol=0.01)
    assert found[0].figures["median"] > 0.3
    for name in ("median", "mean", "std", "rms", "p90", "max", "landmark_rms"):
        assert found[1].figures[name] == pytest.approx(found[0].figures[name], rel=2e-3), name
    if metric == "point":
        other = scan_error(mesh.verts, mesh.faces, points, bumps, theirs.faces, theirs.arrays["landmarks7"], region,
                           **options)  # fmt: skip
        assert found[0].figures == other


def test_error_maps(folder, scan, tmp_path):
    mesh = read_mesh(folder / "fits/s1/front/7.obj")
    ours = tmp_path / "bump.npz"
    bumped = mesh.verts.copy()
    nose = mesh.verts[:, 2].argmax()
    bumped[np.linalg.norm(mesh.verts - mesh.verts[nose], axis=1) < 12, 2] += 6
    np.savez(ours, verts=bumped, faces=mesh.faces, landmarks7=read_points(folder / "fits/s1/front/7.json"))
    run("scan", ours, scan / "scan.npz", "--align", "similarity", "--region", "all", "--error-max", "2",
        "--samples", 2000, "--error-map", tmp_path / "e.ply", "--error-map", tmp_path / "e.png")  # fmt: skip
    coloured = read_mesh(tmp_path / "e.ply")
    assert np.allclose(coloured.verts, read_mesh(scan / "scan.npz").verts, atol=1e-3)
    colour = np.frombuffer((tmp_path / "e.ply").read_bytes().split(b"end_header\n")[1][: 27 * len(coloured.verts)],
                           [("f", "<f4", 6), ("rgb", "u1", 3)])["rgb"].astype(int)  # fmt: skip
    calm = np.abs(mesh.verts - mesh.verts[nose]).max(1).argsort()[60:80]
    assert colour[nose, 0] > colour[nose, 2] + 60 and (colour[calm, 2] > colour[calm, 0]).mean() > 0.6
    picture = np.asarray(Image.open(tmp_path / "e.png")).astype(int)
    assert picture.shape == (768, 768, 3)
    shown = picture[:, :700]
    red = (shown[..., 0] > 150) & (shown[..., 1] < 90) & (shown[..., 2] < 90)
    assert 30 < red.sum() < 0.2 * (shown < 250).any(-1).sum()


def test_colours_of_the_error():
    colours = error_colours(np.array([0.0, 2.5, 5.0, 9.0, np.nan]), 5.0)
    assert colours[0, 2] > colours[0, 0] and colours[1, 1] > colours[1, 0] and colours[2, 0] > colours[2, 2]
    assert (colours[2] == colours[3]).all() and np.ptp(colours[4].astype(int)) < 10


def test_the_ball_around_the_face():
    points = np.array([[-45, 0, 0], [-15, 0, 0], [15, 0, 0], [45, 0, 0], [0, -50, 0], [-25, -80, 0], [25, -80, 0.0]])
    # centre (0, -35, 0), radius 0.7 (90 + 50) = 98
    verts = np.array([[0, -35, 97.9], [0, -35, 98.1], [98.1, -35, 0], [0, 62.9, 0], [0, -132.9, 0]])
    assert face_region(verts, points).tolist() == [True, False, False, True, True]


def test_errors_of_scan(folder, scan, tmp_path):
    mesh = folder / "fits/s1/front/7.obj"
    assert "--landmarks FILE is needed" in run("scan", mesh, scan / "scan.obj", code=2)
    assert "ends in .ply or .png" in run("scan", mesh, scan / "scan.npz", "--error-map", "a.jpg", code=2)
    assert "accepted: .obj, .ply, .stl, .off, .glb, .npz" in run("scan", mesh, scan / "points.json", code=4)
    assert "No such file" in run("scan", mesh, tmp_path / "none.ply", code=4)
    (tmp_path / "bad.obj").write_text("v 1 2 3\nf 1 2 3\n")
    assert "the file has 1 to 1" in run("scan", mesh, tmp_path / "bad.obj", "--landmarks", scan / "points.json", code=4)
    (tmp_path / "empty.obj").write_text("")
    assert "holds no vertex" in run("scan", mesh, tmp_path / "empty.obj", "--landmarks", scan / "points.json", code=4)
    (tmp_path / "bad.ply").write_bytes(b"ply\nformat ascii 1.0\nelement vertex 9\nproperty float x\nend_header\n1")
    assert "not a readable PLY" in run("scan", mesh, tmp_path / "bad.ply", "--landmarks", scan / "points.json", code=4)
    (tmp_path / "five.txt").write_text("1 2 3\n" * 5)
    assert "expected seven points" in run("scan", mesh, scan / "scan.obj", "--landmarks", tmp_path / "five.txt", code=4)
    (tmp_path / "words.txt").write_text("one two three\n")
    assert "not a readable list" in run("scan", mesh, scan / "scan.obj", "--landmarks", tmp_path / "words.txt", code=4)
    lonely = tmp_path / "lonely.obj"
    lonely.write_bytes((scan / "scan.obj").read_bytes())
    assert "its seven points are not known" in run("scan", lonely, scan / "scan.npz", code=4)
    far = np.asarray(read_points(scan / "points.json")) + 1e4
    (tmp_path / "far.json").write_text(json.dumps(far.tolist()))
    assert "holds no triangle" in run("scan", mesh, scan / "scan.obj", "--landmarks", tmp_path / "far.json", code=4)


def test_the_models_own_points_serve_a_bare_mesh(folder, toy, scan, tmp_path):
    mesh = read_mesh(folder / "fits/s1/front/7.obj")
    np.savez(tmp_path / "bare.npz", verts=mesh.verts, faces=mesh.faces)
    bare = few("scan", tmp_path / "bare.npz", scan / "scan.npz", "--model", toy, "--align", "similarity")
    named = few("scan", folder / "fits/s1/front/7.obj", scan / "scan.npz", "--align", "similarity")
    assert bare["similarity"]["median"] == pytest.approx(named["similarity"]["median"], abs=1e-4)
