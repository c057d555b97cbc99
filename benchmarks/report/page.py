"""docs/results.md out of the figures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmarks import bars as bar_tables
from benchmarks.bars import Bar, markdown_table
from benchmarks.report import published
from benchmarks.report.causes import cause, verdict_of
from benchmarks.report.pictures import PUBLIC, best_median_worst, ranked, read_picture, stack, write_jpeg
from benchmarks.report.runs import Run
from benchmarks.report.tables import (
    FIGURES,
    Runs,
    bars,
    default_table,
    eyes_table,
    of_set,
    spoilt_table,
    variant_table,
)

ANALYSIS = Path(__file__).with_name("analysis.md")
WORST = 4  # photos named per set


@dataclass(frozen=True)
class Report:
    """What a page is made of.

    Attributes:
        runs: the figures. out: the folder of the pictures. about: machine, date, segmenter, time.
        agreement: bars of the comparison with independent scripts. absent: sets that are not there.
    """

    runs: Runs
    out: Path
    about: str
    agreement: tuple[Bar, ...] = ()
    absent: tuple[str, ...] = ()


def write_page(report: Report, doc: Path) -> None:
    """Write the page, its pictures beside it in images/, and the sheets of photos to the output folder."""
    text = page(report, draw_sets(report, doc.parent / "images"))
    doc.parent.mkdir(parents=True, exist_ok=True)
    doc.write_text(text)


def draw_sets(report: Report, images: Path) -> dict[str, str]:
    """Best, median and worst of each set. Returns set -> name of its picture in `images`; sets of photos of people
    that may not be shown are written to the output folder alone."""
    shown = {}
    full = report.runs.get("full", {})
    for name, ((figure, heading, factor, digits, more), *_) in FIGURES.items():
        rows = of_set(full, name)
        keys = ranked(rows, figure, not more)
        tiles = []
        for key, word in best_median_worst(keys, 1 if name in PUBLIC else 2):
            picture = read_picture(report.out / "pictures" / "full" / f"{key}.jpg")
            if picture is not None:
                tiles.append((picture, f"{word}: {key}, {heading} {factor * rows[key][figure]:.{digits}f}"))
        if not tiles:
            continue
        sheet = stack(tiles)
        write_jpeg(report.out / "sheets" / f"{name}.jpg", sheet, 90)
        if name in PUBLIC:
            shown[name] = f"results_{name}.jpg"
            write_jpeg(images / shown[name], sheet, 80)
    eyes = _eyes_sheet(report)
    if eyes:
        shown["eyes"] = "results_closed_eyes.jpg"
        write_jpeg(images / shown["eyes"], stack(eyes), 80)
    return shown


def _eyes_sheet(report: Report) -> list:
    """The closing eyes that gained most, the middle one, and the one that lost most: landmarks only above all."""
    a, b = (of_set(report.runs.get(name, {}), "blinks") for name in ("landmark", "full"))
    gain = {
        key: {"gain": b[key]["closed_iou"] - a[key]["closed_iou"]}
        for key in a if key in b and "closed_iou" in a[key] and "closed_iou" in b[key]
    }  # fmt: skip
    tiles = []
    for key, word in best_median_worst(ranked(gain, "gain", False)):
        for run, rows in (("landmark", a), ("full", b)):
            picture = read_picture(report.out / "pictures" / run / f"{key}.jpg")
            if picture is not None:
                what = "landmarks only" if run == "landmark" else "all energies"
                said = {"best": "most gained", "median": "median", "worst": "least gained"}[word]
                tiles.append((picture, f"{said}: {key}, {what}, closing eyes {rows[key]['closed_iou']:.2f}"))
    return tiles


def page(report: Report, shown: dict[str, str]) -> str:
    """The text of the page."""
    runs = report.runs
    sections = [
        "# Results\n\nWritten by `make eval`; nothing here is typed in but the words of the analysis. " + report.about,
        "Intervals are of 95 %, by bootstrap over people (photos of one person are drawn together; the renders of "
        "the two scans singly). Part IoU: the visible parts of the mesh against hand labels (`fasseg`, mean of nose, "
        "eyes, mouth) or exact masks (`ict_synthetic`, `blinks`, mean of the seven parts inside the face). Scan error: "
        "median distance of the scan's face to the mesh after alignment. `wild` has no truth: its figures say how well "
        "a fit agrees with its own input.",
        "## Bars\n\n" + bar_tables.markdown([*bars(runs), *report.agreement]),
        "## The sets with the default settings\n\n" + default_table(runs) + _failed(runs, report.absent),
        "## What each energy adds\n\nThe same photos and start; differences are paired.\n\n" + variant_table(runs),
        "## Spoilt input\n\nPart IoU with the truth, on photos of `fasseg` and `ict_synthetic`.\n\n"
        + spoilt_table(runs),
        "## Closed eyes and winks\n\n`area`: visible eye pixels of the mesh by those of the truth; more than 1 means "
        "the mesh's lids are too far open. Eyes of which the truth shows nothing have no IoU and count in `area` "
        "alone.\n\n" + eyes_table(runs) + _image(shown, "eyes", "Closing eyes, landmarks only and all energies"),
        "## Best, median, worst\n\nPhoto, mesh over photo, clay, the fitted colours from two sides, parts. "
        "Shown are renders of the scans "
        '"Infinite, 3D Head Scan" by Lee Perry-Smith (CC BY 3.0) and of menpo3d\'s example (BSD-3-Clause) and of '
        "made-up people of ICT-FaceKit (MIT). Photos of people are not ours to show; their sheets are written to the "
        "output folder.\n" + "".join(_image(shown, name, f"{name}: best, median, worst") for name in PUBLIC),
        "## The worst and why\n\n" + worst_table(runs),
        "### How often\n\nOf photos with known parts, what holds back the worst part of each:\n\n" + cause_table(runs),
        ANALYSIS.read_text().strip(),
        "## Beside the field\n\n" + field_tables(),
    ]
    return "\n\n".join(sections).rstrip() + "\n"


def _image(shown: dict[str, str], name: str, words: str) -> str:
    return f"\n\n![{words}](images/{shown[name]})" if name in shown else ""


def _failed(runs: Runs, absent: tuple[str, ...]) -> str:
    full = runs.get("full", {})
    failed = {key: row["error"] for key, row in full.items() if "error" in row}
    diverged = [key for key, row in full.items() if row.get("diverged")]
    photos = sum(row["set"] != "blinks" for row in full.values())
    text = f"\n\n{photos} photos and {len(full) - photos} closed eyes: {len(failed)} failed, {len(diverged)} diverged."
    text += "".join(f"\n* failed: {key}: {error}" for key, error in failed.items())
    text += "".join(f"\n* diverged: {key}" for key in diverged)
    return text + "".join(f"\n* skipped: {line}" for line in absent)


def worst_table(runs: Runs) -> str:
    """The worst photos of each set, and the cause of each."""
    lines = []
    for name, ((figure, heading, factor, digits, more), *_) in FIGURES.items():
        rows = of_set(runs.get("full", {}), name)
        keys = ranked(rows, figure, not more)
        for key in keys[::-1][: min(WORST, max(1, len(keys) // 3))]:
            lines.append([key, f"{heading} {factor * rows[key][figure]:.{digits}f}", cause(key, rows[key])])
    return markdown_table(["photo", "figure", "cause"], lines, range(3))


def cause_table(runs: Runs) -> str:
    """How often each verdict holds among the photos with known parts."""
    counts: dict[str, Counter] = {}
    for row in runs.get(Run("full").name, {}).values():
        verdict = None if "error" in row else verdict_of(row)
        if verdict:
            counts.setdefault(row["set"], Counter())[verdict] += 1
    words = dict.fromkeys(word for counter in counts.values() for word, _ in counter.most_common())
    body = [[word, *(str(counts[name][word]) for name in counts)] for word in words]
    return markdown_table(["cause", *counts], body)


def field_tables() -> str:
    parts = markdown_table(
        ["method", "Part IoU %, MEAD", "REALY frontal mm", "REALY side mm"],
        [[name, f"{iou:.2f}", f"{front:.3f}", f"{side:.3f}"] for name, iou, front, side in published.PART_IOU],
    )
    now = markdown_table(["method", "NoW, median mm"], [[name, f"{value:.2f}"] for name, value in published.NOW])
    return f"{published.WARNING}\n\n{parts}\n\n{now}"
