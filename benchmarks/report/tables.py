"""Figures of many fits -> the tables of the page, each with counts and intervals of 95 %."""

from __future__ import annotations

from benchmarks.bars import Bar, markdown_table
from benchmarks.report.corruption import CORRUPTIONS
from benchmarks.report.runs import VARIANT_NAMES, VARIANTS, Run
from benchmarks.report.statistics import Mean, mean_of, person_of, ratio_of

Rows = dict[str, dict]  # "set/name" -> figures
Runs = dict[str, Rows]  # run name -> rows

# Set -> figure, heading, factor, digits, whether more is better.
FIGURES = {
    "synthetic": (("scan_similarity", "similarity mm", 1, 3, False), ("scan_rigid", "rigid mm", 1, 3, False)),
    "fasseg": (("iou", "Part IoU", 1, 3, True),),
    "ict_synthetic": (("iou", "Part IoU", 1, 3, True), ("scan_similarity", "similarity mm", 1, 3, False)),
    "blinks": (("closed_iou", "IoU of closing eyes", 1, 3, True), ("iou", "Part IoU", 1, 3, True)),
    "wild": (("landmark_error", "landmark error %", 100, 2, False), ("self_iou", "IoU with own masks", 1, 3, True)),
}
MORE = {
    "fasseg": ("iou_nose", "iou_eyes", "iou_mouth", "iou_brows", "iou_skin", "landmark_error", "self_iou"),
    "ict_synthetic": ("iou_nose", "iou_right_eye", "iou_left_eye", "iou_right_brow", "iou_left_brow", "iou_upper_lip",
                      "iou_lower_lip", "iou_skin", "scan_rigid", "landmark_error", "self_iou"),
    "synthetic": ("mean_face_similarity", "mean_face_rigid", "scan_scale", "landmark_error", "self_iou"),
    "wild": ("self_eyes", "self_brows", "self_lips", "self_nose"),
    "blinks": ("closed_area", "landmark_error", "self_iou"),
}  # fmt: skip


def of_set(rows: Rows, name: str, group: str | None = None) -> Rows:
    """The photos of a set (and group) that were fitted."""
    return {
        key: row for key, row in rows.items()
        if row["set"] == name and group in (None, row["group"]) and "error" not in row
    }  # fmt: skip


def average(rows: Rows, figure: str, factor: float = 1) -> Mean | None:
    chosen = [key for key in rows if figure in rows[key]]
    return mean_of([factor * rows[key][figure] for key in chosen], [person_of(key) for key in chosen])


def difference(a: Rows, b: Rows, figure: str, factor: float = 1) -> Mean | None:
    """Mean of b - a over the photos that both have."""
    both = [key for key in a if key in b and figure in a[key] and figure in b[key]]
    return mean_of([factor * (b[key][figure] - a[key][figure]) for key in both], [person_of(key) for key in both])


def default_table(runs: Runs) -> str:
    """The sets with the default settings."""
    rows = []
    full = runs.get(Run("full").name, {})
    for name, figures in FIGURES.items():
        groups = sorted({row["group"] for row in of_set(full, name).values()})
        for group in [*groups, None] if len(groups) > 1 else [None]:
            chosen = of_set(full, name, group)
            if not chosen:
                continue
            for figure, heading, factor, digits, _ in figures:
                mean = average(chosen, figure, factor)
                if mean is not None:
                    rows.append([name, group or "all", heading, mean.text(digits), str(mean.count), str(mean.people)])
            for figure in MORE[name] if group is None else ():
                factor = 100 if figure == "landmark_error" else 1
                mean = average(chosen, figure, factor)
                if mean is not None:
                    unit = " %" if factor == 100 else ""
                    heading = figure.removeprefix("iou_").replace("_", " ") + unit
                    rows.append([name, "", heading, mean.text(3), str(mean.count), str(mean.people)])
    return markdown_table(["set", "group", "figure", "mean [95 %]", "photos", "people"], rows, range(3))


def variant_table(runs: Runs) -> str:
    """What each energy adds: every figure of every set under each choice of energies, and against landmarks alone."""
    rows = []
    base = runs.get("landmark", {})
    for name, figures in FIGURES.items():
        for figure, heading, factor, digits, more in figures:
            for variant in VARIANTS:
                chosen = of_set(runs.get(variant, {}), name)
                mean = average(chosen, figure, factor)
                if mean is None:
                    continue
                change = difference(of_set(base, name), chosen, figure, factor) if variant != "landmark" else None
                text = change.text(digits, sign=True) if change else ""
                rows.append([name, heading, VARIANT_NAMES[variant], mean.text(digits), text, verdict(change, more),
                             str(mean.count)])  # fmt: skip
    head = ["set", "figure", "energies", "mean [95 %]", "against landmarks only", "", "photos"]
    return markdown_table(head, rows, range(3))


def verdict(change: Mean | None, more: bool) -> str:
    """Better or worse where the interval says so."""
    if change is None or change.people < 2 or change.low <= 0 <= change.high:
        return ""
    return "better" if (change.value > 0) == more else "worse"


