"""`facefit eval` through files: results written by facefit, labels, points and scans made here, answers by hand."""

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.synthetic_result import synthetic_result
from helpers.toy_model import toy_arrays
from PIL import Image

from facefit.anatomy.landmarks import IBUG68, LANDMARKS7
from facefit.anatomy.parts import LABEL
from facefit.commands import cli
from facefit.evaluate.benchmark_files import realy_keypoints
from facefit.evaluate.parts import parse_label_map, scored_parts, to_labels
from facefit.evaluate.scan import compare_to_scan, error_colours, face_region
from facefit.files.mesh_bytes import plain_obj
from facefit.files.read_mesh import Mesh, read_mesh
from facefit.files.read_points import read_points
from facefit.geometry.closest_point import ClosestPoint
from facefit.metrics.part_iou import part_iou
from facefit.metrics.scan_distance import scan_error
from facefit.model.model_file import load_model, save_arrays
from facefit.output.document import reproject
from facefit.output.write import write_result
from facefit.scene.part_picture import render_labels


def run(*args, code=0):
    outcome = CliRunner().invoke(cli, ["eval", *map(str, args)], catch_exceptions=True)
    if outcome.exit_code != code:
        raise AssertionError(f"{outcome.exit_code}: {outcome.output} {outcome.stderr}") from outcome.exception
    if code:
        error = outcome.stderr.strip()
        assert error.startswith("facefit: error: ") and "\n" not in error
        return error
    return outcome.output


def numbers(*args):
    return json.loads(run(*args, "--json", "-"))


def few(*args):
    """Numbers of a scan, where it does not matter how finely it is measured."""
    return numbers(*args, "--samples", 2000)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    save_arrays(folder / "toy.npz", toy_arrays())
    return folder / "toy.npz"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, toy):
    """Two fits of the toy in a folder as `facefit batch` fills it, their photos, and true labels."""
    root = tmp_path_factory.mktemp("fits")
    model = load_model(toy)
    for name in ("fits/s1/front", "fits/s1/side", "photos", "labels"):
        (root / name).mkdir(parents=True)
    for k, (name, yaw) in enumerate((("s1/front/7", 0.0), ("s1/side/8", 0.4))):
        result = synthetic_result(model, yaw=yaw)
        photo = root / "photos" / f"{7 + k}.png"
        Image.fromarray(result.photo).save(photo)
        result = dataclasses.replace(result, photo_path=str(photo), landmark_error=0.02 + 0.01 * k)
        write_result(result, root / "fits" / f"{name}.obj", texture_size=16)
        labels = render_labels(model, result.verts_in("camera"), result.camera, *result.photo_size)
        Image.fromarray(labels).save(root / "labels" / f"{7 + k}_label.png")
    return root


# ---------------------------------------------------------------- parts


def test_a_fit_against_its_own_parts_is_perfect(folder, toy):
    result = numbers("parts", folder / "fits", "--labels", folder / "labels", "--model", toy)
    assert [fit["name"] for fit in result["fits"]] == ["s1/front/7", "s1/side/8"]
    for fit in result["fits"]:
        assert all(score is None or score == 1 for score in fit["part_iou"].values())
        assert fit["part_iou"]["nose"] == 1 and fit["part_iou"]["left_eye"] == 1
    assert result["summary"]["nose"] == {"mean": 1.0, "std": 0.0, "n": 2}


def test_shifted_labels_score_as_by_hand(folder, toy, tmp_path):
    for name in ("7", "8"):
        labels = np.asarray(Image.open(folder / "labels" / f"{name}_label.png"))
        Image.fromarray(np.roll(labels, 5, 1)).save(tmp_path / f"{name}.png")
    result = numbers("parts", folder / "fits", "--labels", tmp_path, "--model", toy)
    own = np.asarray(Image.open(folder / "labels" / "7_label.png"))
    nose, moved = own == LABEL["nose"], np.roll(own, 5, 1) == LABEL["nose"]
    expected = (nose & moved).sum() / (nose | moved).sum()
    assert result["fits"][0]["part_iou"]["nose"] == pytest.approx(expected)
    assert 0.3 < expected < 0.9
    table = run("parts", folder / "fits", "--labels", tmp_path, "--model", toy)
    assert "nose" in table and f"{result['summary']['nose']['mean']:.3f}" in table


