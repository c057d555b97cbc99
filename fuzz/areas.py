"""All that is attacked, and one attack of it: the same seed and number are the same attack."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .batches import batches, two_batches, worker_kills
from .disks import full_disks
from .faults import conversions, fits, installs, writers
from .inputs import INPUTS
from .kit import Kit
from .watch import Outcome, watched

FAULTS: dict[str, tuple[Callable[[random.Random, Kit, Path], Outcome], int, int]] = {
    # name: what is done, how often in a full run, kills and signals in each
    "fits, stopped or killed": (fits, 150, 1),
    "conversions, stopped or killed": (conversions, 60, 1),
    "model installs, killed": (installs, 40, 1),
    "batches, stopped or killed": (batches, 40, 1),
    "batches of worker processes, killed": (worker_kills, 1, 20),
    "two writers of one output": (writers, 60, 0),
    "two batches into one folder": (two_batches, 50, 0),
    "full disks": (full_disks, 30, 0),
}


@dataclass(frozen=True)
class Area:
    """What is attacked.

    Attributes:
        inputs, kills: of one attack: damaged files, and signals or kills.
        times: attacks in a full run.
        patience: seconds after which an attack hangs.
    """

    name: str
    times: int
    inputs: int = 1
    kills: int = 0
    patience: float = 120.0


AREAS: dict[str, Area] = {name: Area(name, times) for name, (_, times) in INPUTS.items()} | {
    name: Area(name, times, 0, kills, 1800.0 if kills > 1 else 300.0) for name, (_, times, kills) in FAULTS.items()
}


GROWN = 0.02  # of the inputs


def grow(dice: random.Random, folder: Path, without: Path) -> None:
    """Let a file end in more zeros than there is memory; they take no room on the disk."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_relative_to(without))
    os.truncate(dice.choice(files), dice.choice((300 << 20, 900 << 20, 6 << 30)))


def attack(area: str, number: int, seed: int, kit: Kit, keep: bool = False) -> tuple[Outcome, Path]:
    """Do one attack.

    Args:
        keep: leave its files in the folder, which is removed otherwise.
    """
    dice = random.Random(f"{seed} {area} {number}")
    folder = Path(tempfile.mkdtemp(dir=kit.folder.parent))
    try:
        if area in INPUTS:
            made = INPUTS[area][0](dice, kit, folder)
            if dice.random() < GROWN:
                grow(dice, folder, without=folder / "out")
            return watched(made, folder), folder
        return FAULTS[area][0](dice, kit, folder), folder
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
