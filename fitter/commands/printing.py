"""What the commands of `facefit eval` have in common: options, reading fits, tables and JSON."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:  # heavy: loaded inside the functions
    from ..model.face_model import FaceModel
    from ..observe.segment.contract import PartSegmenter
    from ..output.read_back import FitFile

FITS = click.argument("fits", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FIT...")
MODEL = click.option("--model", type=click.Path(path_type=Path), metavar="FILE",
                     help="The face model that was fitted, when it is not the default one.")  # fmt: skip
JSON = click.option("--json", "json_file", type=click.Path(path_type=Path, allow_dash=True), metavar="FILE",
                    help="Write all numbers there; - prints them instead of the table.")  # fmt: skip
DEBUG = click.option("--debug", is_flag=True, hidden=True)


def load_fits(paths: Iterable[Path], model: Path | None) -> tuple[list[FitFile], FaceModel]:
    """The fits that the paths name, and the face model they were made with. Raises InputError."""
    from ..output.read_back import find_fits

    fits = find_fits(paths)
    return fits, model_of(fits, model)


def model_of(fits: Sequence[FitFile], model: Path | None) -> FaceModel:
    """The face model at that path, or the default one. Raises InputError: a fit was made with another."""
    from ..model.model_file import load_model
    from ..output.read_back import check_model

    loaded = load_model(model)
    check_model(fits, loaded)
    return loaded


def maybe_model(model: Path | None) -> FaceModel | None:
    """The face model, when there is one: meshes of other makers do not need it. Raises ModelError for one by name."""
    from ..errors import ModelError
    from ..model.model_file import load_model

    try:
        return load_model(model)
    except ModelError:
        if model is not None:
            raise
        return None


def named_segmenter(spec: str | None) -> PartSegmenter | None:
    """The segmenter of `--parser`, None without that option. Raises ValueError: no such segmenter, or a picture."""
    if spec is None:
        return None
    if spec.lower().endswith(".png"):
        raise ValueError("--parser with a picture; give label pictures with --labels")
    from ..observe.segment.load import load_segmenter

    return load_segmenter(spec)


def lines_of(path: Path) -> list[str]:
    """The lines of a text file. Raises InputError when it cannot be read or is no UTF-8."""
    from ..errors import InputError

    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def some(names: list[str]) -> str:
    """How many, and the first few."""
    return f"{len(names)} ({', '.join(names[:5])}{', ...' if len(names) > 5 else ''})"


def is_dash(path: Path | None) -> bool:
    """Whether the path means standard output."""
    return path is not None and str(path) == "-"


def check_reports(files: Iterable[Path | None], inputs: Iterable[Path | str | None]) -> None:
    """Refuse before the work what the reports of a command could not be written to, or would overwrite.

    Args:
        files: where they go; None and `-` are no files.
        inputs: what is read; None, words and names of models are no files.
    Raises:
        ClashError: a file that is read, an installed model, or two reports of one name. OutputError: see
            `check_outputs`.
    """
    from ..files.outputs import check_outputs
    from ..model.catalogue import installed

    read = [Path(path) for path in inputs if path is not None]
    written = [path for path in files if path is not None and not is_dash(path)]
    if written:
        check_outputs(written, [*(path for path in read if os.path.exists(path)), *installed().values()])


def json_bytes(document: dict) -> bytes:
    """A document as a file."""
    return (json.dumps(document, indent=1, allow_nan=False) + "\n").encode()


def write_json(document: dict, path: Path | None) -> None:
    """Write all numbers of a command: to a file, to standard output (`-`), or nowhere (None). Raises OutputError."""
    if path is None:
        return
    if is_dash(path):
        click.echo(json_bytes(document).decode(), nl=False)
        return
    from ..files.outputs import write_files

    write_files({path: json_bytes(document)})


def number(value: float | None, digits: int, sign: bool = False) -> str:
    """A number as a table shows it; empty where there is none or it is not finite.

    Args:
        digits: after the point. sign: also of what is positive.
    """
    if value is None or not math.isfinite(value):
        return ""
    return f"{value:{'+' if sign else ''}.{digits}f}"


def summary_rows(summary: dict, digits: int) -> list[tuple[str, ...]]:
    """Rows of name, mean, std and n from what `facefit.evaluate.compare.summarise` returns."""
    return [
        (name, number(entry["mean"], digits), number(entry["std"], digits), str(entry["n"]))
        for name, entry in summary.items()
    ]


def print_table(title: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Print a table on standard output, its first column to the left and the others to the right."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for k, name in enumerate(columns):
        table.add_column(name, justify="left" if k == 0 else "right", no_wrap=k == 0)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
