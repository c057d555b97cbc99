"""Which files a mesh comes with."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from ..errors import OutputError
from ..vocabulary import MESH_SUFFIXES


def output_paths(output: Path) -> list[Path]:
    """The files that `write_result` makes, the mesh first, the JSON last.

    Raises:
        OutputError: the suffix is not that of a mesh format.
    """
    if output.suffix.lower() not in MESH_SUFFIXES:
        raise OutputError(f"{output}: unknown mesh format {output.suffix!r}; accepted: {', '.join(MESH_SUFFIXES)}")
    beside = [output.with_suffix(".json")]
    if output.suffix.lower() == ".obj":
        stem = one_line(output.stem)  # the OBJ names the one, and that one the other, in a line of its own
        beside = [output.with_name(f"{stem}.mtl"), output.with_name(f"{stem}_texture.png"), *beside]
    return [output, *beside]


def one_line(name: str) -> str:
    """The name without line breaks and what else a line of text cannot hold; bytes that are no text stay."""
    return "".join("_" if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in name)
