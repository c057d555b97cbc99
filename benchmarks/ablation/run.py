"""The whole comparison, resumable: tune each method on one split, fit the other from all starts, write the tables.

    python -m benchmarks.ablation DATA_DIR --out DIR --jobs 2
    python -m benchmarks.ablation DATA_DIR --out DIR --methods prdl,chamfer --limit 2      a quick look

DIR gets faces/ (what is known of each photo), tuning.jsonl (one line per settings tried), results.jsonl (one line per
method, face and start) and record.json. Run again, it goes on where it stopped. --doc FILE writes the tables into it.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.ablation.faces import split
from benchmarks.ablation.fitting import Bench, Settings, fit_faces
from benchmarks.ablation.lines import append_lines, batches, mean, read_lines, settings_of
from benchmarks.ablation.losses import METHODS, NONE
from benchmarks.ablation.starts import STARTS
from benchmarks.ablation.tuning import STARTS as TUNING_STARTS
from benchmarks.ablation.tuning import search
from benchmarks.dataset import DATA_VARIABLE, Case
from benchmarks.machine import machine


class Workers:
    """Fits in this process (jobs = 1) or in several of one thread each."""

    def __init__(self, folder: Path, seed: int, jobs: int) -> None:
        self.given = (folder, seed)
        self.pool = None
        if jobs > 1:  # spawned: the parent has threads of torch, which a fork would lose
            self.pool = ProcessPoolExecutor(jobs, get_context("spawn"), _begin, self.given)
        else:
            _begin(*self.given)

    def __call__(self, tasks: list[tuple]) -> Iterator[list[dict]]:
        """Tasks (method, settings, cases, start, scans) -> their lines, as they are done."""
        if self.pool is None:
            for task in tasks:
                yield _do(*task)
        else:
            for future in as_completed([self.pool.submit(_do, *task) for task in tasks]):
                yield future.result()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_) -> None:
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)


_shared: dict = {}

_writing = threading.Lock()


def _begin(folder: Path, seed: int) -> None:
    import torch

    from facefit.model.model_file import load_model
    from facefit.render import load_renderer

    logging.basicConfig(level=logging.ERROR)
    torch.set_num_threads(1)
    _shared.update(folder=folder, faces={}, seed=seed, model=load_model(), renderer=load_renderer("cpu"))


def _do(method: str, settings: Settings, photos: list[Case], start: str, scans: bool) -> list[dict]:
    from benchmarks.ablation.faces import load_face

    known = _shared["faces"]
    for case in photos:
        if case not in known:
            known[case] = load_face(case, _shared["folder"])
    bench = Bench(_shared["model"], _shared["renderer"], _shared["seed"], scans=scans)
    return fit_faces(bench, method, settings, [known[case] for case in photos], start)


def tune(method: str, photos: list[Case], path: Path, workers: Workers) -> Settings:
    """The best settings of a method; what was tried before is read from `path`."""
    known = {settings_of(line): line["iou"] for line in read_lines(path) if line["method"] == method}

    def value(settings: Settings) -> float:
        if settings not in known:
            tasks = [(method, settings, batch, start, False) for start in TUNING_STARTS for batch in batches(photos)]
            rows = [row for found in workers(tasks) for row in found]
            known[settings] = mean([row["iou"] for row in rows])
            by_start = {s: mean([r["iou"] for r in rows if r["start"] == s]) for s in TUNING_STARTS}
            line = {"method": method, **asdict(settings), "iou": known[settings], "starts": by_start}
            with _writing:
                append_lines(path, [line])
            print(f"tuning {method}: {asdict(settings)} -> {known[settings]:.4f}", file=sys.stderr, flush=True)
        return known[settings]

    return search(method, value)[0]


def pending(path: Path, photos: list[Case], settings: dict[str, Settings]) -> list[tuple]:
    """Tasks whose lines are not there yet: the near and the far start before the one between, and face by face through
    all methods, so that a part is a fair sample."""
    done = {(line["method"], line["face"], line["start"]) for line in read_lines(path)}
    tasks = []
    order = [STARTS[0], STARTS[-1], *STARTS[1:-1]]
    for group in (order[:2], order[2:]):
        for batch in batches(photos):
            for start, method in ((start, method) for start in group for method in settings):
                left = [case for case in batch if (method, f"{case.set}/{case.name}", start.name) not in done]
                if left:
                    tasks.append((method, settings[method], left, start.name, True))
    return tasks


def mixed(photos: list[Case]) -> list[Case]:
    """The sets shuffled into one another, always alike."""
    order = np.random.default_rng(0).permutation(len(photos))
    return [photos[at] for at in order]


def run(data: Path, out: Path, methods: list[str], jobs: int, seed: int, limit: int | None = None) -> Path:
    """Everything; returns the file of results. See the module."""
    photos = split(data, limit)
    out.mkdir(parents=True, exist_ok=True)
    results = out / "results.jsonl"
    record = {
        "seed": seed, "machine": machine(), "date": time.strftime("%Y-%m-%d"), "methods": methods,
        "command": f"python -m benchmarks.ablation DATA_DIR --out DIR --jobs {jobs} --seed {seed}",
        "photos": {name: [f"{case.set}/{case.name}" for case in found] for name, found in photos.items()},
    }  # fmt: skip
    (out / "record.json").write_text(json.dumps(record, indent=1) + "\n")
    with Workers(out / "faces", seed, jobs) as workers:
        # each search waits for its own last value: several at a time keep the processes busy
        with ThreadPoolExecutor(1 if jobs == 1 else 2 * jobs) as threads:
            found = threads.map(lambda name: tune(name, photos["tuning"], out / "tuning.jsonl", workers), methods)
            settings = {NONE: Settings(), **dict(zip(methods, found, strict=True))}
        tasks = pending(results, mixed(photos["results"]), settings)
        for number, rows in enumerate(workers(tasks), 1):
            append_lines(results, rows)
            iou = mean([row["iou"] for row in rows])
            print(f"[{number}/{len(tasks)}] {rows[0]['method']} {rows[0]['start']}: {iou:.3f}", file=sys.stderr)
    return results


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ablation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?", default=os.environ.get(DATA_VARIABLE), metavar="DATA_DIR")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--jobs", type=int, default=1, choices=range(1, 65), metavar="N", help="processes")
    parser.add_argument("--seed", type=int, default=0, help="of the disturbed starts and of the bootstrap")
    parser.add_argument("--methods", default=",".join(METHODS), metavar="LIST", help=f"of {', '.join(METHODS)}")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N photos of each kind and split")
    parser.add_argument("--doc", type=Path, metavar="FILE", help="write the tables between its markers")
    options = parser.parse_args(arguments)
    methods = [name.strip() for name in options.methods.split(",") if name.strip()]
    unknown = [name for name in methods if name not in METHODS]
    if unknown:
        parser.error(f"no method {', '.join(unknown)}; accepted: {', '.join(METHODS)}")
    if options.data is None or not Path(options.data).is_dir():
        parser.error(f"name the folder of the data, or set {DATA_VARIABLE}; {options.data} is no folder")
    from benchmarks.ablation.table import document, load

    run(Path(options.data), options.out, methods, options.jobs, options.seed, options.limit)
    print(document(load(options.out), options.doc))
    return 0
