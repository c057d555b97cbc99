"""Memory over a long batch: many photos with next to no fit, the memory of all its processes by blocks of photos.

    python benchmarks/soak.py [--count 2000] [--blocks 10] [--minutes 0] [-- options of facefit]

The memory is the processes' proportional share (Linux: Pss), which counts pages that they share once. `--minutes` stops
after that time, with as many photos as were done. Exit code 1 when the last block is more than 5 % above the second.
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.photo_folder import FACEFIT, environment, fill, processes_below

TINY = ["--iterations", "1", "--texture-size", "16", "--segmentation", "polygons", "--energies", "landmark"]
DONE = re.compile(r"^\[(\d+)/\d+\] .*: (done|failed)")


def memory(pid: int) -> float:
    """Megabytes of a process and all below it."""
    total = 0
    for each in processes_below(pid):
        try:
            text = Path(f"/proc/{each}/smaps_rollup").read_text()
        except OSError:
            continue  # it ended meanwhile
        total += int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)[1])
    return total / 1024


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, metavar="FOLDER", help="photos instead of the portrait's variants")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--blocks", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("options", nargs="*", help="of facefit, after --")
    given = parser.parse_args(arguments)
    samples: list[tuple[int, float]] = []
    with tempfile.TemporaryDirectory() as place:
        folder = fill(Path(place, "in"), given.count, given.photos, side=256)
        command = [*FACEFIT, "batch", str(folder), "-o", str(Path(place, "out")), *TINY, *given.options]
        began = time.monotonic()
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment()
        )
        looked, stopped = 0.0, False
        for line in process.stderr:
            found, now = DONE.match(line), time.monotonic()
            if found and now - looked > 1:
                samples.append((int(found[1]), memory(process.pid)))
                looked = now
            if given.minutes and now - began > 60 * given.minutes and not stopped:
                process.send_signal(signal.SIGINT)
                stopped = True
        process.wait()
    done = samples[-1][0]
    print(f"{done} photos in {time.monotonic() - began:.0f} s, exit code {process.returncode}")
    means = []
    for block in range(given.blocks):
        low, high = (done * (block + k) / given.blocks for k in (0, 1))
        inside = [size for number, size in samples if low < number <= high]
        means.append(sum(inside) / len(inside) if inside else float("nan"))
        print(f"photos {low:.0f} to {high:.0f}: {means[-1]:.0f} MB (mean of {len(inside)} looks)")
    change = means[-1] / means[1] - 1
    print(f"last block against the second: {100 * change:+.1f} %")
    return int(not change <= 0.05)


if __name__ == "__main__":
    sys.exit(main())
