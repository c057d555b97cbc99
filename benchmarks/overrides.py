"""`--set weights.prdl=0.5`: change any value of a configuration from the command line."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace

from facefit.fit.config import FitConfig


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Give a benchmark the option `--set KEY=VALUE`, whose values are `overrides`."""
    parser.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE",
        help="a value of the configuration, e.g. weights.prdl=0.5 or energies=prdl; may be repeated",
    )  # fmt: skip


def apply_overrides(config: FitConfig, assignments: Iterable[str]) -> FitConfig:
    """`config` with each KEY=VALUE; a dotted key reaches into a part of it, a comma list becomes a tuple.

    Raises:
        ValueError: no such key, or a value of another type than the one it replaces.
    """
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise ValueError(f"{assignment!r}; expected KEY=VALUE")
        config = _changed(config, key.strip().split("."), text.strip(), assignment)
    return config


def _changed(value, path: list[str], text: str, assignment: str):
    names = [field.name for field in fields(value)]
    if path[0] not in names:
        raise ValueError(f"{assignment!r}: no {path[0]!r}; accepted: {', '.join(names)}")
    old = getattr(value, path[0])
    if len(path) > 1:
        if not is_dataclass(old):
            raise ValueError(f"{assignment!r}: {path[0]!r} has no parts")
        return replace(value, **{path[0]: _changed(old, path[1:], text, assignment)})
    return replace(value, **{path[0]: _parsed(old, text, assignment)})


def _parsed(old, text: str, assignment: str):
    def one(kind: type, part: str):
        if kind is str:
            return part
        if kind is bool:
            if part.lower() not in ("true", "false"):
                raise ValueError(f"{assignment!r}: expected true or false")
            return part.lower() == "true"
        try:
            number = float(part) if part in ("inf", "-inf") else ast.literal_eval(part)
        except (ValueError, SyntaxError):
            raise ValueError(f"{assignment!r}: expected a number") from None
        if isinstance(number, bool) or not isinstance(number, (int, float)) or (kind is int and number != int(number)):
            raise ValueError(f"{assignment!r}: expected {'a whole number' if kind is int else 'a number'}")
        return kind(number)

    if is_dataclass(old):
        raise ValueError(f"{assignment!r}: name one of its parts: {', '.join(field.name for field in fields(old))}")
    if isinstance(old, tuple):
        parts = [part.strip() for part in text.split(",") if part.strip()]
        return tuple(one(type(old[0]) if old else str, part) for part in parts)
    return one(type(old), text)
