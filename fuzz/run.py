"""Attack facefit: damaged files, signals and kills, full disks, two writers.

    python -m fuzz [--minutes 20] [--seed S] [--share 1.0] [--area NAME ...] [--workers N] [--page]
    python -m fuzz --area NAME --seed S --only NUMBER        one attack again; its files stay

Damaged files are read by the real commands, in worker processes that stay; what writes is the real command in a process
of its own. A face model and a detector of milliseconds stand in for the real ones (fuzz.toys). An attack has failed
when there is a traceback or another raw error, an exit code that no page names, another line on stderr than one, a
hang, a torn or mixed set of files or one that stays hidden, a changed input, or more than 1.5 GB of memory.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import shutil
import tempfile
import time
from datetime import date
from pathlib import Path

import torch

from . import page
from .areas import AREAS, attack
from .disks import why_not
from .kit import Kit, make_kit
from .pool import Job, outcomes
from .toys import use_toys


def main(arguments: list[str] | None = None) -> int:
    """Returns 1 where an attack has failed, or time did not suffice for all."""
    given = _parser().parse_args(arguments)
    torch.set_num_threads(1)
    use_toys()
    place = Path(tempfile.mkdtemp(prefix="facefit-fuzz-"))
    try:
        (place / "kit").mkdir()
        kit = make_kit(place / "kit")
        return _all(given, kit) if given.only is None else _again(given, kit)
    finally:
        if given.only is None:
            shutil.rmtree(place, ignore_errors=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--minutes", type=float, default=20.0, help="no attack begins later")
    parser.add_argument("--seed", type=int, default=None, help="of all attacks; printed where none is given")
    parser.add_argument("--share", type=float, default=1.0, help="of the attacks of a full run")
    parser.add_argument("--area", action="append", choices=AREAS, metavar="NAME", help=", ".join(AREAS))
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="processes")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="this attack of the area alone")
    parser.add_argument("--page", action="store_true", help="write the table into docs/reliability.md")
    return parser


def _again(given: argparse.Namespace, kit: Kit) -> int:
    (area,) = given.area
    outcome, folder = attack(area, given.only, given.seed or 0, kit, keep=True)
    print(f"{area} {given.only}: exit code {outcome.code}, {outcome.bytes / 1e9:.2f} GB; its files: {folder}")
    print("\n".join(outcome.problems) or "nothing is wrong")
    return 1 if outcome.problems else 0


def _all(given: argparse.Namespace, kit: Kit) -> int:
    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    began = time.monotonic()
    areas = given.area or list(AREAS)
    reason = why_not(kit.folder / "disk") if "full disks" in areas else ""
    if reason:
        print(f"full disks: left out, {reason}")
        areas.remove("full disks")
    jobs = _jobs(areas, given.share)
    tallies = {area: page.Tally() for area in areas}
    print(f"seed {seed}, {len(jobs)} attacks, {given.workers} workers, at most {given.minutes:g} minutes", flush=True)
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C: the table of what was tried until then
        for job, outcome in outcomes(jobs, seed, kit, given.workers, began + 60 * given.minutes):
            tallies[job.area].add(outcome)
            if outcome.problems:
                print(f"{job.area} {job.number}: {'; '.join(outcome.problems)}")
                print(f'    again: python -m fuzz --area "{job.area}" --seed {seed} --only {job.number}', flush=True)
    minutes, processor = (time.monotonic() - began) / 60, sum(os.times()[:4]) / 60
    tried, failed = (sum(getattr(tally, name) for tally in tallies.values()) for name in ("tried", "failed"))
    lines = page.rows({name: tally for name, tally in tallies.items() if tally.tried})
    print("\n".join(lines))
    print(f"{tried} of {len(jobs)} attacks, {failed} failed, {minutes:.1f} minutes, {processor:.1f} of processor time")
    if given.page:
        how = f"`python -m fuzz --seed {seed} --minutes {given.minutes:g} --workers {given.workers}`, {date.today()}"
        machine = page.machine(len(os.sched_getaffinity(0)))
        where = f"{machine}: {minutes:.0f} minutes, {processor:.0f} of processor time"
        page.write([f"{how}; {where}.", *([f"Full disks: {reason}."] if reason else []), "", *lines])
    return 1 if failed or tried < len(jobs) else 0


def _jobs(areas: list[str], share: float) -> list[Job]:
    """Long ones first, and each area's over the whole run, so that a run that is cut short has something of all."""
    counts = {area: int(AREAS[area].times * share + 0.5) for area in areas}
    placed = [(number / count, Job(area, number)) for area, count in counts.items() for number in range(count)]
    return [job for _, job in sorted(placed, key=lambda each: each[0])]
