"""The photos with known answers that the evaluation reads, and how each set writes its answers down.

* `synthetic/`: renders of scans. NAME.json names the camera K and the scan: an .npz of `verts`, `faces`, `landmarks7`
  in mm and the vertices of the face, `region_oval`.
* `ict_synthetic/`: renders of made-up people. NAME.npz as a scan, NAME_parts.png with labels, K in NAME.json.
* `population/`: rendered people of training.parser.population, their surfaces as scans, K in NAME.json.
* `fasseg/`: photos with hand labels NAME_label.png and an index.json.
* `wild/`: photos, nothing known.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from facefit.anatomy.label_maps import FASSEG, our_labels
from facefit.anatomy.parts import LABEL

SETS = ("synthetic", "population", "fasseg", "wild", "ict_synthetic")
DATA_VARIABLE = "FACEFIT_EVAL_DATA"

_ICT = {**{number: number for number in range(1, 11)}, 11: LABEL["hair"]}


@dataclass(frozen=True)
class Case:
    """One photo of a set.

    Attributes:
        set: name of its set; name: of the photo, unique in the set; group: what its figures are averaged over first.
        photo: the file. labels: hand labels or exact ones. scan: the true surface.
        focal: pixels, where the true camera is known.
        brows: whether the labels hold the brows.
    """

    set: str
    name: str
    photo: Path
    group: str
    labels: Path | None = None
    scan: Path | None = None
    focal: float | None = None
    brows: bool = True


@dataclass(frozen=True)
class Scan:
    """A true surface: (V, 3) mm, (F, 3), (7, 3) mm, (V,) bool."""

    verts: np.ndarray
    faces: np.ndarray
    landmarks7: np.ndarray
    region: np.ndarray


def cases(data: Path, name: str) -> list[Case]:
    """The photos of one set, by name.

    Raises:
        ValueError: an unknown set.
        FileNotFoundError: the folder or its index is absent.
    """
    if name not in SETS:
        raise ValueError(f"set is {name!r}; accepted: {', '.join(SETS)}")
    folder = data / name
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is absent")
    listed = {
        "synthetic": _synthetic,
        "population": _population,
        "ict_synthetic": _ict,
        "fasseg": _fasseg,
        "wild": _wild,
    }
    return listed[name](folder)


def spread(items: list[Case], limit: int | None) -> list[Case]:
    """At most `limit` of them, evenly from the first to the last, so that every group is in."""
    if limit is None or limit >= len(items):
        return items
    return [items[int(at)] for at in np.linspace(0, len(items) - 1, max(limit, 1)).round()]


def _synthetic(folder: Path) -> list[Case]:
    found = []
    for path in sorted(folder.glob("*.json")):
        about = json.loads(path.read_text())
        found.append(
            Case("synthetic", path.stem, folder / about["image"], about["scan"],
                 scan=folder.parent / about["scan_file"], focal=float(about["K"][0][0]))
        )  # fmt: skip
    return found


def _population(folder: Path) -> list[Case]:
    return [
        Case("population", path.stem, path.with_suffix(".png"), "population", scan=path.with_suffix(".npz"),
             focal=float(json.loads(path.read_text())["K"][0][0]))
        for path in sorted(folder.glob("*.json"))
    ]  # fmt: skip


def _ict(folder: Path) -> list[Case]:
    found = []
    for path in sorted(folder.glob("*_parts.png")):
        stem = path.name.removesuffix("_parts.png")
        about = json.loads((folder / f"{stem}.json").read_text())
        found.append(
            Case("ict_synthetic", stem, folder / f"{stem}.png", "ict", path, folder / f"{stem}.npz",
                 float(about["K"][0][0]))
        )  # fmt: skip
    return found


def _fasseg(folder: Path) -> list[Case]:
    return [
        Case("fasseg", item["name"], folder / f"{item['name']}.png", item["name"][:2].upper(),
             folder / f"{item['name']}_label.png", brows=item["brows_found"] == 2)
        for item in json.loads((folder / "index.json").read_text())["items"]
    ]  # fmt: skip


def _wild(folder: Path) -> list[Case]:
    suffixes = (".jpg", ".jpeg", ".png")
    return [
        Case("wild", path.stem, path, "wild") for path in sorted(folder.iterdir()) if path.suffix.lower() in suffixes
    ]


def read_labels(case: Case) -> np.ndarray:
    """(H, W) uint8 in the numbers of anatomy.parts.LABELS; sides and lips as far as the set tells them apart."""
    raw = np.asarray(Image.open(case.labels).convert("L"))
    table = np.zeros(256, np.uint8)
    if case.set == "fasseg":
        # it does not tell sides or lips apart: the metrics merge both sides, so that either side will do here
        table[: len(FASSEG)] = our_labels(FASSEG)
        if not case.brows:
            table[FASSEG.index("brows")] = LABEL["background"]
    else:
        for number, label in _ICT.items():
            table[number] = label
    return table[raw]


def read_scan(path: Path) -> Scan:
    with np.load(path, allow_pickle=False) as file:
        return Scan(
            file["verts"].astype(np.float64), file["faces"].astype(np.int64), file["landmarks7"].astype(np.float64),
            file["region_oval"].astype(bool),
        )  # fmt: skip
