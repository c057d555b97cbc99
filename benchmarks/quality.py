"""How good the fits of the evaluation sets are, each figure beside its bar."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.bars import Bar
from benchmarks.evaluate import Task, evaluate, select
from benchmarks.summary import interval, tables
from facefit.fit.config import FitConfig


def quality(data: Path, jobs: int, limit: int | None = None, out: Path | None = None) -> tuple[list[Bar], str]:
    """The bars, and the full tables as text. A set that is absent is left out.

    Args:
        limit: at most so many photos of each set, for a quick look.
    """
    photos = select(data, "synthetic,population,fasseg,wild,ict_synthetic", limit=limit)
    summary = evaluate(Task(FitConfig(), panel=160 if out else 0), photos, jobs=jobs, out=out)
    rows, sets = summary["photos"], summary["sets"]
    failed = sum("error" in row for row in rows.values())
    diverged = sum(bool(row.get("diverged")) for row in rows.values())
    bars = [Bar("photos that failed or diverged", failed + diverged, 0, digits=0, note=f"of {len(rows)}")]
    bars += _scans(sets) + _population(rows)
    for group, bar in (("V2", 0.76), ("V3", 0.72)):
        if group in sets.get("fasseg", {}):
            bars.append(Bar(f"fasseg {group}: part IoU, nose, eyes, mouth", sets["fasseg"][group]["iou"], bar, True))
    if "ict_synthetic" in sets:
        bars.append(Bar("ict_synthetic: part IoU, 7 parts", sets["ict_synthetic"]["all"]["iou"], 0.75, True))
    text = tables(rows, sets)
    if "wild" in sets:
        error = sets["wild"]["all"]["landmark_error"]
        bars.append(Bar("wild: landmark error", 100 * error, 2.0, unit="%", digits=2, note="of the eye distance"))
        alone = Task(replace(FitConfig(), energies=("prdl",)))
        wild = evaluate(alone, [case for case in photos if case.set == "wild"], jobs=jobs, out=out and out / "prdl")
        bars.append(
            Bar("wild: PRDL alone, IoU of the 7 inner parts with its masks", wild["sets"]["wild"]["all"]["self_iou"],
                0.636, True)
        )  # fmt: skip
        text += "\n\nPRDL alone\n\n" + tables(wild["photos"], wild["sets"])
    return bars + _segmenter(data, limit), text


def _scans(sets: dict) -> list[Bar]:
    if "synthetic" not in sets:
        return []
    groups = sets["synthetic"]
    scans = {name: figures for name, figures in groups.items() if name != "all"} or groups
    both = {key: float(np.mean([scan[key] for scan in scans.values()])) for key in ("scan_similarity", "scan_rigid")}
    note = "median, mean of the scans"
    bars = [
        Bar("synthetic: scan error, similarity", both["scan_similarity"], 1.10, unit="mm", note=note),
        Bar("synthetic: scan error, rigid", both["scan_rigid"], 1.60, unit="mm", note=note),
    ]
    for name, scan in scans.items():
        bars.append(
            Bar(f"synthetic {name}: similarity, against the mean face", scan["scan_similarity"],
                scan["mean_face_similarity"], unit="mm")
        )  # fmt: skip
    return bars


def _population(rows: dict[str, dict]) -> list[Bar]:
    people = [row for row in rows.values() if row["set"] == "population" and "scan_similarity" in row]
    if len(people) < 2:
        return []
    bars = []
    for align, bar in (("similarity", 1.0), ("rigid", None)):
        errors = np.array([row[f"scan_{align}"] for row in people])
        mean_face = float(np.mean([row[f"mean_face_{align}"] for row in people]))
        low, high = interval(errors)
        note = f"{len(people)} people, 95 % {low:.2f} to {high:.2f}; mean face {mean_face:.2f}"
        bars.append(Bar(f"population: scan error, {align}", float(errors.mean()), bar, unit="mm", note=note))
    return bars


def _segmenter(data: Path, limit: int | None) -> list[Bar]:
    """Pixel accuracy of the default segmenter against hand labels, before post-processing."""
    index = data / "fasseg" / "index.json"
    if not index.is_file():
        return []
    import imageio.v3 as iio

    from facefit.anatomy.label_maps import fasseg_numbers
    from facefit.evaluate.segmenter import face_window, score_fasseg
    from facefit.observe.detector import load_detector
    from facefit.observe.parse import PARSE_WINDOW, to_photo
    from facefit.observe.segment.load import load_segmenter
    from facefit.photo.photo import read_photo

    detector, segmenter = load_detector(), load_segmenter("auto")
    table = fasseg_numbers()
    scores = []
    for item in json.loads(index.read_text())["items"][:limit]:
        photo = read_photo(index.parent / f"{item['name']}.png")
        truth = iio.imread(index.parent / f"{item['name']}_label.png", mode="L")
        points = detector.detect(photo.pixels)[0].landmarks
        image, inside, window = face_window(photo.pixels, points, PARSE_WINDOW)
        labels = segmenter.segment(image, inside, window).labels
        seen = table[to_photo(labels, window, photo.pixels.shape[:2])]
        scores.append(score_fasseg(seen, truth, points, item["brows_found"] == 2)["accuracy"])
    return [Bar("fasseg: pixel accuracy of the default segmenter", float(np.mean(scores)), 0.75, True)]