def test_labels_of_another_data_set(folder, toy, tmp_path):
    """Eyes and mouth without sides: merged; hair over the face ignored; numbers of one's own."""
    meaning = {"nose": 3, "right_eye": 4, "left_eye": 4, "upper_lip": 5, "lower_lip": 5}
    for name in ("7", "8"):
        own = np.asarray(Image.open(folder / "labels" / f"{name}_label.png"))
        out = np.zeros_like(own)
        for part, number in meaning.items():
            out[own == LABEL[part]] = number
        rows, columns = np.nonzero(out == 3)
        out[: int(np.median(rows)), :][out[: int(np.median(rows)), :] == 3] = 9  # hair over the upper half of the nose
        Image.fromarray(out).save(tmp_path / f"{name}.png")
    arguments = ("parts", folder / "fits", "--labels", tmp_path, "--model", toy)
    by_list = numbers(*arguments, "--label-map", "3:nose,4:eyes,5:mouth", "--ignore", "9")
    assert set(by_list["summary"]) == {"nose", "eyes", "mouth"}
    assert all(entry["mean"] == 1 for entry in by_list["summary"].values())
    assert numbers(*arguments, "--label-map", "3:nose,4:eyes,5:mouth")["summary"]["nose"]["mean"] < 0.9
    fasseg = numbers(*arguments, "--label-map", "fasseg", "--ignore", "9")["summary"]
    assert fasseg["eyes"]["mean"] == 1 and "right_eye" not in fasseg
    assert fasseg["brows"]["mean"] == 0  # the fit shows brows, the labels have none
    absent = numbers(*arguments, "--label-map", "fasseg", "--skip-absent")["summary"]
    assert absent["brows"] == {"mean": None, "std": None, "n": 0}


def test_label_maps():
    assert parse_label_map("1:skin, 7:left_eye") == {1: "skin", 7: "left_eye"}
    assert scored_parts({1: "left_eye", 2: "right_eye"}) == ("left_eye", "right_eye", "eyes")
    assert scored_parts({1: "eyes"}) == ("eyes",) and scored_parts({1: "hair"}) == ()
    assert set(scored_parts(parse_label_map("facefit"))) >= {"mouth", "lips", "eyes", "skin"}
    picture = np.array([[0, 4], [5, 200]], np.uint8)
    labels = to_labels(picture, {4: "eyes", 5: "mouth"})
    assert part_iou(labels, labels)["eyes"] == 1 and labels[1, 1] == 0
    for wrong in ("eyes", "4=eyes", "4:ear_ring", "x:nose", "300:nose", ""):
        with pytest.raises(ValueError, match="accepted: facefit, fasseg"):
            parse_label_map(wrong)


def test_the_papers_protocol_parses_the_render(folder, toy, monkeypatch):
    """A parser that knows only colours: what it sees in the render against what it sees in the photo."""
    from facefit.observe.segment.contract import Segmentation

    seen = []

    class Parser:
        def segment(self, image, landmarks, window=None):
            seen.append((image.copy(), landmarks, window))
            nose = np.zeros(image.shape[:2], np.uint8)
            nose[200:300, 240:280] = LABEL["nose"]
            return Segmentation(nose, np.ones(image.shape[:2], np.float32))

    class Detector:
        def detect(self, image):
            found.append(image.shape)
            return []

    found = []
    monkeypatch.setattr("facefit.observe.segment.load.load_segmenter", lambda spec: Parser())
    monkeypatch.setattr("facefit.observe.detector.load_detector", Detector)
    one = folder / "fits" / "s1" / "front" / "7.json"
    result = numbers("parts", one, "--parser", "auto", "--model", toy)
    assert result["fits"][0]["part_iou"]["nose"] == 1 and result["fits"][0]["labels"] is None
    (render, landmarks, window), (photo, _, again) = seen
    assert render.shape == photo.shape == (512, 512, 3) and window.size == again.size == 512
    assert np.ptp(render[:5, :5]) == 0 and np.abs(render - photo).mean() > 0.02
    inside = (landmarks > 0).all() and (landmarks < 512).all()
    assert inside and np.ptp(landmarks[:, 0]) > 100
    assert found == [(360, 420, 3)]
    # with label pictures the photo is not needed
    labelled = numbers("parts", one, "--parser", "auto", "--labels", folder / "labels", "--model", toy)
    assert 0 < labelled["fits"][0]["part_iou"]["nose"] < 1


