"""Contact sheets: every fit of a set at a glance, a few pictures of each with its name and its figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

_CAPTION = 16  # pixels


def write_sheets(
    tiles: list[tuple[np.ndarray, str]], folder: Path, name: str, columns: int = 2, rows: int = 5
) -> list[Path]:
    """Write NAME_1.png, NAME_2.png, ... and return their paths.

    Args:
        tiles: (height, width, 3) uint8 pictures, all of one size, and the caption of each.
    """
    paths = []
    for page, start in enumerate(range(0, len(tiles), columns * rows), start=1):
        part = tiles[start : start + columns * rows]
        height, width = part[0][0].shape[:2]
        lines = -(-len(part) // columns)
        sheet = Image.new("RGB", (columns * (width + 8), lines * (height + _CAPTION)), "white")
        pen = ImageDraw.Draw(sheet)
        for place, (picture, caption) in enumerate(part):
            x, y = place % columns * (width + 8), place // columns * (height + _CAPTION)
            pen.text((x + 3, y + 2), caption, fill="black")
            sheet.paste(Image.fromarray(picture), (x, y + _CAPTION))
        folder.mkdir(parents=True, exist_ok=True)
        paths.append(folder / f"{name}_{page}.png")
        sheet.save(paths[-1])
    return paths
