"""Lines of results, kept as they come."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from benchmarks.ablation.fitting import Settings
from benchmarks.dataset import Case

BATCH = 4  # faces that are fitted together


def read_lines(path: Path) -> list[dict]:
    """The records of a JSONL file; a last line that was cut off is left out. Empty where there is no file.

    Raises:
        ValueError: another line is damaged.
    """
    if not path.is_file():
        return []
    lines = path.read_text().split("\n")
    records = []
    for number, line in enumerate(lines):
        try:
            records += [json.loads(line)] if line.strip() else []
        except ValueError:
            if number < len(lines) - 1:
                raise ValueError(f"{path}: line {number + 1} is damaged") from None
    return records


def append_lines(path: Path, records: Iterable[dict]) -> None:
    """Add records, on the disk when this returns. A line that was cut off before is ended first."""
    torn = path.is_file() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
    if torn:
        whole = path.read_bytes()
        os.truncate(path, whole.rfind(b"\n") + 1)
    with path.open("a") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)
        file.flush()
        os.fsync(file.fileno())


def batches(photos: list[Case]) -> list[list[Case]]:
    return [photos[at : at + BATCH] for at in range(0, len(photos), BATCH)]


def best_settings(path: Path) -> dict[str, Settings]:
    """The best that the search has tried so far, method by method."""
    best: dict[str, dict] = {}
    for line in read_lines(path):
        if line["method"] not in best or line["iou"] > best[line["method"]]["iou"]:
            best[line["method"]] = line
    return {name: settings_of(line) for name, line in best.items()}


def mean(values: list[float | None]) -> float:
    return float(np.mean([value for value in values if value is not None]))


def settings_of(line: dict) -> Settings:
    return Settings(line["step"], line["weight"], line["scale"])
