"""kill -9 at random moments, and on again: every photo is done exactly once, and no file is half written.

    python benchmarks/kill_resume.py [--kills 20] [--count 40] [--broken 20] [--seed 0] [-- options of facefit]

Each time the whole run is killed, or only its leading process, or only one of its workers (which must not end the
batch). At the end the batch runs through, and every photo, line and file is looked at: those that cannot be read are
failed by their names, once.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from PIL import Image

from benchmarks.photo_folder import FACEFIT, environment, fill, processes_below
from facefit.errors import FaceFitError
from facefit.files.read_obj import read_obj

BROKEN = "broken"  # begins the names of photos that cannot be read
QUICK = ["--iterations", "3", "--texture-size", "128", "--segmentation", "polygons"]


def killed(command: list[str], log: Path, manifest: Path, dice: random.Random) -> str:
    """Start, kill at a random moment within the first photos that it does; what was killed."""
    lines = _lines(manifest)
    whom = dice.choice(["all", "lead", "worker"])
    patience, photos = dice.uniform(0, 1.5), dice.randint(0, 3)
    with log.open("a") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=environment(), start_new_session=True)
        while _lines(manifest) < lines + photos and process.poll() is None:
            time.sleep(0.01)
        time.sleep(patience)
        family = processes_below(process.pid)
        victims = {"all": family, "lead": [process.pid], "worker": family[-1:]}[whom]
        for victim in victims:
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                whom = f"{whom} (was gone)"
        if whom.startswith("worker"):
            time.sleep(dice.uniform(0.5, 3))
            process.kill()
        process.wait()
    return f"{whom} after {_lines(manifest) - lines} photos"


def verify(out: Path, count: int, broken: int = 0) -> list[str]:
    """What is wrong; nothing, it is hoped. `broken`: photos that cannot be read, of `spoil`."""
    records = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines() if line.startswith("{")]
    records = [record for record in records if "status" in record]
    failed = [record for record in records if record["status"] != "done"]
    wrong = [f"{record['photo']}: {record['error']}" for record in failed if not record["photo"].startswith(BROKEN)]
    named = [record for record in failed if record["exit_code"] == 4 and record["photo"] in record["error"]]
    if len({record["photo"] for record in named}) != broken or len(failed) - len(wrong) != broken:
        wrong.append(f"{len(named)} of {broken} broken photos are named")
    times = Counter(record["photo"] for record in records if record["status"] == "done")
    wrong += [f"{photo}: done {number} times" for photo, number in times.items() if number != 1]
    wrong += [f"{len(times)} photos of {count}"] if len(times) != count else []
    known = {"manifest.jsonl", "manifest.parquet", ".lock"}
    for record in records:
        for name, size in zip(record["outputs"], record["output_bytes"], strict=True):
            known.add(name)
            if (out / name).stat().st_size != size:
                wrong.append(f"{name}: another size")
        wrong += _unreadable([out / name for name in record["outputs"]])
    wrong += [f"{path.name}: not in the manifest" for path in out.iterdir() if path.name not in known]
    return wrong


def spoil(folder: Path, count: int) -> None:
    """Put so many files there that look like photos and cannot be read."""
    whole = min(folder.iterdir()).read_bytes() if count else b""
    for number in range(count):
        data = (b"", b"no picture", whole[:300], whole[: len(whole) // 2])[number % 4]
        (folder / f"{BROKEN}{number:02}.jpg").write_bytes(data)


def _unreadable(paths: list[Path]) -> list[str]:
    """Each file is opened as what it is."""
    wrong, vertices = [], 0
    for path in paths:
        try:
            if path.suffix == ".obj":
                vertices = len(read_obj(path).verts)  # refuses faces whose vertices are not there
            elif path.suffix in (".png", ".jpg"):
                with Image.open(path) as picture:
                    picture.load()
            elif path.suffix == ".json" and json.loads(path.read_text())["mesh"]["vertices"] != vertices:
                raise ValueError("another mesh")
        except (FaceFitError, OSError, ValueError, KeyError) as error:
            wrong.append(f"{path.name}: {error}")
    return wrong


def _lines(manifest: Path) -> int:
    return manifest.read_bytes().count(b"\n") if manifest.exists() else 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--count", type=int, default=40, help="photos")
    parser.add_argument("--broken", type=int, default=20, help="files beside them that cannot be read")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("options", nargs="*", help="of facefit, after --")
    given = parser.parse_args(arguments)
    dice = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as place:
        folder, out = fill(Path(place, "in"), given.count, side=256), Path(place, "out")
        spoil(folder, given.broken)
        command = [*FACEFIT, "batch", str(folder), "-o", str(out), *QUICK, *given.options]
        for number in range(given.kills):
            what = killed(command, Path(place, "log"), out / "manifest.jsonl", dice)
            print(f"kill {number + 1}: {what}; {_lines(out / 'manifest.jsonl')} done", flush=True)
        before = _lines(out / "manifest.jsonl")
        last = subprocess.run(command, env=environment(), capture_output=True, text=True)
        print(f"last run: exit code {last.returncode}, {_lines(out / 'manifest.jsonl') - before} photos")
        wrong = verify(out, given.count, given.broken)
        wrong += [] if last.returncode == (7 if given.broken else 0) else [last.stderr[-500:]]
        good = f"{given.count} photos, each done exactly once, {given.broken} broken ones named; every file is whole"
        print("\n".join(wrong) or good)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
