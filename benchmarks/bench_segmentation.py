"""The face parser, landmarks with colours and the bare polygons against hand-labelled and rendered faces.

    python benchmarks/bench_segmentation.py DATA_DIR

DATA_DIR/fasseg: photos with FASSEG's labels (0 background, 1 skin with ears and neck, 2 hair, 3 nose, 4 eyes, 5 mouth,
6 brows) as NAME_label.png and an index.json; DATA_DIR/ict_synthetic: renders with exact parts as NAME_parts.png.
Prints pixel accuracy inside the oval of the landmarks grown by 15 % of its height, and the overlap of each class, of
the labels that `facefit parse` writes; a fit's window of 224 pixels cannot show a part's border finer than one and a
half of these photos' pixels, and scores .01 less. The times are of a fit's window.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import facefit  # noqa: F401  before torch and numpy: it sets their threads

import imageio.v3 as iio  # isort: skip
import numpy as np
import torch

from facefit.anatomy.landmarks import FACE_OVAL
from facefit.anatomy.parts import LABEL
from facefit.geometry.camera import WindowTransform
from facefit.geometry.polygon import polygon_pixels
from facefit.observe.mediapipe_detector import load_detector
from facefit.observe.parse import PARSE_WINDOW, to_photo
from facefit.observe.segment.load import load_segmenter
from facefit.observe.segment.morphology import grow
from facefit.photo.photo import read_photo
from facefit.photo.window import crop_window, sample_window

WINDOW = 224  # a fit's: what is timed
FASSEG = {"skin": 1, "hair": 2, "background": 0, "nose": 3, "eyes": 4, "mouth": 5, "brows": 6}
TO_FASSEG = {
    "background": 0, "skin": 1, "nose": 3, "right_eye": 4, "left_eye": 4, "right_brow": 6, "left_brow": 6,
    "upper_lip": 5, "lower_lip": 5, "mouth_inside": 5, "head": 0, "ear": 1, "neck": 1, "hair": 2,
    "glasses": 1,  # FASSEG has no glasses: the label below them goes on
    "occluder": 0,
}  # fmt: skip
RENDERED = {
    "nose": 2, "right eye": 3, "left eye": 4, "right brow": 5, "left brow": 6, "upper lip": 7, "lower lip": 8,
}  # fmt: skip


def seen_in(pixels: np.ndarray, landmarks: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, WindowTransform]:
    """What a segmenter is given for a face: (S, S, 3) colours in [0, 1], (478, 2) window pixels, the window."""
    window = crop_window(landmarks, size)
    image = (sample_window(pixels, window)[0] / 255).astype(np.float32)
    return image, window.to_window(torch.as_tensor(landmarks)[None])[0].numpy(), window


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two masks."""
    return float((a & b).sum() / max((a | b).sum(), 1))


def score_fasseg(predicted: np.ndarray, truth: np.ndarray, landmarks: np.ndarray, brows: bool) -> dict[str, float]:
    """Accuracy in the grown oval and the overlap of every class that the hand labels have."""
    oval = landmarks[list(FACE_OVAL)]
    grown = grow(polygon_pixels(truth.shape, oval), 0.15 * np.ptp(oval[:, 1]))
    row = {"accuracy": float((predicted == truth)[grown].mean())}
    for name, number in FASSEG.items():
        a, b = predicted == number, truth == number
        if number in (0, 1, 2):  # these have no end of their own
            a, b = a & grown, b & grown
        if b.any() and (name != "brows" or brows):
            row[name] = overlap(a, b)
    return row


def table(title: str, rows: dict[str, list[dict[str, float]]]) -> None:
    """Print the mean of each column, one line per segmenter."""
    columns = list(dict.fromkeys(key for group in rows.values() for row in group for key in row))
    print(f"\n{title}\n{'':12s}" + "".join(f"{column:>12s}" for column in columns))
    for name, group in rows.items():
        means = [np.mean([row[column] for row in group if column in row]) for column in columns]
        print(f"{name:12s}" + "".join(f"{mean:12.3f}" for mean in means))


def main(folder: Path) -> int:
    """Score both sets and print the tables; 0 also where the data is absent, so that other benchmarks go on."""
    detector, segmenters = load_detector(), {name: load_segmenter(name) for name in ("polygons", "color", "auto")}
    seconds: dict[str, list[float]] = {name: [] for name in segmenters}

    def look(path: Path):
        photo = read_photo(path)
        faces = detector.detect(photo.pixels)
        if not faces:
            print(f"no face found: {path.name}")
            return
        for name, segmenter in segmenters.items():
            small = seen_in(photo.pixels, faces[0].landmarks, WINDOW)
            start = time.perf_counter()
            segmenter.segment(*small)
            seconds[name].append(time.perf_counter() - start)
            seen = seen_in(photo.pixels, faces[0].landmarks, PARSE_WINDOW)
            labels = segmenter.segment(*seen).labels
            yield name, to_photo(labels, seen[2], photo.pixels.shape[:2]), faces[0].landmarks

    seen = False
    index = folder / "fasseg" / "index.json"
    if index.is_file():
        seen = True
        lookup = np.array([TO_FASSEG[name] for name in LABEL], np.uint8)
        groups: dict[str, dict[str, list]] = {}
        for item in json.loads(index.read_text())["items"]:
            truth = iio.imread(index.parent / f"{item['name']}_label.png", mode="L")
            for name, labels, landmarks in look(index.parent / f"{item['name']}.png"):
                row = score_fasseg(lookup[labels], truth, landmarks, item["brows_found"] == 2)
                for group in (item["name"][:2].upper(), "all"):
                    groups.setdefault(group, {}).setdefault(name, []).append(row)
        for group, rows in sorted(groups.items()):
            table(f"FASSEG {group}, {len(rows['auto'])} photos", rows)
    else:
        print(f"skipped: {index} is absent")
    parts = sorted((folder / "ict_synthetic").glob("*_parts.png"))
    if parts:
        seen = True
        rows = {}
        for path in parts:
            truth = iio.imread(path, mode="L")
            for name, labels, _ in look(path.with_name(path.name.replace("_parts", ""))):
                row = {part: overlap(labels == k, truth == k) for part, k in RENDERED.items() if (truth == k).any()}
                rows.setdefault(name, []).append({**row, "mean": float(np.mean(list(row.values())))})
        table(f"rendered faces, {len(parts)} pictures", rows)
    else:
        print(f"skipped: {folder / 'ict_synthetic'} is absent")
    if seen:
        print(
            "\nmilliseconds a face, median: " + ", ".join(f"{k} {1000 * np.median(v):.1f}" for k, v in seconds.items())
        )
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1])))
