"""Pictures of labels, read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import InputError
from .read_picture import decode, open_picture


def read_label_picture(path: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """(H, W) uint8 of an 8-bit grey or palette picture.

    Args:
        path: of the picture.
        size: width and height that it must have.
    Raises:
        InputError: it cannot be read, has colours, or another size.
    """
    with open_picture(path, what="picture of labels", error=InputError) as picture:
        if picture.mode not in ("L", "P"):
            raise InputError(f"{path}: a picture of mode {picture.mode}; labels are 8-bit grey or palette")
        decode(picture)
        labels = np.array(picture, np.uint8)
    if size is not None and labels.shape != (size[1], size[0]):
        height, width = labels.shape
        raise InputError(f"{path}: is {width} x {height} pixels; the photo was {size[0]} x {size[1]}")
    return labels
