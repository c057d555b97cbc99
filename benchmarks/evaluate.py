"""Fit every photo of the evaluation sets and print how good the fits are.

    python -m benchmarks.evaluate DATA_DIR --out FOLDER
    python -m benchmarks.evaluate DATA_DIR --sets synthetic,wild --jobs 2 --set weights.prdl=2 --sheet
    python -m benchmarks.evaluate DATA_DIR --set energies=prdl --sets wild

DATA_DIR holds the sets of benchmarks/dataset.py; without it the variable FACEFIT_EVAL_DATA names it. With --out, each
photo's figures go to FOLDER/SET/NAME.json and all of them to FOLDER/summary.json; `python -m benchmarks.compare` holds
two of those against each other.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.dataset import DATA_VARIABLE, SETS, Case, cases, read_scan, spread
from benchmarks.overrides import add_overrides, apply_overrides
from benchmarks.processes import one_thread_each
from benchmarks.summary import HEADLINE, summarise, tables
from facefit.fit.config import PRESETS, FitConfig, preset


@dataclass(frozen=True)
class Task:
    """What is done to each photo.

    Attributes:
        config: the settings of the fit. model: a model file, None for the default one.
        segmentation: as the command line's option.
        true_camera: whether the fit may know the focal length, where the set tells it.
        texture: whether the texture is made too (for its time alone).
        panel: side of the pictures for the contact sheet in pixels; 0 for none.
        reference: folder of independent metric scripts, to compute the figures twice.
    """

    config: FitConfig
    model: Path | None = None
    segmentation: str = "auto"
    true_camera: bool = False
    texture: bool = False
    panel: int = 0
    reference: Path | None = None


class Worker:
    """Everything that is loaded once per process."""

    def __init__(self, task: Task) -> None:
        from facefit.model.model_file import load_model
        from facefit.observe.detector import load_detector
        from facefit.observe.segment.load import load_segmenter
        from facefit.render import load_renderer

        self.task = task
        self.model = load_model(task.model)
        self.tools: dict[str, Any] = {
            "detector": load_detector(),
            "segmenter": load_segmenter(task.segmentation),
            "renderer": load_renderer("cpu"),
        }

    def run(self, case: Case) -> tuple[dict, np.ndarray | None]:
        """Figures of one photo, and its pictures. Whatever goes wrong becomes the figure `error`."""
        about = {"set": case.set, "group": case.group}
        try:
            return self._run(case, about)
        except Exception as error:  # a photo that fails is a figure; the others go on
            logging.getLogger(__name__).debug("%s", traceback.format_exc())
            where = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(where.filename).name}:{where.lineno}"
            return {**about, "error": f"{type(error).__name__}: {error} ({place})"}, None

    def _run(self, case: Case, about: dict) -> tuple[dict, np.ndarray | None]:
        from benchmarks.scoring import score
        from facefit.fit.fit import fit_photo
        from facefit.output.overlay import overlay
        from facefit.output.seen_pixels import seen_pixels
        from facefit.output.texture import unwrap
        from facefit.photo.photo import read_photo

        began = time.perf_counter()
        photo = read_photo(case.photo)
        read = time.perf_counter() - began
        focal = case.focal if self.task.true_camera else None
        result = fit_photo(photo, self.task.config, model=self.model, focal=focal, **self.tools)[0]
        whole = time.perf_counter() - began
        figures = {**about, "seconds_read": read, **score(case, result, self.task.reference), "seconds_whole": whole}
        if self.task.texture:
            began = time.perf_counter()
            figures["texture_share"] = float(unwrap(result.scene, seen_pixels(result))[1].mean())
            figures["seconds_texture"] = time.perf_counter() - began
        return figures, overlay(result.scene, result.photo, panel=self.task.panel) if self.task.panel else None


_worker: Worker | None = None


def _begin(task: Task) -> None:
    global _worker
    import torch

    torch.set_num_threads(1)
    _worker = Worker(task)


def _do(case: Case) -> tuple[dict, np.ndarray | None]:
    return _worker.run(case)


def run(task: Task, photos: list[Case], jobs: int = 1) -> Iterator[tuple[Case, dict, np.ndarray | None]]:
    """Fit the photos, in one process with all cores or in `jobs` of one thread each; yields in the order they end."""
    if jobs <= 1:
        worker = Worker(task)
        for case in photos:
            yield case, *worker.run(case)
        return
    with one_thread_each(jobs, _begin, task) as pool:
        waiting = {pool.submit(_do, case): case for case in photos}
        for future in as_completed(waiting):
            case = waiting.pop(future)
            try:
                yield case, *future.result()
            except Exception as error:  # the process died
                yield case, {"set": case.set, "group": case.group, "error": f"{type(error).__name__}: {error}"}, None


def evaluate(
    task: Task, photos: list[Case], *, jobs: int = 1, out: Path | None = None, quiet: bool = False
) -> dict[str, Any]:
    """Fit and score the photos.

    Returns:
        {"config", "photos": "set/name" -> figures, "sets": set -> group -> means, "seconds"}, as in summary.json.
    """
    began = time.perf_counter()
    mean_face = _mean_face(task, photos)  # first, so that it is of the model file that the fits begin with
    figures: dict[str, dict] = {}
    pictures: dict[str, np.ndarray] = {}
    for case, row, picture in run(task, photos, jobs):
        key = f"{case.set}/{case.name}"
        figures[key] = row
        if picture is not None:
            pictures[key] = picture
        if not quiet:
            print(f"[{len(figures)}/{len(photos)}] {key}: {caption(row)}", file=sys.stderr, flush=True)
    figures = {f"{case.set}/{case.name}": figures[f"{case.set}/{case.name}"] for case in photos}
    for case in photos:
        row = figures[f"{case.set}/{case.name}"]
        if case.scan is not None and "error" not in row:
            row |= mean_face[case.scan]
    summary = {
        "config": task.config.as_dict(),
        "task": {"segmentation": task.segmentation, "true_camera": task.true_camera, "jobs": jobs},
        "seconds": time.perf_counter() - began,
        "sets": summarise(figures),
        "photos": figures,
    }
    if out is not None:
        _write(out, summary)
        if pictures:
            _sheets(out, photos, figures, pictures)
    return summary


def caption(figures: dict) -> str:
    """What matters of one photo in a few words."""
    if "error" in figures:
        return f"FAILED {figures['error']}"
    words = []
    key = HEADLINE[figures["set"]][0]
    if key in figures and key != "landmark_error":
        words.append(f"{key} {figures[key]:.2f}")
    if "scan_rigid" in figures:
        words.append(f"rigid {figures['scan_rigid']:.2f}")
    words.append(f"lm {figures['landmark_error']:.1%}")
    if "self_iou" in figures:
        words.append(f"self {figures['self_iou']:.2f}")
    words.append(f"{figures['iterations']:.0f} it {figures['seconds_whole']:.1f} s")
    return ", ".join(words) + (" DIVERGED" if figures["diverged"] else "")


def _mean_face(task: Task, photos: list[Case]) -> dict[Path, dict[str, float]]:
    """For each scan, what the mean face alone is worth."""
    scans = list(dict.fromkeys(case.scan for case in photos if case.scan is not None))
    if not scans:
        return {}
    from benchmarks.scoring import mean_face_figures
    from facefit.model.model_file import load_model

    model = load_model(task.model)
    found = {}
    for scan in scans:
        figures = mean_face_figures(model, read_scan(scan))
        found[scan] = {f"mean_face_{align}": figures[f"scan_{align}"] for align in ("similarity", "rigid")}
    return found


def _write(out: Path, summary: dict) -> None:
    for key, row in summary["photos"].items():
        path = out / f"{key}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(row, indent=1) + "\n")
    (out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    (out / "summary.txt").write_text(tables(summary["photos"], summary["sets"]) + "\n")


def _sheets(out: Path, photos: list[Case], figures: dict[str, dict], pictures: dict[str, np.ndarray]) -> None:
    from benchmarks.sheet import write_sheets

    for name in dict.fromkeys(case.set for case in photos):
        keys = [f"{case.set}/{case.name}" for case in photos if case.set == name]
        tiles = [(pictures[k], f"{k.split('/', 1)[1]}  {caption(figures[k])}") for k in keys if k in pictures]
        if tiles:
            for path in write_sheets(tiles, out, name):
                print(f"sheet {path}", file=sys.stderr)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?", default=os.environ.get(DATA_VARIABLE), metavar="DATA_DIR")
    parser.add_argument("--sets", default=",".join(SETS), metavar="LIST", help=f"of {', '.join(SETS)}")
    parser.add_argument("--names", default="*", metavar="PATTERN", help="only photos of this name, e.g. 'lps_*,baby'")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N photos of each set, evenly spread")
    parser.add_argument("--out", type=Path, metavar="FOLDER")
    parser.add_argument("--preset", choices=tuple(PRESETS), default="default")
    add_overrides(parser)
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        choices=range(1, 65),
        metavar="N",
        help="processes of one thread each; 1: one process with all cores, as a user runs it",
    )
    parser.add_argument("--model", type=Path, metavar="FILE")
    parser.add_argument("--segmentation", default="auto", metavar="auto|polygons|FILE")
    parser.add_argument("--true-camera", action="store_true", help="tell the fit the focal length where it is known")
    parser.add_argument("--texture", action="store_true", help="time the texture as well")
    parser.add_argument("--sheet", action="store_true", help="write contact sheets to --out")
    parser.add_argument("--panel", type=int, default=160, metavar="PX", help="side of their pictures")
    parser.add_argument(
        "--reference",
        type=Path,
        nargs="?",
        const=Path(),
        metavar="FOLDER",
        help="compute the figures a second time with the scripts there (default DATA_DIR/../metrics)",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="print only the tables")
    options = parser.parse_args(arguments)  # fmt: skip
    if options.data is None:
        parser.error(f"name the folder of the data, or set {DATA_VARIABLE}")
    options.data = Path(options.data)
    if options.sheet and options.out is None:
        parser.error("--sheet writes to --out FOLDER; name one")
    if options.reference == Path():
        options.reference = options.data.resolve().parent / "metrics"
    return options


def select(data: Path, sets: str, names: str = "*", limit: int | None = None) -> list[Case]:
    """The photos of the sets that are there; a set that is absent is reported and left out."""
    found: list[Case] = []
    patterns = [pattern.strip() for pattern in names.split(",")]
    for name in (part.strip() for part in sets.split(",") if part.strip()):
        try:
            every = cases(data, name)
        except FileNotFoundError as error:
            print(f"skipped: {error}", file=sys.stderr)
            continue
        found += spread([c for c in every if any(fnmatch.fnmatch(c.name, p) for p in patterns)], limit)
    return found


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    logging.basicConfig(level=logging.ERROR)
    try:
        config = apply_overrides(preset(options.preset), options.overrides)
        photos = select(options.data, options.sets, options.names, options.limit)
    except ValueError as error:
        print(f"benchmarks.evaluate: {error}", file=sys.stderr)
        return 2
    if not photos:
        print("benchmarks.evaluate: no photo to fit", file=sys.stderr)
        return 2
    task = Task(config, options.model, options.segmentation, options.true_camera, options.texture,
                options.panel if options.sheet else 0, options.reference)  # fmt: skip
    summary = evaluate(task, photos, jobs=options.jobs, out=options.out, quiet=options.quiet)
    print(tables(summary["photos"], summary["sets"]))
    print(f"{summary['seconds']:.0f} s in all, {options.jobs} process{'es' * (options.jobs > 1)}")
    return 1 if any("error" in row for row in summary["photos"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
