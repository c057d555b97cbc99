"""The report: its plan, its page, causes, zones of the surface, and figures that are never mixed between versions."""

import json

import numpy as np
import pytest
from PIL import Image

from benchmarks.bars import Bar
from benchmarks.dataset import Case
from benchmarks.report.__main__ import KEPT, main, start_over
from benchmarks.report.agreement import Pair, agreement_bars
from benchmarks.report.causes import cause, verdict_of
from benchmarks.report.eyes import EYES, closing_eyes, eye_polygons
from benchmarks.report.fitting import Task, figures_path, fingerprint, pictured, read_figures
from benchmarks.report.page import Report, worst_table, write_page
from benchmarks.report.pictures import best_median_worst, captioned, ranked
from benchmarks.report.runs import CLEAN, SPOILT, VARIANTS, Run, Work, plan
from benchmarks.report.surface import ZONES, zones
from facefit.anatomy.parts import LABEL
from facefit.fit.config import FitConfig


def test_a_run_has_no_limit_on_time_and_one_name():
    config = FitConfig(max_seconds=5.0)
    assert Run("prdl").config(config).energies == ("landmark", "prdl")
    assert Run("full").config(config).max_seconds == float("inf")
    names = [run.name for run in (*CLEAN, *SPOILT)]
    assert len(set(names)) == len(names) and "landmarks_shifted.prdl" in names


def wild(folder, count=3):
    (folder / "wild").mkdir()
    for number in range(count):
        Image.new("RGB", (8, 8)).save(folder / "wild" / f"{number}.png")


def test_plan_names_what_is_absent_and_keeps_to_the_limit(tmp_path):
    wild(tmp_path)
    work, absent = plan(tmp_path, tmp_path / "out", limit=2)
    assert [item.case.name for item in work] == ["0", "2"]
    assert Run("prdl_only") in work[0].runs and len(work[0].runs) == len(VARIANTS) + 1
    assert len(absent) == 5 and any("ict_synthetic" in line for line in absent)


def test_figures_of_another_version_are_set_aside(tmp_path):
    assert not start_over(tmp_path, "a")
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "x.json").write_text("{}")
    assert not start_over(tmp_path, "a") and (tmp_path / "figures" / "x.json").is_file()
    assert start_over(tmp_path, "b")
    assert not (tmp_path / "figures").exists() and (tmp_path / "before" / "figures" / "x.json").is_file()
    assert "figures" in KEPT


def test_the_fingerprint_changes_with_the_settings(tmp_path):
    first = fingerprint(Task(FitConfig(), tmp_path))
    assert first == fingerprint(Task(FitConfig(), tmp_path / "elsewhere"))
    assert first != fingerprint(Task(FitConfig(window=112), tmp_path))


def row(name: str, **figures) -> dict:
    common = {"set": name, "group": "a", "landmark_error": 0.02, "self_iou": 0.8, "yaw_degrees": 3.0, "diverged": 0.0}
    return common | figures


def runs() -> dict:
    full = {
        f"fasseg/v2_{k}": row("fasseg", iou=0.6 + 0.05 * k, iou_nose=0.8, iou_eyes=0.4, iou_mouth=0.8, mask_eyes=0.7,
                              fit_eyes=0.5, outline_eyes=0.6)
        for k in range(6)
    }  # fmt: skip
    full |= {f"synthetic/s_{k}": row("synthetic", scan_similarity=1.0 + k / 10, scan_where="nose") for k in range(3)}
    full["blinks/ict_00_wink_left"] = row("blinks", iou=0.5, closed_iou=0.3, closed_pixels=60.0, closed_target=20.0)
    full["wild/gone"] = {"set": "wild", "group": "wild", "error": "NoFaceError: no face"}
    landmark = {key: {**figures, "iou": 0.5} if "iou" in figures else figures for key, figures in full.items()}
    return {"full": full, "landmark": landmark}


def test_the_page_tells_bars_worst_photos_and_failures(tmp_path):
    for key in runs()["full"]:
        path = tmp_path / "out" / "pictures" / "full" / f"{key}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (100, 20)).save(path)
    report = Report(runs(), tmp_path / "out", "a machine.", (Bar("agreement", 0.0, 0.01),), ("x is absent",))
    write_page(report, tmp_path / "docs" / "results.md")
    text = (tmp_path / "docs" / "results.md").read_text()
    for words in ("a machine.", "| agreement | 0.000 | <= 0.010 | met |", "failed: wild/gone: NoFaceError",
                  "skipped: x is absent", "images/results_synthetic.jpg", "Other data", "## Failure analysis",
                  "| fasseg/v2_0 | Part IoU 0.600 |"):  # fmt: skip
        assert words in text
    shown = {path.name for path in (tmp_path / "docs" / "images").iterdir()}
    assert shown == {"results_synthetic.jpg", "results_blinks.jpg", "results_closed_eyes.jpg"}  # no photo of a person
    assert (tmp_path / "out" / "sheets" / "fasseg.jpg").is_file()


