"""The first pictures of a data set with their parts, to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..anatomy.parts import COLOURS
from ..files.picture_bytes import jpg_bytes
from ..files.read_picture import open_picture
from ..files.untrusted import read_npz
from .brush import resized

MOST, ACROSS, SIDE = 24, 8, 128  # pictures, pictures in a row, pixels
_QUALITY = 88


def contact_sheet(paths: Sequence[Path], suffix: str) -> bytes:
    """JPEG: rows of pictures, each with the rows of their parts below.

    Args:
        paths: of samples, without a suffix. suffix: of their pictures.
    """
    paths = paths[:MOST]
    rows = []
    for start in range(0, len(paths), ACROSS):
        some = paths[start : start + ACROSS]
        pictures, parts = [], []
        for path in some:
            with open_picture(path.with_name(path.name + suffix)) as picture:
                pictures.append(np.asarray(picture.convert("RGB")))
            parts.append(COLOURS[read_npz(path.with_name(path.name + ".npz"), ("labels",))["labels"]])
        rows += [_row(pictures), _row(parts)]
    return jpg_bytes(np.concatenate(rows), _QUALITY)


def _row(pictures: list[np.ndarray]) -> np.ndarray:
    small = [resized(picture.astype(np.float32), SIDE).round().clip(0, 255).astype(np.uint8) for picture in pictures]
    blank = [np.full((SIDE, SIDE, 3), 255, np.uint8)] * (ACROSS - len(small))
    return np.concatenate([*small, *blank], 1)
