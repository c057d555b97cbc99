"""Two evaluations side by side: each figure, and how many photos got better or worse.

    python -m benchmarks.compare A/summary.json B/summary.json

Only photos that both have are compared. A folder stands for its summary.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from benchmarks.summary import HEADLINE, summarise, text_table

# Figure, its heading, and whether more of it is better.
FIGURES = (
    ("scan_similarity", "scan, similarity mm", False), ("scan_rigid", "scan, rigid mm", False),
    ("iou", "part IoU", True), ("iou_nose", "  nose", True), ("iou_eyes", "  eyes", True),
    ("iou_mouth", "  mouth", True), ("iou_brows", "  brows", True), ("iou_upper_lip", "  upper lip", True),
    ("iou_lower_lip", "  lower lip", True), ("iou_right_eye", "  right eye", True),
    ("iou_left_eye", "  left eye", True), ("iou_right_brow", "  right brow", True),
    ("iou_left_brow", "  left brow", True),
    ("self_iou", "IoU with own masks", True), ("landmark_error", "landmark error", False),
    ("diverged", "diverged", False), ("iterations", "iterations", False), ("seconds_full stage", "full stage s", False),
)  # fmt: skip


def compare(first: dict, second: dict, tolerance: float = 0.005) -> str:
    """Text tables of two summaries as `benchmarks.evaluate` returns them.

    Args:
        tolerance: part of a figure by which it must change to count as better or worse.
    """
    common = [key for key in first["photos"] if key in second["photos"]]
    both = [key for key in common if "error" not in first["photos"][key] and "error" not in second["photos"][key]]
    sides = [{key: side["photos"][key] for key in both} for side in (first, second)]
    means = [summarise(side) for side in sides]
    lines = [*_settings(first.get("config", {}), second.get("config", {})), ""]
    for name, groups in means[0].items():
        rows = []
        for group in groups:
            members = [k for k in both if sides[0][k]["set"] == name and group in (sides[0][k]["group"], "all")]
            for key, heading, more in FIGURES:
                a, b = (side[name][group].get(key) for side in means)
                if a is None or b is None or (group != "all" and not heading.startswith(("scan", "part", "land"))):
                    continue
                better, worse = _changes(key, more, [side[k] for side in sides for k in members], tolerance)
                rows.append([group, heading, f"{a:.4f}", f"{b:.4f}", f"{b - a:+.4f}", str(better), str(worse)])
        count = sum(sides[0][key]["set"] == name for key in both)
        head = [name, f"({count} photos)", "A", "B", "B - A", "better", "worse"]
        lines += [*text_table(head, rows, (0, 1)), _moved(name, sides), ""]
    for which, other, label in ((first, second, "A"), (second, first, "B")):
        alone = [key for key in common if "error" in which["photos"][key] and "error" not in other["photos"][key]]
        if alone:
            lines.append(f"failed in {label} alone: {', '.join(alone)}")
    return "\n".join(lines).rstrip("\n")


def _changes(key: str, more: bool, rows: list[dict], tolerance: float) -> tuple[int, int]:
    """Photos that got better and worse; `rows` holds those of A, then those of B."""
    half = len(rows) // 2
    better = worse = 0
    for a, b in zip(rows[:half], rows[half:], strict=True):
        if key in a and key in b and abs(b[key] - a[key]) > tolerance * max(abs(a[key]), 1e-9):
            gained = (b[key] > a[key]) == more
            better, worse = better + gained, worse + (not gained)
    return better, worse


def _moved(name: str, sides: list[dict[str, dict]], count: int = 3) -> str:
    """The photos whose headline figure moved most, each way."""
    key, high_is_bad = HEADLINE[name]
    sign = 1 if high_is_bad else -1
    change = sorted(
        (sign * (sides[1][k][key] - sides[0][k][key]), k.split("/", 1)[1])
        for k in sides[0] if sides[0][k]["set"] == name and key in sides[0][k] and key in sides[1][k]
    )  # fmt: skip
    worse = ", ".join(f"{label} {sign * value:+.3f}" for value, label in change[::-1][:count] if value > 0)
    better = ", ".join(f"{label} {sign * value:+.3f}" for value, label in change[:count] if value < 0)
    return f"  {key}: best {better or '-'}; worst {worse or '-'}"


def _settings(a: dict, b: dict, prefix: str = "") -> list[str]:
    """One line per setting that differs."""
    lines = []
    for key in dict.fromkeys([*a, *b]):
        first, second = a.get(key), b.get(key)
        if isinstance(first, dict) and isinstance(second, dict):
            lines += _settings(first, second, f"{prefix}{key}.")
        elif not np.array_equal(first, second):
            lines.append(f"{prefix}{key}: A {first}, B {second}")
    return lines


def _read(path: Path) -> dict:
    path = path / "summary.json" if path.is_dir() else path
    return json.loads(path.read_text())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("first", type=Path, metavar="A")
    parser.add_argument("second", type=Path, metavar="B")
    parser.add_argument("--tolerance", type=float, default=0.005, help="change that counts, as a part of the figure")
    options = parser.parse_args(arguments)
    try:
        first, second = _read(options.first), _read(options.second)
    except (OSError, json.JSONDecodeError) as error:
        print(f"benchmarks.compare: {error}", file=sys.stderr)
        return 2
    print(compare(first, second, options.tolerance))
    return 0


if __name__ == "__main__":
    sys.exit(main())