def test_errors_of_parts(folder, toy, tmp_path):
    fits, model = folder / "fits", ("--model", toy)
    assert "--labels DIR or --parser" in run("parts", fits, code=2)
    assert "no such folder" in run("parts", fits, "--labels", tmp_path / "none", *model, code=2)
    assert "accepted: facefit, fasseg" in run("parts", fits, "--labels", tmp_path, "--label-map", "x", code=2)
    assert "no label picture in" in run("parts", fits, "--labels", tmp_path, *model, code=4)
    assert "face model toy" in run("parts", fits, "--labels", folder / "labels", code=4)  # not the default model
    one = ("parts", fits / "s1/front/7.obj", "--labels", tmp_path, *model)
    Image.new("L", (10, 10)).save(tmp_path / "7.png")
    assert "is 10 x 10 pixels; the photo was 420 x 360" in run(*one, code=4)
    Image.new("RGB", (420, 360)).save(tmp_path / "7.png")
    assert "mode RGB" in run(*one, code=4)
    (tmp_path / "7.png").write_bytes(b"no picture")
    assert "not an image that can be read" in run(*one, code=4)
    # the photo itself is never taken for its labels
    assert "no label picture" in run("parts", fits, "--labels", folder / "photos", *model, code=4)


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


def test_damaged_parameters_are_named(folder, toy, tmp_path):
    document = json.loads((folder / "fits/s1/front/7.json").read_text())
    document["parameters"]["identity"] = [0.0, 1.0]
    (tmp_path / "7.json").write_text(json.dumps(document))
    message = run("parts", tmp_path / "7.json", "--labels", folder / "labels", "--model", toy, code=4)
    assert "identity has shape (2,); expected (4,)" in message


# ---------------------------------------------------------------- landmarks


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


# ---------------------------------------------------------------- scan

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
            away = np.abs(((bumps[region] - corner[:, 0]) * normal).sum(1)) / np.linalg.norm(normal, axis=1)
        # on an edge either plane will do
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
    run("scan", ours, scan / "scan.npz", "--align", "similarity", "--region", "all", "--error-max", "2", "--samples", 2000,
        "--error-map", tmp_path / "e.ply", "--error-map", tmp_path / "e.png")  # fmt: skip
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


# ---------------------------------------------------------------- mesh files


def test_ply_and_obj_of_every_kind(tmp_path):
    verts = np.array([[0, 0, 0], [2, 0, 0], [2, 1, 0], [0, 1, 0.5]])
    expected = [[0, 1, 2], [0, 2, 3]]
    lines = ("# c", "v 0 0 0", "v 2 0 0", "v 2 1 0 0.5 0.5 0.5", "v 0 1 0.5", "vt 0 0", "f 1/1 2/1 3/1 -1/1")
    (tmp_path / "quad.obj").write_text("\n".join(lines))
    head = "ply\nformat {} 1.0\ncomment x\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n"
    head += "property uchar red\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n"
    text = head.format("ascii") + "\n".join(f"{x} {y} {z} 9" for x, y, z in verts) + "\n4 0 1 2 3\n"
    (tmp_path / "ascii.ply").write_text(text)
    for name, order in (("binary_little_endian", "<"), ("binary_big_endian", ">")):
        table = np.zeros(4, [("p", order + "f4", 3), ("r", "u1")])
        table["p"] = verts
        face = np.uint8(4).tobytes() + np.array([0, 1, 2, 3], order + "i4").tobytes()
        (tmp_path / f"{name}.ply").write_bytes(head.format(name).encode() + table.tobytes() + face)
    for path in tmp_path.iterdir():
        mesh = read_mesh(path)
        same = sorted(np.roll(face, -int(face.argmin())).tolist() for face in mesh.faces)
        assert np.allclose(mesh.verts, verts, atol=1e-6) and same == expected, path.name


