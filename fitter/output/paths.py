"""Which files a mesh comes with."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from ..errors import OutputError
from ..vocabulary import DENSE_SUFFIXES, DETAIL_SUFFIXES, MESH_SUFFIXES


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


def detail_paths(output: Path, exr: bool = False) -> list[Path]:
    """The files of `--detail` beside a mesh: the normal map where the mesh does not hold it, heights as PNG and EXR."""
    endings = ["displacement.png", *(["displacement.exr"] if exr else [])]
    return [*normals_paths(output), *(output.with_name(f"{one_line(output.stem)}_{ending}") for ending in endings)]


def normals_paths(output: Path) -> list[Path]:
    """The file of the normal map, beside a mesh that does not hold it."""
    return [output.with_name(f"{one_line(output.stem)}_normals.png")] if output.suffix.lower() == ".obj" else []


def check_detail(output: Path, detail: bool, levels: int) -> None:
    """Raises OutputError when a mesh of this name cannot hold what is asked for."""
    suffix = output.suffix.lower()
    if detail and suffix not in DETAIL_SUFFIXES:
        raise OutputError(
            f"{output}: a {suffix} has no texture coordinates for detail; accepted: {', '.join(DETAIL_SUFFIXES)}"
        )
    if levels and suffix not in DENSE_SUFFIXES:
        raise OutputError(f"{output}: a finer mesh is written as {' or '.join(DENSE_SUFFIXES)}, not {suffix}")


def one_line(name: str) -> str:
    """The name without line breaks and what else a line of text cannot hold; bytes that are no text stay."""
    return "".join("_" if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in name)
