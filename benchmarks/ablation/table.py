"""From lines of figures to tables with confidence intervals, and into a page between its markers.

python -m benchmarks.ablation.table DIR --doc docs/prdl.md
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.ablation.fitting import Settings
from benchmarks.ablation.lines import read_lines
from benchmarks.ablation.losses import METHODS, NONE
from benchmarks.ablation.starts import STARTS, Start
from benchmarks.bars import markdown_table
from facefit.anatomy.parts import INNER

RESAMPLES = 2000
ARRIVED = 0.5  # mean IoU from which a fit counts as arrived: the parts lie on their places
LOSSES = tuple(name for name in METHODS if not name.startswith("prdl_"))
SUBSETS = tuple(name for name in METHODS if name.startswith("prdl"))
REFERENCE = "prdl"


@dataclass(frozen=True)
class Outcome:
    """All lines of a run.

    Attributes:
        record: seed, machine, command, date. rows: of the results. tuning: of the search. variants: of
            benchmarks.ablation.variants.
    """

    record: dict
    rows: list[dict]
    tuning: list[dict]
    variants: tuple[dict, ...] = ()

    def complete(self) -> Outcome:
        """Only faces that every method has fitted from the near and the far start, and the starts between them only if
        that is so there too: the tables compare like with like."""
        methods = {row["method"] for row in self.rows}
        fitted: dict[tuple[str, str], set] = {}
        for row in self.rows:
            fitted.setdefault((row["face"], row["start"]), set()).add(row["method"])

        def by_all(face: str, start: Start) -> bool:
            return fitted.get((face, start.name)) == methods

        faces = [face for face in self.faces if by_all(face, STARTS[0]) and by_all(face, STARTS[-1])]
        starts = [start.name for start in STARTS if all(by_all(face, start) for face in faces)]
        rows = [row for row in self.rows if row["face"] in faces and row["start"] in starts]
        return replace(self, rows=rows)

    @property
    def starts(self) -> list[Start]:
        """Those that there are lines of, from near to far."""
        known = {row["start"] for row in self.rows}
        return [start for start in STARTS if start.name in known]

    @property
    def faces(self) -> list[str]:
        return sorted({row["face"] for row in self.rows})

    @property
    def methods(self) -> set[str]:
        return {row["method"] for row in self.rows}

    def values(self, method: str, start: str, key: str = "iou", group: str = "") -> np.ndarray:
        """One number per face, by name; faces without it are left out."""
        found = {
            row["face"]: row[key] for row in self.rows
            if row["method"] == method and row["start"] == start and row["face"].startswith(group)
            and row.get(key) is not None
        }  # fmt: skip
        return np.array([found[face] for face in sorted(found)])


def load(folder: Path) -> Outcome:
    """What a run has written. Raises FileNotFoundError without it, ValueError for a damaged file."""
    record = json.loads((folder / "record.json").read_text())
    rows, tuning, variants = (read_lines(folder / f"{name}.jsonl") for name in ("results", "tuning", "variants"))
    return Outcome(record, rows, tuning, tuple(variants))


def interval(values: np.ndarray, seed: int = 0, resamples: int = RESAMPLES) -> tuple[float, float]:
    """95 % of the means of so many resamples of the faces (percentile bootstrap, Efron 1979)."""
    rng = np.random.default_rng(seed)
    means = values[rng.integers(0, len(values), (resamples, len(values)))].mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def with_interval(values: np.ndarray, seed: int, digits: int = 3, sign: bool = False) -> str:
    low, high = interval(values, seed)

    def number(value: float) -> str:
        text = f"{value:{'+' if sign else ''}.{digits}f}"
        return re.sub(r"^([+-]?)0\.", r"\1.", text)

    return f"{number(float(values.mean()))} [{number(low)}, {number(high)}]"


def loss_table(outcome: Outcome, methods: tuple[str, ...]) -> str:
    """Methods by their mean IoU over all starts: IoU and its difference to PRDL, with intervals, and the rest."""
    seed = outcome.record["seed"]
    present = [name for name in methods if name in outcome.methods]
    present.sort(key=lambda name: -np.mean([outcome.values(name, start.name).mean() for start in outcome.starts]))
    titles = {name: METHODS[name].title for name in present} | {NONE: "the start itself"}
    head = ["method", *(f"IoU, {start.name} start" for start in outcome.starts)]
    head += [f"to PRDL, {start.name}" for start in (STARTS[0], STARTS[-1])]
    head += ["arrived, far", "landmark error, near", "far", "3D, near", "far", "s / fit"]
    lines = [head]
    for name in [*present, *([NONE] if NONE in outcome.methods else [])]:
        ious = {start.name: outcome.values(name, start.name) for start in outcome.starts}
        cells = [titles[name], *(with_interval(ious[start.name], seed) for start in outcome.starts)]
        for start in (STARTS[0], STARTS[-1]):
            if name == REFERENCE or REFERENCE not in outcome.methods:
                cells.append("")
            else:
                cells.append(with_interval(ious[start.name] - outcome.values(REFERENCE, start.name), seed, sign=True))
        cells.append(f"{100 * (ious[STARTS[-1].name] >= ARRIVED).mean():.0f} %")
        for key, factor, unit in (("landmark_error", 100, " %"), ("scan_error", 1, " mm")):
            for start in (STARTS[0], STARTS[-1]):
                found = outcome.values(name, start.name, key)
                cells.append(f"{factor * found.mean():.2f}{unit}" if len(found) else "")
        cells.append(f"{outcome.values(name, STARTS[0].name, 'seconds').mean():.2f}" if name != NONE else "")
        lines.append(cells)
    return markdown_table(lines[0], lines[1:])


def set_table(outcome: Outcome, methods: tuple[str, ...]) -> str:
    """IoU from the near and the far start, set by set."""
    sets = sorted({face.split("/")[0] for face in outcome.faces})
    lines = [["method", *(f"{name}, {start.name}" for name in sets for start in (STARTS[0], STARTS[-1]))]]
    for method in [name for name in (*methods, NONE) if name in outcome.methods]:
        values = [
            outcome.values(method, start.name, group=f"{name}/") for name in sets for start in (STARTS[0], STARTS[-1])
        ]
        title = METHODS[method].title if method in METHODS else "the start itself"
        lines.append([title, *(f"{found.mean():.3f}".lstrip("0") for found in values)])
    return markdown_table(lines[0], lines[1:])


def part_table(outcome: Outcome, methods: tuple[str, ...], start: str = "near") -> str:
    """IoU of each part from one start."""
    lines = [["method", *(name.replace("_", " ") for name in (*INNER, "skin"))]]
    for method in [name for name in (*methods, NONE) if name in outcome.methods]:
        rows = [row for row in outcome.rows if row["method"] == method and row["start"] == start]
        cells = []
        for part in (*INNER, "skin"):
            found = [row["parts"][part] for row in rows if row["parts"].get(part) is not None]
            cells.append(f"{np.mean(found):.3f}".lstrip("0") if found else "")
        lines.append([METHODS[method].title if method in METHODS else "the start itself", *cells])
    return markdown_table(lines[0], lines[1:])


def settings_table(outcome: Outcome) -> str:
    """What the search chose for each method, and what that was worth on the tuning split."""
    lines = [["method", "step", "weight", "reach", "tried", "IoU, first try", "IoU, chosen"]]
    for name in [name for name in METHODS if name in outcome.methods]:
        tried = [line for line in outcome.tuning if line["method"] == name]
        row = next(row for row in outcome.rows if row["method"] == name)
        value = {Settings(line["step"], line["weight"], line["scale"]): line["iou"] for line in tried}
        ious = [value.get(Settings()), value.get(Settings(row["step"], row["weight"], row["scale"]))]
        weight = f"{METHODS[name].weight * row['weight']:g}"
        reach = f"x {row['scale']:g}" if METHODS[name].scaled else ""
        cells = ["" if iou is None else f"{iou:.3f}".lstrip("0") for iou in ious]
        lines.append([METHODS[name].title, f"x {row['step']:g}", weight, reach, str(len(tried)), *cells])
    return markdown_table(lines[0], lines[1:])


def variant_table(rows: Sequence[dict]) -> str:
    """Variants of PRDL in the order in which they were fitted, only those that have every face of the first."""
    from benchmarks.ablation.variants import VARIANTS

    found: dict[str, dict[tuple[str, str], float]] = {}
    for row in rows:
        found.setdefault(row["variant"], {})[row["face"], row["start"]] = row["iou"]
    wanted = next(iter(found.values())).keys()
    starts = list(dict.fromkeys(start for _, start in wanted))
    lines = [["variant", *(f"IoU, {start} start" for start in starts)]]
    for name, ious in found.items():
        if ious.keys() >= wanted:
            means = [np.mean([iou for (_, at), iou in ious.items() if at == start]) for start in starts]
            lines.append([VARIANTS[name][0], *(f"{value:.3f}".lstrip("0") for value in means)])
    return markdown_table(lines[0], lines[1:])


def about(outcome: Outcome) -> str:
    """Where the numbers are from."""
    record = outcome.record
    sets = {}
    for face in outcome.faces:
        sets[face.split("/")[0]] = sets.get(face.split("/")[0], 0) + 1
    named = ", ".join(f"{count} {name}" for name, count in sorted(sets.items()))
    return (
        f"{len(outcome.faces)} faces ({named}), {len(outcome.rows)} fits; in brackets 95 % intervals of the mean over "
        f"the faces (bootstrap, {RESAMPLES} resamples). Seed {record['seed']}. {record['date']}, {record['machine']}. "
        f"Seconds are of one core. Command: "
        f"`{record['command']}`."
    )


def sections(outcome: Outcome) -> dict[str, str]:
    """The text between each pair of markers."""
    chosen = outcome.complete()
    if not chosen.rows:
        return {"about": "No face has been fitted by all methods yet."}
    return {
        "about": about(chosen),
        "losses": loss_table(chosen, LOSSES),
        "subsets": loss_table(chosen, SUBSETS),
        "sets": set_table(chosen, LOSSES),
        "parts": part_table(chosen, LOSSES),
        "settings": settings_table(chosen),
        **({"variants": variant_table(outcome.variants)} if outcome.variants else {}),
    }


def fill(text: str, parts: dict[str, str]) -> str:
    """`text` with each part between `<!-- ablation: NAME -->` and `<!-- end -->`; markers that are absent are left out.

    Raises:
        ValueError: the text has none of the markers.
    """
    found = False
    for name, body in parts.items():
        pattern = re.compile(rf"(<!-- ablation: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, count = pattern.subn(lambda match, body=body: f"{match[1]}{body}\n{match[2]}", text)
        found |= count > 0
    if not found:
        raise ValueError("no marker <!-- ablation: NAME --> in the text")
    return text


def document(outcome: Outcome, path: Path | None = None) -> str:
    """All sections as one text; with `path`, also written into that page."""
    parts = sections(outcome)
    if path is not None:
        path.write_text(fill(path.read_text(), parts))
    return "\n\n".join(f"{name}\n\n{body}" for name, body in parts.items())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation.table", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, metavar="DIR", help="what `python -m benchmarks.ablation --out` wrote")
    parser.add_argument("--doc", type=Path, metavar="FILE", help="write the tables between its markers")
    options = parser.parse_args(arguments)
    print(document(load(options.folder), options.doc))
    return 0


if __name__ == "__main__":
    sys.exit(main())
