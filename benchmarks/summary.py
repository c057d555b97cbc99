"""From the figures of each photo to the tables one reads."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

# Per set: the columns of its table (figure, heading, factor), and the figure that ranks its photos (True: high is bad).
_FIT = (
    ("landmark_error", "lm %", 100), ("landmark_corrected", "corrected", 100), ("self_iou", "self IoU", 1),
    ("iterations", "iter", 1), ("to_mean", "to mean", 1),
    ("outline", "outline %", 100), ("outline_signed", "signed", 100),
)  # fmt: skip
_SCAN = (("scan_similarity", "simil. mm", 1), ("scan_rigid", "rigid mm", 1), ("scan_scale", "scale", 1))
_MEAN_FACE = (("mean_face_similarity", "mean face", 1), ("mean_face_rigid", "m.f. rigid", 1))
_REFERENCE = (
    ("scan_similarity_reference", "ref. sim.", 1), ("scan_rigid_reference", "ref. rigid", 1),
    ("iou_reference", "ref. IoU", 1),
)  # fmt: skip
_PARTS = (
    "nose", "eyes", "mouth", "brows", "skin", "right_eye", "left_eye", "right_brow", "left_brow", "upper_lip",
    "lower_lip",
)  # fmt: skip
_IOU = (("iou", "IoU", 1), *((f"iou_{part}", part.replace("_", " "), 1) for part in _PARTS))
COLUMNS = {
    "synthetic": (*_SCAN, *_MEAN_FACE, *_REFERENCE, *_FIT),
    "population": (*_SCAN, *_MEAN_FACE, *_REFERENCE, *_FIT),
    "fasseg": (*_IOU, *_REFERENCE, *_FIT),
    "wild": (*_FIT, ("self_eyes", "self eyes", 1), ("self_brows", "brows", 1), ("self_lips", "lips", 1),
             ("self_nose", "nose", 1), ("self_skin", "skin", 1)),
    "ict_synthetic": (*_IOU, *_SCAN, *_MEAN_FACE, *_REFERENCE, *_FIT),
}  # fmt: skip
HEADLINE = {
    "synthetic": ("scan_similarity", True), "population": ("scan_similarity", True), "fasseg": ("iou", False),
    "wild": ("landmark_error", True), "ict_synthetic": ("iou", False),
}  # fmt: skip


def average(rows: Iterable[dict]) -> dict[str, float]:
    """The mean of each figure over those photos that have it."""
    rows = list(rows)
    keys = sorted({key for row in rows for key, value in row.items() if isinstance(value, (int, float))})
    return {key: float(np.mean([row[key] for row in rows if isinstance(row.get(key), (int, float))])) for key in keys}


def summarise(photos: dict[str, dict]) -> dict[str, dict[str, dict[str, float]]]:
    """ "set/name" -> figures becomes set -> group -> mean figures; the group "all" is over all photos of the set."""
    sets: dict[str, dict[str, dict]] = {}
    for figures in photos.values():
        if "error" not in figures:
            groups = sets.setdefault(figures["set"], {})
            for group in dict.fromkeys((figures["group"], "all")):
                groups.setdefault(group, []).append(figures)
    return {
        name: {group: average(rows) for group, rows in sorted(groups.items(), key=lambda item: item[0] == "all")
               if len(groups) > 2 or group == "all"}
        for name, groups in sets.items()
    }  # fmt: skip


def tables(photos: dict[str, dict], sets: dict[str, dict[str, dict[str, float]]]) -> str:
    """The summary as text: one table per set, its worst photos, seconds of each stage, and what failed."""
    lines = []
    for name, groups in sets.items():
        fitted = [figures for figures in photos.values() if figures["set"] == name and "error" not in figures]
        count = {group: sum(group in (figures["group"], "all") for figures in fitted) for group in groups}
        columns = [column for column in COLUMNS[name] if any(column[0] in figures for figures in groups.values())]
        rows = [
            [f"{group} ({count[group]})"] + [_number(figures.get(key), factor) for key, _, factor in columns]
            for group, figures in groups.items()
        ]
        lines += ["", *text_table([name, *(heading for _, heading, _ in columns)], rows)]
        lines += [*_areas(groups), *_spread(fitted), _worst(name, photos)]
    lines += ["", *_seconds(photos)]
    failed = {key: figures["error"] for key, figures in photos.items() if "error" in figures}
    diverged = [key for key, figures in photos.items() if figures.get("diverged")]
    lines += ["", f"{len(photos)} photos, {len(failed)} failed, {len(diverged)} diverged"]
    lines += [f"  failed {key}: {error}" for key, error in failed.items()]
    lines += [f"  diverged {key}: landmark error {photos[key]['landmark_error']:.1%}" for key in diverged]
    return "\n".join(lines).lstrip("\n")


def text_table(head: list[str], rows: list[list[str]], left: tuple[int, ...] = (0,)) -> list[str]:
    """Lines of aligned columns, those in `left` to the left and the others to the right."""
    width = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    return [
        "  ".join(cell.ljust(width[n]) if n in left else cell.rjust(width[n]) for n, cell in enumerate(row)).rstrip()
        for row in [head, *rows]
    ]


def _areas(groups: dict[str, dict[str, float]]) -> list[str]:
    """Pixels of each part of the mesh by those in the labels."""
    lines = []
    for group, figures in groups.items():
        found = [(key.removeprefix("area_"), value) for key, value in figures.items() if key.startswith("area_")]
        if found:
            shares = ", ".join(f"{part.replace('_', ' ')} {value:.2f}" for part, value in found)
            lines.append(f"  area by the labels', {group}: {shares}")
    return lines


def _spread(rows: list[dict]) -> list[str]:
    """Of a population: what its mean errors would be with other people, and how many gain on the mean face."""
    if not rows or rows[0]["set"] != "population":
        return []
    lines = []
    for align in ("similarity", "rigid"):
        found = [(row[f"scan_{align}"], row[f"mean_face_{align}"]) for row in rows if f"scan_{align}" in row]
        if len(found) > 1:
            errors, mean_face = np.array(found).T
            low, high = interval(errors)
            better = int((errors < mean_face).sum())
            lines.append(f"  {align}: {low:.3f} to {high:.3f} for 95 % of draws of {len(found)} people; "
                         f"{better} better than the mean face")  # fmt: skip
    return lines


def interval(values: np.ndarray, draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """95 % of the means of as many values (N,) drawn anew from them (bootstrap)."""
    drawn = np.random.default_rng(seed).integers(0, len(values), (draws, len(values)))
    low, high = np.percentile(np.asarray(values)[drawn].mean(1), (2.5, 97.5))
    return float(low), float(high)


def _number(value: float | None, factor: float) -> str:
    if value is None:
        return "-"
    value *= factor
    return f"{value:.1f}" if abs(value) >= 20 else f"{value:.2f}" if factor > 1 else f"{value:.3f}"


def _worst(name: str, photos: dict[str, dict], count: int = 4) -> str:
    key, high = HEADLINE[name]
    found = [(p[key], label.split("/", 1)[1]) for label, p in photos.items() if p["set"] == name and key in p]
    return f"  worst by {key}: " + ", ".join(f"{n} {value:.3f}" for value, n in sorted(found, reverse=high)[:count])


def _seconds(photos: dict[str, dict]) -> list[str]:
    rows = [figures for figures in photos.values() if "error" not in figures]
    keys = list(dict.fromkeys(key for row in rows for key in row if key.startswith("seconds_")))
    if not keys:
        return []
    values = {key: np.array([row[key] for row in rows if key in row]) for key in keys}
    return text_table(
        ["seconds", "median", "p90", "max"],
        [[key.removeprefix("seconds_"), *(f"{f(v):.3f}" for f in (np.median, lambda v: np.percentile(v, 90), np.max))]
         for key, v in values.items()],
    )  # fmt: skip
