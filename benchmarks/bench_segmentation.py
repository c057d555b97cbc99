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

from facefit.anatomy.label_maps import fasseg_numbers
from facefit.evaluate.segmenter import face_window, score_fasseg, score_rendered
from facefit.observe.detector import load_detector
from facefit.observe.parse import PARSE_WINDOW, to_photo
from facefit.observe.segment.load import load_segmenter
from facefit.photo.photo import read_photo

WINDOW = 224  # a fit's: what is timed


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
            small = face_window(photo.pixels, faces[0].landmarks, WINDOW)
            start = time.perf_counter()
            segmenter.segment(*small)
            seconds[name].append(time.perf_counter() - start)
            seen = face_window(photo.pixels, faces[0].landmarks, PARSE_WINDOW)
            labels = segmenter.segment(*seen).labels
            yield name, to_photo(labels, seen[2], photo.pixels.shape[:2]), faces[0].landmarks

    seen = False
    index = folder / "fasseg" / "index.json"
    if index.is_file():
        seen = True
        lookup = fasseg_numbers()
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
                rows.setdefault(name, []).append(score_rendered(labels, truth))
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
