"""Which result the files of a set are of: one, or several, or none."""

from __future__ import annotations

import json
from pathlib import Path

from .kit import SET, Kit


def whose(kit: Kit, out: Path, stem: str, known: tuple[str, str]) -> dict[str, str]:
    """Name -> which of the two known results the file is of; "missing", or "torn" for neither.

    Args:
        out: the folder of the set; stem: "m" of m.obj. known: folders of the kit with `SET`.
    """
    found = {}
    for name in SET:
        path = out / name.replace("m", stem, 1)
        if not path.is_file():
            found[path.name] = "missing"
        else:
            fitting = [each for each in known if _part(path, "m") == _part(kit / each / name, stem)]
            found[path.name] = " or ".join(fitting) or "torn"
    return found


def _part(path: Path, stem: str) -> bytes:
    """What of a file tells whose it is: all, but for the names of the set and what the clock says."""
    data = path.read_bytes()
    if path.suffix == ".json":
        try:
            document = json.loads(data)
            return json.dumps([document["parameters"], document["photo"], document["camera"]]).encode()
        except (ValueError, KeyError):
            return b""
    for form in (b"mtllib %s.mtl", b"map_Kd %s_texture.png"):
        for name in (b"m", b"n"):
            data = data.replace(form % name, form % b"*")
    return data


def mixed(found: dict[str, str]) -> list[str]:
    """What is wrong with a set that is to be there, whole, and of one result."""
    common = set.intersection(*(set(each.split(" or ")) for each in found.values()))
    return [] if common - {"missing", "torn"} else [f"no whole set: {found}"]


def names_of(*stems: str) -> set[str]:
    """The files of sets of these stems."""
    return {name.replace("m", stem, 1) for name in SET for stem in stems}
