"""What the results of each photo of a batch are called: no two photos share a file, on any file system."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from ..output.paths import one_line
from ..vocabulary import MESH_SUFFIXES

PICTURES = ("texture", "overlay", "labels", "albedo", "thumbnail", "normals", "displacement")  # NAME_texture.png, ...
LONGEST = 180  # bytes of a stem: file systems allow 255, and endings and temporary names come on top


def mesh_names(keys: Sequence[str], suffix: str) -> dict[str, PurePosixPath]:
    """Key of a photo -> its mesh, relative to the output folder; nor do numbered faces and pictures collide.

    `sub/ann.jpg` becomes `sub/ann.obj`. Where that is ambiguous in a folder (ann.jpg beside ann.png, beside ANN.jpg on
    a disk that ignores case, or beside ann_1.jpg, which could be ann's first face) every photo of that folder keeps its
    own suffix in the name: `sub/ann_jpg.obj`. Absolute keys lose their root.
    """
    groups: dict[str, list[PurePosixPath]] = {}
    places = {key: _below(key) for key in keys}
    for place in places.values():
        groups.setdefault(_same(str(place.parent)), []).append(place)
    ambiguous = {parent for parent, group in groups.items() if _ambiguous(group)}
    used: set[str] = set()
    names = {}
    for key, place in places.items():
        stem = _short(place.stem)
        name = f"{stem}_{place.suffix[1:]}" if _same(str(place.parent)) in ambiguous else stem
        while _same(str(place.parent / name)) in used:  # ann.jpg beside ANN.JPG
            name += "_"
        used.add(_same(str(place.parent / name)))
        names[key] = place.parent / f"{name}{suffix}"
    return names


def beside(mesh: PurePosixPath, word: str, suffix: str) -> PurePosixPath:
    """sub/ann.obj, overlay, .png -> sub/ann_overlay.png"""
    return mesh.with_name(f"{mesh.stem}_{word}{suffix}")


def meshes_of(name: PurePosixPath) -> list[PurePosixPath]:
    """The meshes, without their suffix, one of whose files may have this name: sub/ann_2_overlay.png -> sub/ann,
    sub/ann_2."""
    stem = name.stem
    if name.suffix.lower() in (".png", ".jpg", ".exr"):
        stem, _, word = stem.rpartition("_")
        if word not in PICTURES or not stem:
            return []
    elif name.suffix.lower() not in (*MESH_SUFFIXES, ".mtl", ".json"):
        return []
    head, _, number = stem.rpartition("_")
    return [name.with_name(each) for each in (stem, head if number.isdigit() else "") if each]


def _below(key: str) -> PurePosixPath:
    parts = [one_line(part).replace(":", "_") for part in PurePosixPath(key).parts if part not in ("/", "..")]
    return PurePosixPath(*parts)


def _ambiguous(group: list[PurePosixPath]) -> bool:
    stems = Counter(_same(_short(place.stem)) for place in group)
    return any(count > 1 for count in stems.values()) or any(
        _without_ending(stem) in stems for stem in stems if _without_ending(stem) != stem
    )


def _without_ending(stem: str) -> str:
    """ann_1 and ann_texture -> ann: names that files of ann may take."""
    head, _, tail = stem.rpartition("_")
    return head if head and (tail.isdigit() or tail in PICTURES) else stem


def _same(name: str) -> str:
    """Equal for names that some file system takes for one: without case, composed accents."""
    return unicodedata.normalize("NFC", name).casefold()


def _short(stem: str) -> str:
    raw = stem.encode("utf-8", "surrogateescape")
    if len(raw) <= LONGEST:
        return stem
    head = raw[: LONGEST - 9].decode("utf-8", "ignore")
    return f"{head}-{hashlib.sha256(raw).hexdigest()[:8]}"
