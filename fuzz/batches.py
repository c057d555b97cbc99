"""Batches that are killed and go on, and two of them in one folder: each photo exactly once, each bad one named."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from facefit.batch.folder_store import LOCK
from facefit.batch.manifest import MANIFEST, TABLE, read_manifest
from facefit.errors import FaceFitError
from facefit.files.read_mesh import read_mesh

from .faults import SIGNALS, cut_words, outcome
from .forked import Forked, command, run, run_together
from .kit import Kit
from .originals import picture
from .watch import Outcome, wrong_words

BROKEN = "broken"  # begins the names of photos that cannot be read


def many_photos(folder: Path, good: int, broken: int) -> Path:
    """A folder of photos, some of which are none."""
    folder.mkdir()
    for number in range(good):
        picture(number, 48 + number % 7, 40 + number % 5).save(folder / f"{number:03}.png")
    whole = (folder / "000.png").read_bytes()
    kinds = (whole[: len(whole) // 2], b"", b"no picture", whole[:40] + b"\xff" * 30 + whole[70:])
    for number in range(broken):
        (folder / f"{BROKEN}{number:03}.png").write_bytes(kinds[number % len(kinds)])
    return folder


def check_batch(photos: Path, out: Path) -> list[str]:
    """What is wrong with a batch that has run to its end."""
    lines = [line for line in (out / MANIFEST).read_text().splitlines() if line]
    records = read_manifest(out / MANIFEST)
    times = Counter(json.loads(line)["photo"] for line in lines if _whole(line))
    wrong, expected = [], {MANIFEST, TABLE, LOCK}
    for photo in sorted(path.name for path in photos.iterdir()):
        record = records.get(photo)
        status = "failed" if photo.startswith(BROKEN) else "done"
        expected |= set(record.outputs if record else ())
        if record is None or record.status != status or times[photo] != 1:
            wrong.append(f"{photo}: {times[photo]} lines, {record.status if record else 'no record'}")
        elif status == "failed":
            wrong += [] if record.exit_code == 4 and photo in str(record.error) else [f"{photo}: {record.error}"]
        else:
            wrong += _unreadable(out, record.outputs, record.output_bytes)
    found = {path.relative_to(out).as_posix() for path in out.rglob("*")}
    return wrong + [f"left {name}" for name in sorted(found - expected)]


def _whole(line: str) -> bool:
    """A line that a kill has cut off costs itself."""
    try:
        return "photo" in json.loads(line)
    except ValueError:
        return False


def _unreadable(out: Path, outputs: list[str], sizes: list[int]) -> list[str]:
    wrong = []
    for name, size in zip(outputs, sizes, strict=True):
        path = out / name
        try:
            if path.stat().st_size != size:
                wrong.append(f"{name}: another size")
            elif path.suffix == ".obj":
                read_mesh(path)
            elif path.suffix == ".png":
                with Image.open(path) as image:
                    image.load()
        except (OSError, FaceFitError) as error:
            wrong.append(f"{name}: {error}")
    return wrong


def batches(dice: random.Random, kit: Kit, folder: Path) -> Outcome:
    """A batch in one process, stopped or killed at any moment, and gone on with."""
    photos, out = many_photos(folder / "photos", 6, 3), folder / "out"
    work = command("batch", photos, "-o", out, "--workers", "0", *kit.options, "-q")
    number = dice.choice(SIGNALS)
    process = Forked(work, folder / "said")
    time.sleep(dice.uniform(0.05, 1.2))
    process.send(number)
    ended = process.end()
    wrong = wrong_words(ended.code, ended.stderr, frozenset({7, 130}), True) if ended.code in (7, 130) else []
    wrong += cut_words(ended, number) if ended.code not in (7, 130) else []
    after = run(work, folder / "said after")
    wrong += wrong_words(after.code, after.stderr, frozenset({7}), batch=True)
    return outcome(wrong + check_batch(photos, out), ended, after)


def two_batches(dice: random.Random, kit: Kit, folder: Path) -> Outcome:
    """Two batches into one folder, begun at the same moment: one runs, the other is refused."""
    photos, out = many_photos(folder / "photos", 5, 2), folder / "out"
    work = command("batch", photos, "-o", out, "--workers", "0", *kit.options, "-q")
    ended = run_together([work, work], folder)
    ran, refused = sorted(ended, key=lambda each: each.code != 7)
    wrong = wrong_words(ran.code, ran.stderr, frozenset({7}), batch=True)
    wrong += wrong_words(refused.code, refused.stderr, frozenset({6}))
    wrong += [] if "another batch" in refused.stderr else [f"refused with: {refused.stderr[:200]}"]
    return outcome(wrong + check_batch(photos, out), *ended)


def worker_kills(
    dice: random.Random, kit: Kit, folder: Path, good: int = 40, broken: int = 20, kills: int = 20
) -> Outcome:
    """A batch of worker processes: kill -9 of the leading process, of one worker, or of all, again and again."""
    photos, out = many_photos(folder / "photos", good, broken), folder / "out"
    work = command("batch", photos, "-o", out, "--workers", "2", *kit.options, "-q")
    wrong: list[str] = []
    for number in range(kills):
        wrong += _killed(dice, work, folder / f"said {number}", out / MANIFEST)
    after = run(work, folder / "said after")
    wrong += wrong_words(after.code, after.stderr, frozenset({7}), batch=True)
    return outcome(wrong + check_batch(photos, out), after)


def _killed(dice: random.Random, work: Callable[[], object], said: Path, manifest: Path) -> list[str]:
    """Once, after some photos; the batch may survive the death of a worker, and is killed then."""
    victim, lines = dice.choice(("lead", "worker", "all")), _lines(manifest) + dice.randrange(3)
    process = Forked(work, said)
    end = time.monotonic() + 60
    while process.running() and _lines(manifest) < lines and time.monotonic() < end:
        time.sleep(0.005)
    time.sleep(dice.uniform(0, 1.5))
    below = descendants(process.pid)
    if victim != "worker":
        process.send(signal.SIGKILL)
    for each in below if victim == "all" else below[-1:] if victim == "worker" else ():
        _kill(each)
    if victim == "worker":
        time.sleep(dice.uniform(0.1, 1.0))
        process.send(signal.SIGKILL)
    ended = process.end()
    end = time.monotonic() + 60
    while any(map(_alive, below)) and time.monotonic() < end:
        time.sleep(0.02)  # workers whose leading process is gone end by themselves
    alive = [each for each in below if _alive(each)]
    wrong = [f"{len(alive)} workers live on after their leading process"] if alive else []
    return wrong + (["hangs"] if ended.code is None else [])


def _lines(manifest: Path) -> int:
    return manifest.read_bytes().count(b"\n") if manifest.exists() else 0


def _alive(process: int) -> bool:
    """Whether it runs; what has ended and was not asked for its exit code does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def descendants(parent: int) -> list[int]:
    """All processes that descend from one, the youngest last (Linux; elsewhere none are found)."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [parent]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return sorted(found)