def spoilt_table(runs: Runs) -> str:
    """Part IoU with hand labels or exact masks, over the same photos clean and spoilt."""
    rows = []
    for kind, corruption in CORRUPTIONS.items():
        if kind == "none":
            continue
        for variant in VARIANTS:
            spoilt = _labelled(runs.get(Run(variant, kind).name, {}))
            clean = {key: row for key, row in _labelled(runs.get(variant, {})).items() if key in spoilt}
            before, after = average(clean, "iou"), average(spoilt, "iou")
            if before is None or after is None:
                continue
            change = difference(clean, spoilt, "iou")
            rows.append([corruption.about, VARIANT_NAMES[variant], f"{before.value:.3f}", after.text(),
                         change.text(sign=True), str(after.count)])  # fmt: skip
    head = ["what is wrong", "energies", "clean", "spoilt [95 %]", "change [95 %]", "photos"]
    return markdown_table(head, rows, range(2))


def _labelled(rows: Rows) -> Rows:
    return {key: row for key, row in rows.items() if "iou" in row}


def recovered(runs: Runs, kind: str, variant: str) -> Mean | None:
    """Of the Part IoU that landmarks alone lose when they are spoilt: the share that another choice of energies holds.

    1 means as good as landmarks alone on clean input.
    """
    clean, base = _labelled(runs.get("landmark", {})), _labelled(runs.get(Run("landmark", kind).name, {}))
    other = _labelled(runs.get(Run(variant, kind).name, {}))
    both = [key for key in base if key in clean and key in other]
    gained = [other[key]["iou"] - base[key]["iou"] for key in both]
    lost = [clean[key]["iou"] - base[key]["iou"] for key in both]
    return ratio_of(gained, lost, [person_of(key) for key in both])


def eyes_table(runs: Runs) -> str:
    """Eyes that are closed or closing, by where the photo comes from."""
    rows = []
    for name, about in CLOSED.items():
        for variant in VARIANTS:
            chosen = {key: row for key, row in of_set(runs.get(variant, {}), name).items() if "closed_pixels" in row}
            mean = average(chosen, "closed_iou")
            if mean is None:
                continue
            base = {key: row for key, row in of_set(runs.get("landmark", {}), name).items() if key in chosen}
            change = difference(base, chosen, "closed_iou") if variant != "landmark" else None
            area = sum(row["closed_pixels"] for row in chosen.values()) / max(
                1.0, sum(row["closed_target"] for row in chosen.values())
            )
            rows.append([about, VARIANT_NAMES[variant], mean.text(), change.text(sign=True) if change else "",
                         f"{area:.2f}", str(mean.count)])  # fmt: skip
    head = ["photos", "energies", "IoU of the eyes that close [95 %]", "against landmarks only", "area", "photos"]
    return markdown_table(head, rows, range(2))


CLOSED = {
    "blinks": "narrowed eyes and winks of made-up people, exact masks",
    "ict_synthetic": "half-closed eyes of `ict_synthetic`, exact masks",
    "synthetic": "the scan with closed eyes (lps), slit outlined by hand",
    "wild": "narrow and lowered eyes of `wild`, outlined by hand",
}


def closed_bar(runs: Runs) -> Bar:
    """The eyes that close, of all sets together: full energy against landmarks only."""
    what = "closed eyes: eye IoU, all energies - landmarks only"
    change = difference(runs.get("landmark", {}), runs.get("full", {}), "closed_iou")
    if change is None:
        return Bar(what, None, 0.05, True, note="no photo of a closing eye")
    return Bar(what, change.value, 0.05, True, note=_interval(change))


def bars(runs: Runs) -> list[Bar]:
    """The bars that the energies are held to."""
    out = []
    for name, figure, heading, bar, more in (
        ("fasseg", "iou", "fasseg: Part IoU, all energies - landmarks only", 0.03, True),
        ("synthetic", "scan_similarity", "synthetic: scan error (mm), all energies - landmarks only", 0.0, False),
    ):
        change = difference(of_set(runs.get("landmark", {}), name), of_set(runs.get("full", {}), name), figure)
        if change is None:
            out.append(Bar(heading, None, bar, more, note="not measured"))
        else:
            out.append(Bar(heading, change.value, bar, more, note=_interval(change)))
    for variant in ("prdl", "full"):
        what = f"landmarks displaced: share of the lost Part IoU that {VARIANT_NAMES[variant]} recovers"
        for kind in ("landmarks_scattered", "landmarks_shifted"):
            share = recovered(runs, kind, variant)
            note = CORRUPTIONS[kind].about.rsplit(", ", 1)[1]
            value = None if share is None else share.value
            out.append(Bar(what, value, 0.5, True, note=note + (f"; {_interval(share)}" if share else "")))
    alone = average(of_set(runs.get("prdl_only", {}), "wild"), "self_iou")
    if alone is not None:
        out.append(
            Bar("wild: PRDL alone, IoU of the 7 inner parts with its masks", alone.value, 0.636, True,
                note=_interval(alone))
        )  # fmt: skip
    return [*out, closed_bar(runs)]


def _interval(mean: Mean) -> str:
    return f"95 %: {mean.low:+.3f} to {mean.high:+.3f}, {mean.count} photos"
