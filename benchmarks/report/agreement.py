"""Do `facefit eval scan` and `facefit eval parts` say what independent scripts say of the same files?

    python -m benchmarks.report.agreement DATA_DIR [--metrics FOLDER] [--cases 20]

FOLDER holds `scan_error.py` and `part_iou.py`, written from the protocols' definitions by somebody else; they share no
code with facefit. The fits are cut short: here it is the metric that is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.bars import Bar
from benchmarks.dataset import DATA_VARIABLE, Case, cases, spread
from benchmarks.reference import CLASSES, script

SCAN_BAR, PARTS_BAR = 0.01, 0.002
ALIGNMENTS = ("similarity", "rigid")


@dataclass(frozen=True)
class Pair:
    """One figure, twice."""

    case: str
    figure: str
    facefit: float
    script: float

    @property
    def difference(self) -> float:
        return self.facefit - self.script


def facefit(*arguments: str) -> dict:
    """What `facefit ARGUMENTS --json -` prints.

    Raises:
        RuntimeError: it ends with an error.
    """
    from facefit.commands import cli

    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            cli([*arguments, "--json", "-"])
    except SystemExit as stop:  # it always ends with one
        if stop.code:
            raise RuntimeError(f"facefit {' '.join(arguments)}: exit code {stop.code}") from None
    return json.loads(printed.getvalue())


def scan_pairs(fit: Path, case: Case, metrics: Path) -> list[Pair]:
    """Median and mean of both alignments for one mesh file."""
    printed = facefit("eval", "scan", str(fit), str(case.scan), "--region", "region_oval")
    module = script(metrics, "scan_error")
    verts, faces = module.load_mesh(str(fit))
    points = np.asarray(json.loads(fit.with_suffix(".json").read_text())["landmarks7"], float)
    scan = module.load_scan(str(case.scan))
    pairs = []
    for align in ALIGNMENTS:
        theirs = module.evaluate(verts, faces, points, scan, align, "oval")
        for figure in ("median", "mean"):
            pairs.append(
                Pair(f"{case.set}/{case.name}", f"{align} {figure}", _scan_figure(printed, align, figure),
                     float(theirs[figure]))
            )  # fmt: skip
    return pairs


def _scan_figure(printed: dict, align: str, figure: str) -> float:
    return float(printed[align][figure])


def part_pairs(fit: Path, case: Case, metrics: Path) -> list[Pair]:
    """Every part of one fit; the script compares the label pictures that facefit wrote and the set holds."""
    classes, numbers = CLASSES[case.set]
    meaning = ",".join(f"{number}:{part}" for number, part in classes.items())
    printed = facefit("eval", "parts", str(fit), "--labels", str(case.labels.parent), "--label-map", meaning,
                      "--skip-absent")  # fmt: skip
    ours = printed["fits"][0]["part_iou"]
    module = script(metrics, "part_iou")
    seen, truth = module.read(str(fit.with_name(f"{fit.stem}_mesh_labels.png"))), module.read(str(case.labels))
    theirs = module.iou(module.compare(numbers[seen], truth, classes, gt_only=True)[0], True)[0]
    return [
        Pair(f"{case.set}/{case.name}", part, float(ours[part]), float(theirs[number]))
        for number, part in classes.items() if theirs[number] is not None
    ]  # fmt: skip


def write_fits(chosen: list[Case], folder: Path) -> Iterator[tuple[Case, Path]]:
    """Fit each photo in a few iterations and write mesh, JSON and labels; yields the case and its mesh."""
    from facefit.fit.config import FitConfig, Stage
    from facefit.fit.fit import fit_photo
    from facefit.model.model_file import load_model
    from facefit.observe.detector import load_detector
    from facefit.observe.segment.load import load_segmenter
    from facefit.output.overlay import labels_png
    from facefit.output.write import write_result
    from facefit.photo.photo import read_photo
    from facefit.render import load_renderer

    config = replace(FitConfig(), stage=Stage(iterations=4))
    tools = {
        "model": load_model(), "detector": load_detector(), "segmenter": load_segmenter("auto"),
        "renderer": load_renderer("cpu"),
    }  # fmt: skip
    for case in chosen:
        result = fit_photo(read_photo(case.photo), config, **tools)[0]
        mesh = folder / case.set / f"{case.name}.obj"
        mesh.parent.mkdir(parents=True, exist_ok=True)
        write_result(result, mesh, texture_size=64)
        mesh.with_name(f"{case.name}_mesh_labels.png").write_bytes(labels_png(result.scene, result.photo_size))
        yield case, mesh


def agreement(data: Path, metrics: Path, count: int = 20) -> dict[str, list[Pair]]:
    """`count` cases of each metric.

    Raises:
        FileNotFoundError: a set or a script is absent.
    """
    rendered = cases(data, "ict_synthetic")
    rendered = spread(rendered, min(count // 2, len(rendered)))
    scans = [*rendered, *spread(cases(data, "synthetic"), count - len(rendered))]
    labelled = [*rendered, *spread(cases(data, "fasseg"), count - len(rendered))]
    pairs: dict[str, list[Pair]] = {"scan": [], "parts": []}
    with tempfile.TemporaryDirectory() as folder:
        for case, mesh in write_fits(list(dict.fromkeys([*scans, *labelled])), Path(folder)):
            if case in scans:
                pairs["scan"] += scan_pairs(mesh, case, metrics)
            if case in labelled:
                pairs["parts"] += part_pairs(mesh, case, metrics)
    return pairs


def agreement_bars(pairs: dict[str, list[Pair]]) -> list[Bar]:
    """The largest differences against their bars."""
    out = []
    for name, what, bar, unit, relative in (
        ("scan", "`facefit eval scan` against an independent script, largest difference", 100 * SCAN_BAR, "%", True),
        ("parts", "`facefit eval parts` against an independent script, largest difference", PARTS_BAR, "", False),
    ):
        found = pairs.get(name, [])
        if not found:
            out.append(Bar(what, None, bar, note="not measured"))
            continue
        sizes = [100 * abs(p.difference) / p.script if relative else abs(p.difference) for p in found]
        note = f"{len({pair.case for pair in found})} cases, {len(found)} figures"
        out.append(Bar(what, max(sizes), bar, unit=unit, digits=4, note=note))
    return out


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report.agreement", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("data", type=Path, nargs="?", default=os.environ.get(DATA_VARIABLE), metavar="DATA_DIR")
    parser.add_argument("--metrics", type=Path, metavar="FOLDER", help="default: DATA_DIR/../metrics")
    parser.add_argument("--cases", type=int, default=20, metavar="N")
    options = parser.parse_args(arguments)
    if options.data is None:
        parser.error(f"name the folder of the data, or set {DATA_VARIABLE}")
    metrics = options.metrics or Path(options.data).resolve().parent / "metrics"
    try:
        pairs = agreement(Path(options.data), metrics, options.cases)
    except FileNotFoundError as error:
        print(f"benchmarks.report.agreement: {error}", file=sys.stderr)
        return 2
    for name, found in pairs.items():
        worst = sorted(found, key=lambda pair: -abs(pair.difference))[:3]
        for pair in worst:
            print(f"{name}: {pair.case} {pair.figure}: facefit {pair.facefit:.5f}, script {pair.script:.5f}")
    measured = agreement_bars(pairs)
    for bar in measured:
        print(", ".join(cell for cell in bar.cells() if cell))
    return 0 if all(bar.met for bar in measured) else 1


if __name__ == "__main__":
    sys.exit(main())
