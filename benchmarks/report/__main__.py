"""`make eval`: fit all development sets, with each choice of energies and with spoilt input, and write the report.

    python -m benchmarks.report DATA_DIR --out FOLDER

Every fit's figures are kept in FOLDER; what is there already is not done again, so a run that was stopped goes on where
it was. Figures of another version of facefit, another model or other settings are set aside first. DATA_DIR holds the
sets of benchmarks/dataset.py; without it the variable FACEFIT_EVAL_DATA names it.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import sys
import time
from pathlib import Path

from benchmarks.bars import HEAD, LEFT, Bar
from benchmarks.dataset import DATA_VARIABLE
from benchmarks.machine import machine
from benchmarks.overrides import add_overrides, apply_overrides
from benchmarks.report.agreement import agreement, agreement_bars
from benchmarks.report.fitting import Task, fingerprint, fit_all, read_figures
from benchmarks.report.page import Report, write_page
from benchmarks.report.runs import plan
from benchmarks.report.tables import bars
from benchmarks.summary import text_table
from facefit.fit.config import FitConfig

ROOT = Path(__file__).resolve().parents[2]
KEPT = ("figures", "pictures", "sheets", "agreement.json", "seconds.json")


def start_over(out: Path, key: str) -> bool:
    """Move figures of another version aside, into `out`/before; returns whether there were any."""
    stamp = out / "version.txt"
    old = stamp.is_file() and stamp.read_text().strip() != key
    if old:
        shutil.rmtree(out / "before", ignore_errors=True)
        for name in KEPT:
            if (out / name).exists():
                (out / "before").mkdir(exist_ok=True)
                shutil.move(out / name, out / "before" / name)
    out.mkdir(parents=True, exist_ok=True)
    stamp.write_text(key + "\n")
    return old


def compared(data: Path, metrics: Path, out: Path, count: int) -> tuple[Bar, ...]:
    """The bars of benchmarks.report.agreement, measured once per version."""
    path = out / "agreement.json"
    if not path.is_file():
        try:
            found = agreement_bars(agreement(data, metrics, count))
        except Exception as error:  # as with any measure: it says why it is missing and the report goes on
            return (Bar("`facefit eval` against independent scripts", None, note=f"{type(error).__name__}: {error}"),)
        path.write_text(json.dumps([vars(bar) for bar in found], indent=1))
    return tuple(Bar(**bar) for bar in json.loads(path.read_text()))


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?", default=os.environ.get(DATA_VARIABLE), metavar="DATA_DIR")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "results", metavar="FOLDER")
    parser.add_argument("--doc", type=Path, default=ROOT / "docs" / "results.md", metavar="FILE")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes of one thread")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N photos of each set, for a quick look")
    parser.add_argument("--segmentation", default="auto", metavar="auto|polygons|FILE")
    add_overrides(parser)
    parser.add_argument(
        "--metrics", type=Path, metavar="FOLDER", help="independent metric scripts (default DATA_DIR/../metrics)"
    )
    parser.add_argument("--cases", type=int, default=20, metavar="N", help="cases to compare with them; 0 for none")
    parser.add_argument("--write-only", action="store_true", help="write the page from the figures that are there")
    options = parser.parse_args(arguments)  # fmt: skip
    if options.data is None:
        parser.error(f"name the folder of the data, or set {DATA_VARIABLE}")
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    logging.basicConfig(level=logging.ERROR)
    data, out = Path(options.data).resolve(), options.out.resolve()
    if not data.is_dir():
        print(f"benchmarks.report: {data} is absent", file=sys.stderr)
        return 2
    try:
        task = Task(apply_overrides(FitConfig(), options.overrides), out, options.segmentation)
    except ValueError as error:
        print(f"benchmarks.report: {error}", file=sys.stderr)
        return 2
    if not options.write_only and start_over(out, fingerprint(task)):
        print(f"figures of another version moved to {out / 'before'}")
    began = time.perf_counter()
    work, absent = plan(data, out, options.limit)
    if not work:
        print(f"benchmarks.report: no set in {data}: {'; '.join(absent)}", file=sys.stderr)
        return 2
    checks: tuple[Bar, ...] = ()
    if not options.write_only:
        fit_all(task, work, max(1, options.jobs), lambda line: print(line, file=sys.stderr, flush=True))
        if options.cases:
            checks = compared(data, options.metrics or data.parent / "metrics", out, options.cases)
    elif (out / "agreement.json").is_file():
        checks = compared(data, data, out, options.cases)
    seconds = _add_seconds(out, 0.0 if options.write_only else time.perf_counter() - began)
    about = (
        f"{machine()}; {time.strftime('%Y-%m-%d')}; {sum(len(item.runs) for item in work)} fits of "
        f"{len(work)} pictures in {seconds / 60:.0f} minutes in {options.jobs} processes of one thread. Segmenter: "
        f"`{options.segmentation}`. Command: `{DATA_VARIABLE}=DATA_DIR make eval`."
    )
    runs = read_figures(out, work)
    write_page(Report(runs, out, about, checks, tuple(absent)), options.doc)
    print("\n".join(text_table(HEAD, [bar.cells() for bar in [*bars(runs), *checks]], LEFT)))
    print(f"written: {options.doc}; sheets of photos: {out / 'sheets'}")
    return 0


def _add_seconds(out: Path, seconds: float) -> float:
    """Seconds that all runs into this folder took together: a run that goes on adds to the one that was stopped."""
    path = out / "seconds.json"
    total = seconds + (float(json.loads(path.read_text())) if path.is_file() else 0.0)
    path.write_text(json.dumps(total))
    return total


if __name__ == "__main__":
    sys.exit(main())
