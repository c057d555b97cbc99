"""What the commands of `facefit eval` have in common: options, reading fits, tables and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path

import click

FITS = click.argument("fits", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FIT...")
MODEL = click.option("--model", type=click.Path(path_type=Path), metavar="FILE",
                     help="The face model that was fitted, when it is not the default one.")  # fmt: skip
JSON = click.option("--json", "json_file", type=click.Path(path_type=Path, allow_dash=True), metavar="FILE",
                    help="Write all numbers there; - prints them instead of the table.")  # fmt: skip
DEBUG = click.option("--debug", is_flag=True, hidden=True)


def load_fits(paths: Iterable[Path], model):
    """The fits that the paths name, and the face model they were made with."""
    from ..output.read_back import find_fits

    fits = find_fits(paths)
    return fits, model_of(fits, model)


def model_of(fits, model):
    from ..model.model_file import load_model
    from ..output.read_back import check_model

    loaded = load_model(model)
    check_model(fits, loaded)
    return loaded


def maybe_model(model):
    """The face model, when there is one: meshes of other makers do not need it."""
    from ..errors import ModelError
    from ..model.model_file import load_model

    try:
        return load_model(model)
    except ModelError:
        if model is not None:
            raise
        return None


def named_segmenter(spec: str | None):
    if spec is None:
        return None
    if spec.lower().endswith(".png"):
        raise ValueError("--parser with a picture; give label pictures with --labels")
    from ..observe.segment.load import load_segmenter

    return load_segmenter(spec)


def lines_of(path: Path) -> list[str]:
    from ..errors import InputError

    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def some(names: list[str]) -> str:
    """How many, and the first few."""
    return f"{len(names)} ({', '.join(names[:5])}{', ...' if len(names) > 5 else ''})"


def is_dash(path: Path | None) -> bool:
    return path is not None and str(path) == "-"


def write_json(document: dict, path: Path | None) -> None:
    if path is None:
        return
    text = json.dumps(document, indent=1, allow_nan=False) + "\n"
    if is_dash(path):
        click.echo(text, nl=False)
        return
    from ..files.outputs import write_files

    write_files({path: text.encode()})


def number(value: float | None, digits: int, sign: bool = False) -> str:
    if value is None or not math.isfinite(value):
        return ""
    return f"{value:{'+' if sign else ''}.{digits}f}"


def summary_rows(summary: dict, digits: int) -> list[tuple[str, ...]]:
    return [
        (name, number(entry["mean"], digits), number(entry["std"], digits), str(entry["n"]))
        for name, entry in summary.items()
    ]


def print_table(title: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for k, name in enumerate(columns):
        table.add_column(name, justify="left" if k == 0 else "right", no_wrap=k == 0)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
