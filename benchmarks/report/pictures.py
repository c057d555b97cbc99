"""Best, median and worst of each set as one sheet, and small pictures for the page."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import numpy as np
from PIL import Image, ImageDraw

from facefit.files.outputs import write_files
from facefit.files.picture_bytes import jpg_bytes

# Renders of scans (CC BY 3.0, BSD-3-Clause) and of made-up people (MIT) may be shown; photos of people stay in the
# output folder.
PUBLIC = ("synthetic", "ict_synthetic", "blinks")


def ranked(rows: dict[str, dict], figure: str, high_is_bad: bool) -> list[str]:
    """Keys of the photos that have the figure, the best first."""
    found = [key for key, row in rows.items() if figure in row]
    return sorted(found, key=lambda key: (rows[key][figure] if high_is_bad else -rows[key][figure], key))


def best_median_worst(keys: list[str], count: int = 1) -> list[tuple[str, str]]:
    """Key and its rank in words, of `count` each, without repeats."""
    middle = len(keys) // 2 - count // 2
    picked = [("best", key) for key in keys[:count]] + [("median", key) for key in keys[middle : middle + count]]
    picked += [("worst", key) for key in keys[::-1][:count][::-1]]
    seen: set[str] = set()
    return [(key, word) for word, key in picked if not (key in seen or seen.add(key))]


def read_picture(path: Path) -> np.ndarray | None:
    """(H, W, 3) uint8 RGB, None where there is no picture."""
    return iio.imread(path, mode="RGB") if path.is_file() else None


def captioned(picture: np.ndarray, text: str, line: int = 16) -> np.ndarray:
    """The picture under a line of text."""
    head = Image.new("RGB", (picture.shape[1], line), "white")
    ImageDraw.Draw(head).text((3, 2), text, fill="black")
    return np.concatenate([np.asarray(head), picture])


def stack(rows: list[tuple[np.ndarray, str]]) -> np.ndarray:
    """Pictures of one width below each other, each under its caption."""
    return np.concatenate([captioned(picture, text) for picture, text in rows])


def write_jpeg(path: Path, picture: np.ndarray, quality: int = 85) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_files({path: jpg_bytes(picture, quality)})
