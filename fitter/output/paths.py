"""Which files a mesh comes with."""

from __future__ import annotations

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
        beside = [output.with_suffix(".mtl"), output.with_name(f"{output.stem}_texture.png"), *beside]
    return [output, *beside]