def test_points_of_every_kind(tmp_path):
    points = [[1.0, 2.0, 3.0], [4.5, 5.0, -6.0]]
    np.save(tmp_path / "a.npy", points)
    (tmp_path / "a.json").write_text(json.dumps({"points": points}))
    (tmp_path / "a.txt").write_text("1 2 3\n4.5 5 -6\n\n")
    (tmp_path / "a.csv").write_text("1,2,3\n4.5,5,-6\n")
    (tmp_path / "a.pts").write_text("version: 1\nn_points: 2\n{\n1 2 3\n4.5 5 -6\n}\n")
    (tmp_path / "a.pp").write_text('<!DOCTYPE PickedPoints><PickedPoints><point x="1" y="2" z="3" name="0" active="1"/>'
                                   '<point x="4.5" y="5" z="-6" name="1" active="1"/></PickedPoints>')  # fmt: skip
    for path in tmp_path.iterdir():
        assert read_points(path).tolist() == points, path.name


# ---------------------------------------------------------------- compare


@pytest.fixture(scope="module")
def better(folder, tmp_path_factory, toy):
    """The same fits, with smaller errors; one more photo."""
    root = tmp_path_factory.mktemp("better")
    for path in (folder / "fits").rglob("*.json"):
        document = json.loads(path.read_text())
        document["landmark_error"] -= 0.005 if path.stem == "7" else 0.015
        document["part_iou"]["nose"] = 0.9
        place = root / path.relative_to(folder / "fits")
        place.parent.mkdir(parents=True)
        place.write_text(json.dumps(document))
    (root / "s1" / "front" / "extra.json").write_text(json.dumps(document))
    return root


def test_two_sets_side_by_side(folder, better):
    result = numbers("compare", folder / "fits", better)
    error = result["summary"]["landmark_error"]
    assert error["first"] == pytest.approx(0.025) and error["second"] == pytest.approx(0.015)
    assert error["difference"] == pytest.approx(-0.01) and error["standard_error"] == pytest.approx(0.005)
    assert (error["better"], error["worse"], error["n"]) == (2, 0, 2)
    iou = result["summary"]["part_iou"]
    assert iou["difference"] == pytest.approx(0.1) and iou["better"] == 2
    assert result["only_first"] == [] and result["only_second"] == ["s1/front/extra"]
    table = run("compare", folder / "fits", better)
    assert "landmark_error" in table and "only in B: 1 (s1/front/extra)" in table


def test_a_sheet_of_both(folder, better, toy, tmp_path):
    run("compare", folder / "fits", better, "--sheet", tmp_path / "sheet.png", "--rows", "1", "--model", toy)
    picture = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert picture.shape == (256, 5 * 256, 3) and picture.std() > 10
    run("compare", folder / "fits", better, "--sheet", tmp_path / "sheet.png", "--model", toy)
    assert np.asarray(Image.open(tmp_path / "sheet.png")).shape == (512, 5 * 256, 3)


def test_errors_of_compare(folder, better, tmp_path):
    assert "ends in .png" in run("compare", folder / "fits", better, "--sheet", "a.jpg", code=2)
    assert "no fit has the same name" in run("compare", folder / "fits/s1/front", folder / "fits/s1/side", code=4)
    assert "does not exist" in run("compare", folder / "fits", better, "--json", tmp_path / "no" / "x.json", code=6)


# ---------------------------------------------------------------- benchmarks


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


def test_realys_keypoints_on_the_default_model():
    model = load_model()
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


# ---------------------------------------------------------------- the group


def test_help_is_complete_and_light():
    assert "compare" in run() and "export-realy" in run("--help")
    for name in ("parts", "landmarks", "scan", "compare", "export-now", "export-realy"):
        text = run(name, "--help")
        assert "Example" in text and "--model" in text
    assert "No such command" in run("part", code=2)