def test_worst_come_first_and_no_more_than_a_third(tmp_path):
    lines = [line.split(" | ")[0] for line in worst_table(runs()).splitlines() if "fasseg" in line]
    assert lines == ["| fasseg/v2_0", "| fasseg/v2_1"]


@pytest.mark.parametrize(
    ("mesh", "mask", "outline", "own", "words"),
    [
        (0.8, 0.9, 0.9, 0.9, "good enough"),
        (0.4, 0.3, 0.3, 0.9, "segmenter and detector both miss"),
        (0.5, 0.4, 0.8, 0.9, "the segmenter misses the part"),
        (0.5, 0.8, 0.4, 0.9, "the detector is off"),
        (0.5, 0.8, 0.8, 0.5, "the mesh does not follow masks that are right"),
        (0.7, 0.7, 0.7, 0.9, "no single cause"),
    ],
)
def test_three_overlaps_name_the_cause(mesh, mask, outline, own, words):
    figures = row("fasseg", iou_eyes=mesh, mask_eyes=mask, outline_eyes=outline, fit_eyes=own)
    assert verdict_of(figures).startswith(words)
    assert words in cause("fasseg/x", figures)
    assert verdict_of(row("wild")) is None


def test_causes_of_photos_without_truth():
    assert "landmarks 8.0% off" in cause("wild/x", row("wild", landmark_error=0.08, yaw_degrees=70.0))
    assert "head turned by 70 degrees" in cause("wild/x", row("wild", yaw_degrees=-70.0))
    assert "most of it at the nose" in cause("synthetic/x", row("synthetic", scan_similarity=1.2, scan_where="nose"))
    assert cause("wild/x", {"set": "wild", "error": "NoFaceError: none"}) == "NoFaceError: none"


def test_best_median_and_worst_are_named_once():
    rows = {"a": {"x": 3.0}, "b": {"x": 1.0}, "c": {"x": 2.0}, "d": {}}
    assert ranked(rows, "x", True) == ["b", "c", "a"] and ranked(rows, "x", False) == ["a", "c", "b"]
    assert best_median_worst(["b", "c", "a"]) == [("b", "best"), ("c", "median"), ("a", "worst")]
    assert best_median_worst(["b"]) == [("b", "best")]
    assert captioned(np.zeros((10, 60, 3), np.uint8), "x").shape == (26, 60, 3)


def test_figures_are_read_back_by_run_and_photo(tmp_path):
    case = Case("wild", "a", tmp_path / "a.png", "wild")
    path = figures_path(tmp_path, Run("full"), case)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"set": "wild", "x": 1.0}))
    assert read_figures(tmp_path, [Work(case, CLEAN)]) == {"full": {"wild/a": {"set": "wild", "x": 1.0}}}
    assert pictured(Run("full"), case) and not pictured(Run("landmark"), case)


def test_eyes_that_close_are_outlined():
    case = Case("wild", "down_hair_occlusion", None, "wild")
    assert closing_eyes(case) == EYES
    labels = eye_polygons(case, (450, 450))
    for name in EYES:
        assert 50 < (labels == LABEL[name]).sum() < 400
    assert closing_eyes(Case("wild", "baby", None, "wild")) == ()
    assert closing_eyes(Case("blinks", "ict_00_wink_left", None, "wink_left")) == ("left_eye",)
    assert closing_eyes(Case("synthetic", "lps_00", None, "lps")) == EYES
    assert closing_eyes(Case("synthetic", "james_00", None, "james")) == ()


def test_zones_of_a_face():
    seven = np.array([[-45, 0, 0], [-15, 0, 5], [15, 0, 5], [45, 0, 0], [0, -40, 20], [-25, -65, 10], [25, -65, 10]])
    places = {"forehead": (0, 40, 0), "eyes": (30, 0, 0), "nose": (0, -30, 20), "cheeks": (50, -35, 0),
              "mouth": (0, -65, 10), "chin": (0, -100, 0), "jaw": (50, -80, 0)}  # fmt: skip
    found = zones(np.array(list(places.values()), float), seven.astype(float))
    assert [ZONES[k] for k in found] == list(places)


def test_agreement_takes_the_largest_difference():
    pairs = {"scan": [Pair("a", "median", 1.0, 1.0), Pair("b", "median", 1.03, 1.0)], "parts": []}
    scan, parts = agreement_bars(pairs)
    assert scan.value == pytest.approx(3.0) and scan.met is False and "2 cases" in scan.note
    assert parts.value is None


def test_wrong_use_is_one_line(tmp_path, capsys):
    assert main([str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 2
    assert "is absent" in capsys.readouterr().err
    wild(tmp_path)
    assert main([str(tmp_path), "--out", str(tmp_path / "out"), "--set", "weights.nothing=1"]) == 2
    assert "weights.nothing=1" in capsys.readouterr().err
