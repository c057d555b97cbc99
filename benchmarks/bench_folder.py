"""A folder on this machine's cores: `facefit batch` against one photo at a time, in turns, in the same run.

    python benchmarks/bench_folder.py [--photos FOLDER] [--count 12] [--rounds 2] [--single]

Two ways are measured by the same clock (photos that are done between the first and the last one, so that the start of
processes, the same for both, does not count): one process that fits one photo after the other on all cores
(`--workers 0`), and the default, one process per core. `--single` adds a third: a new `facefit` for each photo. The
machine should have nothing else to do: its load is printed with each run.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.photo_folder import FACEFIT, environment, fill

DONE = re.compile(r"^\[(\d+)/\d+\] .*: (done|failed)")


@dataclass(frozen=True)
class Run:
    """What one run took: seconds between first and last photo, and how many photos that was; seconds in all."""

    photos: int
    seconds: float
    whole: float

    @property
    def speed(self) -> float:
        return self.photos / self.seconds


def run(folder: Path, workers: int | None, options: list[str]) -> Run:
    """Fit a folder into a new place."""
    with tempfile.TemporaryDirectory() as out:
        command = [*FACEFIT, "batch", str(folder), "-o", out, *options]
        command += [] if workers is None else ["--workers", str(workers)]
        began = time.perf_counter()
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment()
        )
        times = [time.perf_counter() for line in process.stderr if DONE.match(line)]
        process.wait()
        whole = time.perf_counter() - began
    at_once = 1 if workers == 0 else workers or _cores()
    if process.returncode or len(times) <= at_once:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}, {len(times)} photos")
    # the first of each worker holds the start; the last ones do not have company any more
    first, last = times[at_once - 1], times[-1]
    return Run(len(times) - at_once, last - first, whole)


def singly(folder: Path, options: list[str]) -> float:
    """Photos per second of a new process for each photo."""
    photos = sorted(folder.iterdir())[:3]
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as out:
        for photo in photos:
            subprocess.run([*FACEFIT, str(photo), "-o", f"{out}/{photo.stem}.obj", "-q", *options], check=True,
                           env=environment())  # fmt: skip
    return len(photos) / (time.perf_counter() - began)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, metavar="FOLDER", help="photos instead of the portrait's variants")
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--single", action="store_true")
    parser.add_argument("options", nargs="*", help="of facefit, after --")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as place:
        folder = fill(Path(place, "in"), given.count, given.photos)
        one, many = [], []
        for number in range(given.rounds):
            for name, runs, workers in (("one at a time", one, 0), ("batch", many, None)):
                runs.append(found := run(folder, workers, given.options))
                print(f"round {number + 1}, {name}: {found.speed:.3f} photos/s, {found.whole:.1f} s in all, "
                      f"load {os.getloadavg()[0]:.1f}", flush=True)  # fmt: skip
        slow, fast = (max(found.speed for found in runs) for runs in (one, many))
        print(f"one at a time {slow:.3f} photos/s; batch on {_cores()} cores {fast:.3f} photos/s: {fast / slow:.2f} x")
        if given.single:
            print(f"a new process for each photo: {singly(folder, given.options):.3f} photos/s")
    return 0


def _cores() -> int:
    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    sys.exit(main())
