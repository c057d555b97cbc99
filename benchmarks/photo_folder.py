"""Folders of photos to measure batches with: variants of a portrait, or a person's own photos, repeated."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from PIL import Image, ImageEnhance

ROOT = Path(__file__).resolve().parent.parent
FACEFIT = [sys.executable, str(ROOT / "cli.py")]


def fill(folder: Path, count: int, photos: Path | None = None, side: int | None = None) -> Path:
    """A folder of `count` photos.

    Args:
        photos: a folder; its photos are linked in turn. None: NASA's portrait of Eileen Collins (public domain, shipped
            with scikit-image), mirrored, shifted and with other light, so that no two are alike.
        side: of the portraits in pixels; None: as it is, 512.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if photos is not None:
        from facefit.photo.photo_list import find_photos

        found = [path.resolve() for path in find_photos(photos)]
        for number in range(count):
            source = found[number % len(found)]
            (folder / f"{number:05}{source.suffix}").symlink_to(source)
        return folder
    from skimage.data import astronaut

    portrait = Image.fromarray(astronaut())
    variants: list[Path] = []
    for number in range(count):
        path = folder / f"{number:05}.jpg"
        if number >= 64:  # as many pictures are enough; the rest are links
            os.link(variants[number % 64], path)
            continue
        left, top = 90 + number % 8 * 4, number // 8 % 4 * 4
        picture = portrait.crop((left, top, left + 260, top + 260)) if side else portrait
        if number % 2:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        picture = ImageEnhance.Brightness(picture).enhance(0.8 + 0.05 * (number % 9))
        if side:
            picture = picture.resize((side, side), Image.Resampling.LANCZOS)
        picture.save(path, quality=92)
        variants.append(path)
    return folder


def environment() -> dict[str, str]:
    """For processes of facefit from this checkout."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}


def processes_below(parent: int) -> list[int]:
    """A process and all that descend from it (Linux)."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [parent]
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found
