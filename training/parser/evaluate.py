"""What a parser scores against hand labels and exact ones, in the photos' own pixels.

The figures of facefit.evaluate.segmenter, for networks that are not in a file yet and for photos of
fasseg_train, whose people the networks have not seen.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import facefit  # noqa: F401  before torch and numpy: it sets their threads

import imageio.v3 as iio  # isort: skip
import numpy as np

from facefit.anatomy.label_maps import fasseg_numbers
from facefit.evaluate.segmenter import face_window, score_fasseg, score_rendered
from facefit.observe.detector import NetworkDetector
from facefit.observe.parse import PARSE_WINDOW, to_photo
from facefit.observe.segment.contract import PartSegmenter
from facefit.photo.photo import read_photo

_LOOKUP = fasseg_numbers()


@dataclass(frozen=True)
class Scored:
    """A photo with true labels, looked at once.

    Attributes:
        name, person, source: as in Samples; yaw: degrees.
        image: (S, S, 3) the window that `facefit parse` looks at; inside: (478, 2) its landmarks; window.
        landmarks: (478, 2) photo pixels.
        truth: (H, W) labels of the photo; brows: whether they hold the brows.
    """

    name: str
    person: str
    source: str
    yaw: float
    image: np.ndarray
    inside: np.ndarray
    window: object
    landmarks: np.ndarray
    truth: np.ndarray
    brows: bool


def _look(photo_file: Path, label_file: Path, detector: NetworkDetector, **about) -> Scored | None:
    photo = read_photo(photo_file)
    faces = detector.detect(photo.pixels)
    if not faces:
        return None
    image, inside, window = face_window(photo.pixels, faces[0].landmarks, PARSE_WINDOW)
    truth = iio.imread(label_file, mode="L")
    return Scored(
        name=photo_file.stem, image=image, inside=inside, window=window, landmarks=faces[0].landmarks, truth=truth,
        **about,
    )  # fmt: skip


def look(data: Path) -> list[Scored]:
    """All photos of fasseg and fasseg_train, and the renders of ict_synthetic, in which a face is found."""
    detector, found = NetworkDetector(), []
    for folder in (data / "fasseg", data / "fasseg_train"):
        for item in json.loads((folder / "index.json").read_text())["items"]:
            found.append(_look(
                folder / f"{item['name']}.png", folder / f"{item['name']}_label.png", detector,
                person=item.get("person", item["name"]), source=item["name"][:2], yaw=item["yaw"],
                brows=item["brows_found"] == 2,
            ))  # fmt: skip
    for path in sorted((data / "ict_synthetic").glob("*_parts.png")):
        found.append(_look(
            path.with_name(path.name.replace("_parts", "")), path, detector, person="", source="ict", yaw=0.0,
            brows=True,
        ))  # fmt: skip
    return [one for one in found if one is not None]


def score(segmenter: PartSegmenter, photo: Scored) -> dict[str, float]:
    """Overlap of each class; for FASSEG also the pixel accuracy in the grown oval."""
    labels = segmenter.segment(photo.image, photo.inside, photo.window).labels
    labels = to_photo(labels, photo.window, photo.truth.shape)
    if photo.source != "ict":
        return score_fasseg(_LOOKUP[labels], photo.truth, photo.landmarks, photo.brows)
    return score_rendered(labels, photo.truth)


def means(rows: list[dict[str, float]]) -> dict[str, float]:
    """Of each figure, over the photos that have it."""
    keys = dict.fromkeys(key for row in rows for key in row)
    return {key: float(np.mean([row[key] for row in rows if key in row])) for key in keys}


def report(segmenter: PartSegmenter, photos: list[Scored], groups: dict[str, Callable[[Scored], bool]]) -> str:
    """A table, one line per group of photos."""
    rows = [(photo, score(segmenter, photo)) for photo in photos]
    lines = []
    for name, member in groups.items():
        group = [row for photo, row in rows if member(photo)]
        if group:
            figures = "  ".join(f"{key} {value:.3f}" for key, value in means(group).items())
            lines.append(f"{name:24s} n {len(group):3d}  {figures}")
    return "\n".join(lines)


GROUPS: dict[str, Callable[[Scored], bool]] = {
    "V2": lambda photo: photo.source == "v2",
    "V3 to 45 degrees": lambda photo: photo.source == "v3" and abs(photo.yaw) <= 45,
    "V3 beyond": lambda photo: photo.source == "v3" and abs(photo.yaw) > 45,
    "ict_synthetic": lambda photo: photo.source == "ict",
}
