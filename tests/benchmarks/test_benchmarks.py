"""The harness counts right: settings, label tables, means, comparisons, tables. The fits themselves are not run."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.rendered_face import person, photograph
from PIL import Image

from benchmarks.__main__ import write_page
from benchmarks.bars import Bar, markdown
from benchmarks.compare import compare
from benchmarks.dataset import Case, cases, read_labels, spread
from benchmarks.evaluate import caption
from benchmarks.overrides import apply_overrides
from benchmarks.scoring import corrected_landmark_error, label_figures, outline_figures
from benchmarks.sheet import write_sheets
from benchmarks.summary import average, interval, summarise, tables, text_table
from facefit.anatomy.parts import LABEL
from facefit.fit.config import FitConfig
from facefit.fit.result import FitResult
from facefit.geometry.camera import window_camera
from facefit.metrics.landmark_error import landmark_error
from facefit.scene.scene import Scene


def row(group: str, iou: float, error: float = 0.02, **more) -> dict:
    fit = {"iterations": 3.0, "seconds_whole": 1.0, "diverged": float(error > 0.1), "landmark_error": error}
    return {"set": "fasseg", "group": group, "iou": iou, **fit, **more}


def test_overrides_keep_the_type_of_what_they_replace():
    config = apply_overrides(
        FitConfig(), ["weights.prdl=0.5", "energies=landmark, prdl", "stage.iterations=7", "calibrated=false",
                      "max_seconds=inf", "part_weights=1,2"]
    )  # fmt: skip
    assert config.weights.prdl == 0.5
    assert config.energies == ("landmark", "prdl")
    assert config.stage.iterations == 7 and isinstance(config.stage.iterations, int)
    assert config.calibrated is False
    assert config.max_seconds == float("inf")
    assert config.part_weights == (1.0, 2.0)
    assert config.weights.landmark == FitConfig().weights.landmark


@pytest.mark.parametrize(
    "assignment", ["weights.prdl", "weights.nothing=1", "weights=1", "stage.iterations=1.5", "weights.prdl=True",
                   "weights.prdl=x", "calibrated=1", "window.size=3"]
)  # fmt: skip
def test_wrong_overrides_name_the_assignment(assignment):
    with pytest.raises(ValueError, match=assignment.split("=")[0].split(".")[0]):
        apply_overrides(FitConfig(), [assignment])


def test_spread_takes_both_ends_and_keeps_the_order():
    items = [Case("wild", str(n), None, "wild") for n in range(16)]
    assert [case.name for case in spread(items, 4)] == ["0", "5", "10", "15"]
    assert spread(items, None) == items and spread(items, 20) == items


def fasseg_case(folder, labels: np.ndarray, brows: bool = True) -> Case:
    Image.fromarray(labels.astype(np.uint8)).save(folder / "a_label.png")
    return Case("fasseg", "a", folder / "a.png", "V2", folder / "a_label.png", brows=brows)


def test_fasseg_labels_become_ours_and_brows_only_where_they_were_found(tmp_path):
    raw = np.array([[0, 1, 2, 3, 4, 5, 6]])
    found = [LABEL[name] for name in ("background", "skin", "hair", "nose", "right_eye", "upper_lip", "right_brow")]
    assert read_labels(fasseg_case(tmp_path, raw)).tolist() == [found]
    assert read_labels(fasseg_case(tmp_path, raw, brows=False)).tolist() == [[*found[:-1], 0]]


def test_label_figures_by_hand(tmp_path):
    truth = np.zeros((4, 8), int)
    truth[0], truth[1], truth[2] = 3, 4, 5  # nose, eyes, mouth, 8 pixels each
    seen = np.zeros((4, 8), np.uint8)
    seen[0, :6] = LABEL["nose"]  # 6 of 8
    seen[1, :2], seen[1, 2:4] = LABEL["right_eye"], LABEL["left_eye"]  # 4 of 8
    seen[2, :1], seen[2, 1:2], seen[3, :2] = LABEL["upper_lip"], LABEL["mouth_inside"], LABEL["lower_lip"]  # 2 of 10
    figures = label_figures(fasseg_case(tmp_path, truth), seen)
    assert figures["iou_nose"] == 0.75 and figures["iou_eyes"] == 0.5 and figures["iou_mouth"] == pytest.approx(0.2)
    assert figures["iou"] == pytest.approx((0.75 + 0.5 + 0.2) / 3)
    assert figures["area_nose"] == 0.75 and figures["area_mouth"] == 0.5
    assert "iou_brows" not in figures  # the labels have none


def test_a_perfect_fit_of_a_turned_head_has_an_error_of_landmarks_but_no_corrected_one_and_its_outline(default_model):
    def figures(*parameters):
        result = FitResult(default_model, *parameters, seen.camera, seen.window, seen, np.zeros((2, 2, 3), np.uint8))
        return corrected_landmark_error(result), outline_figures(result)

    photo = photograph(default_model, person(default_model, yaw=45, seed=6))
    seen, truth = photo.observation, photo.truth
    camera = window_camera(seen.camera, seen.window)
    plain = landmark_error(Scene(default_model, truth, camera, seen.size).landmarks(), seen.landmarks)
    corrected, outline = figures(truth)
    assert plain > 0.02 and corrected < 1e-3
    assert outline["outline"] < 0.01 and abs(outline["outline_signed"]) < 0.005
    away, moved = figures(replace(truth, translation=truth.translation + torch.tensor([[5.0, 0.0, 0.0]])))
    assert away > 0.04 and moved["outline"] > 3 * outline["outline"]
    small, shrunk = figures(replace(truth, translation=1.04 * truth.translation))
    assert small > 0.005 and shrunk["outline_signed"] < -0.01  # farther away: within its outline


def test_cases_of_a_folder(tmp_path):
    (tmp_path / "synthetic").mkdir()
    (tmp_path / "synthetic" / "a_00.json").write_text(
        json.dumps({"image": "a_00.png", "scan": "a", "scan_file": "scans/a.npz", "K": [[700, 0, 9], [0, 700, 9]]})
    )
    (found,) = cases(tmp_path, "synthetic")
    assert (found.name, found.group, found.focal) == ("a_00", "a", 700.0)
    assert found.scan == tmp_path / "scans" / "a.npz" and found.photo == tmp_path / "synthetic" / "a_00.png"
    (tmp_path / "population").mkdir()
    (tmp_path / "population" / "person_003.json").write_text(json.dumps({"K": [[800, 0, 9], [0, 800, 9], [0, 0, 1]]}))
    (person,) = cases(tmp_path, "population")
    assert (person.name, person.focal, person.scan.name) == ("person_003", 800.0, "person_003.npz")
    with pytest.raises(FileNotFoundError, match="wild"):
        cases(tmp_path, "wild")
    with pytest.raises(ValueError, match="accepted: synthetic"):
        cases(tmp_path, "other")


def test_means_leave_out_what_is_missing_and_failures():
    assert average([{"a": 1.0, "b": 4.0, "set": "x"}, {"a": 2.0}]) == {"a": 1.5, "b": 4.0}
    photos = {
        "fasseg/1": row("V2", 0.8), "fasseg/2": row("V3", 0.6), "fasseg/3": row("V3", 0.4, error=0.2),
        "fasseg/4": {"set": "fasseg", "group": "V2", "error": "NoFaceError: no face"},
    }  # fmt: skip
    sets = summarise(photos)
    assert sets["fasseg"]["V2"]["iou"] == 0.8 and sets["fasseg"]["V3"]["iou"] == 0.5
    assert list(sets["fasseg"]) == ["V2", "V3", "all"] and sets["fasseg"]["all"]["iou"] == pytest.approx(0.6)
    text = tables(photos, sets)
    assert "V2 (1)" in text and "all (3)" in text and "4 photos, 1 failed, 1 diverged" in text
    assert "failed fasseg/4: NoFaceError" in text and "diverged fasseg/3: landmark error 20.0%" in text
    assert caption(photos["fasseg/3"]).endswith("DIVERGED") and caption(photos["fasseg/4"]).startswith("FAILED")


def test_a_population_says_how_sure_its_mean_is():
    errors = np.random.default_rng(0).normal(1.2, 0.3, 40)
    low, high = interval(errors)
    assert low < errors.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * errors.std() / 40**0.5, rel=0.15)
    photos = {f"population/{k}": {"set": "population", "group": "population", "scan_similarity": error,
                                  "scan_rigid": error + 1, "mean_face_similarity": 1.2, "mean_face_rigid": 9.0}
              for k, error in enumerate(errors)}  # fmt: skip
    text = tables(photos, summarise(photos))
    assert f"similarity: {low:.3f} to {high:.3f} for 95 % of draws of 40 people" in text
    assert f"{(errors < 1.2).sum()} better than the mean face" in text and "40 better than the mean face" in text


def test_compare_counts_each_photo_in_the_right_direction():
    first = {"config": {"weights": {"prdl": 1.0}}, "photos": {
        "fasseg/1": row("V2", 0.8), "fasseg/2": row("V2", 0.6), "fasseg/3": row("V2", 0.5),
        "fasseg/4": {"set": "fasseg", "group": "V2", "error": "x"},
    }}  # fmt: skip
    second = {"config": {"weights": {"prdl": 2.0}}, "photos": {
        "fasseg/1": row("V2", 0.9, 0.03), "fasseg/2": row("V2", 0.5), "fasseg/3": row("V2", 0.6),
        "fasseg/4": row("V2", 0.1),
    }}  # fmt: skip
    text = compare(first, second)
    assert "weights.prdl: A 1.0, B 2.0" in text
    iou = next(line.split() for line in text.splitlines() if "part IoU" in line)
    assert iou[-2:] == ["2", "1"]
    error = next(line.split() for line in text.splitlines() if "landmark error" in line)
    assert error[-2:] == ["0", "1"]  # more is worse
    assert "failed in A alone: fasseg/4" in text


def test_bars_and_tables():
    assert Bar("a", 1.0, 1.1).met is True and Bar("a", 1.0, 1.1, more=True).met is False
    assert Bar("a", None, 1.1).met is None and Bar("a", 1.0).met is None
    assert "| a | 1.20 mm | <= 1.10 mm | missed |" in markdown([Bar("a", 1.2, 1.1, unit="mm", digits=2)])
    assert text_table(["x", "long"], [["abc", "1"]]) == ["x    long", "abc     1"]


def test_page_keeps_the_section_that_was_not_measured(tmp_path):
    page = tmp_path / "docs" / "page.md"
    write_page(page, {"Speed": "fast", "Quality": "good"})
    write_page(page, {"Speed": "faster"})
    text = page.read_text()
    assert "## Speed\n\nfaster\n" in text and "## Quality\n\ngood\n" in text and "fast\n\n" not in text


def test_sheets_hold_every_tile_once(tmp_path):
    tiles = [(np.full((10, 50, 3), 10 * (n + 1), np.uint8), f"tile {n}") for n in range(5)]
    paths = write_sheets(tiles, tmp_path, "wild", columns=2, rows=2)
    assert [path.name for path in paths] == ["wild_1.png", "wild_2.png"]
    pages = [np.asarray(Image.open(path)) for path in paths]
    assert pages[0].shape == (2 * (10 + 16), 2 * (50 + 8), 3)
    assert pages[0][16 + 5, 5, 0] == 10 and pages[0][26 + 16 + 5, 58 + 5, 0] == 40 and pages[1][16 + 5, 5, 0] == 50
