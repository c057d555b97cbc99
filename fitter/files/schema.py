"""JSON that somebody else may have written or cut off, as values of known types: one way in for every format.

A format is a frozen dataclass, or a TypedDict where the rest of the program keeps dictionaries. Its annotations say
what is accepted: str, int, float, bool, None, Literal, list, tuple, dict, unions, Any and other formats;
`Annotated[here, there]` is `here` for the type checker and `there` in the file. Fields with a default may be missing,
keys that are not known are those of another version and left aside. Numbers are finite and nothing is nested deeper
than DEEPEST.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union

from ..errors import InputError

DEEPEST = 32  # levels of lists and objects; facefit writes up to 5
LARGEST_INT = 2**63 - 1  # what tables and other languages hold
LARGEST_FILE = 64 << 20  # bytes; a film of an hour has some 40 MB

T = TypeVar("T")

_WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}
_SHOWN = 40  # characters of a wrong value


class _WrongError(Exception):
    """What is wrong, before it is known where: the key grows on the way out, so that good values cost nothing."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text, self.key = text, ""

    def inside(self, key: str) -> _WrongError:
        """The same, of a value that stands there: `.name` or `[3]`."""
        self.key = key + self.key
        return self

    def __str__(self) -> str:
        return f"{self.key.lstrip('.')}: {self.text}" if self.key else self.text


Reader = Callable[[Any], Any]


def parse(text: str | bytes, where: str, strict: bool = True) -> Any:
    """The value that a JSON text stands for.

    Args:
        where: what the message begins with: the file, or file and line. strict: refuse NaN and Infinity.
    Raises:
        InputError: no JSON, NaN, Infinity or a number beyond all bounds, or nested too deep.
    """
    try:
        if not strict:
            return json.loads(text)
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite, parse_int=_whole)
        _check_depth(value)
    except RecursionError:
        raise InputError(f"{where}: nested deeper than {DEEPEST} levels") from None
    except (_WrongError, ValueError) as error:
        raise InputError(f"{where}: damaged JSON ({error})") from None
    return value


def build(kind: type[T], value: Any, where: str) -> T:
    """A parsed value as one of a format.

    Raises:
        InputError: a key is missing or its value is of another type; the message names it, `faces[1].energies.prdl`.
    """
    try:
        return _reader(typing.cast(Hashable, kind))(value)
    except _WrongError as error:
        raise InputError(f"{where}: {error}") from None


def read_text(path: Path, largest: int | None = None) -> bytes:
    """The bytes of a JSON file, or another one that may come from anybody.

    Raises:
        InputError: it is not there, no regular file, or has more than `largest` bytes (None: LARGEST_FILE).
    """
    largest = LARGEST_FILE if largest is None else largest
    try:
        if not path.is_file():
            raise InputError(f"{path}: no such file" if not path.exists() else f"{path}: not a regular file")
        if (size := path.stat().st_size) > largest:
            raise InputError(f"{path}: {size / 2**20:.0f} MiB; accepted: up to {largest >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def _refuse(word: str) -> float:
    raise _WrongError(f"{word}, which is no number of JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _WrongError(f"the number {digits[:_SHOWN]} is beyond all bounds")
    return value


def _whole(digits: str) -> int:
    value = int(digits) if len(digits) < _SHOWN else LARGEST_INT + 1
    if abs(value) > LARGEST_INT:
        raise _WrongError(f"the number {digits[:_SHOWN]} is beyond all bounds")
    return value


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level := [
        inner
        for outer in level if isinstance(outer, (list, dict))
        for inner in (outer.values() if isinstance(outer, dict) else outer) if isinstance(inner, (list, dict))
    ]:  # fmt: skip
        depth += 1
        if depth >= DEEPEST:
            raise _WrongError(f"nested deeper than {DEEPEST} levels")


@functools.cache
def _reader(kind: Any) -> Reader:
    """What turns a parsed value into one of this kind, or raises _WrongError."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return lambda value: value
    if origin is Annotated:
        return _reader(arguments[1])
    if origin in (Union, types.UnionType):
        return _one_of(arguments)
    if origin is Literal:
        return _literal(arguments)
    if dataclasses.is_dataclass(kind) or typing.is_typeddict(kind):
        return _object(kind)
    if origin is dict or kind is dict:
        return _dictionary(_reader(arguments[1] if arguments else Any))
    if origin is tuple and arguments[-1] is not Ellipsis:
        return _fixed([_reader(each) for each in arguments])
    if origin in (list, tuple):
        return _listing(origin, _reader(arguments[0]))
    return _plain(kind)


def _plain(kind: type) -> Reader:
    def read(value: Any) -> Any:
        if type(value) is kind:
            return value
        if kind is float and type(value) is int:
            return float(value)
        raise _wrong(value, _WORDS[kind])

    return read


def _literal(accepted: tuple[Any, ...]) -> Reader:
    def read(value: Any) -> Any:
        if type(value) is str and value in accepted:
            return value
        raise _wrong(value, " or ".join(map(repr, accepted)))

    return read


def _one_of(kinds: tuple[Any, ...]) -> Reader:
    none = type(None) in kinds
    *others, last = [_reader(kind) for kind in kinds if kind is not type(None)]

    def read(value: Any) -> Any:
        if value is None and none:
            return None
        for other in others:
            with contextlib.suppress(_WrongError):
                return other(value)
        return last(value)

    return read


def _object(kind: Any) -> Reader:
    """Of a dataclass, or of a TypedDict, which keeps what is not known."""
    annotations = typing.get_type_hints(kind, include_extras=True)
    known = {name: _reader(annotation) for name, annotation in annotations.items()}
    loose = typing.is_typeddict(kind)
    needed = kind.__required_keys__ if loose else [
        field.name for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]  # fmt: skip

    def read(value: Any) -> Any:
        members = _members(value)
        missing = [name for name in needed if name not in members]
        if missing:
            raise _WrongError(f"lacks {', '.join(missing)}")
        found = dict(members) if loose else {}
        for name, reader in known.items():
            if name in members:
                try:
                    found[name] = reader(members[name])
                except _WrongError as error:
                    raise error.inside(f".{name}") from None
        return found if loose else kind(**found)

    return read


def _dictionary(inner: Reader) -> Reader:
    def read(value: Any) -> Any:
        found = {}
        for name, each in _members(value).items():
            try:
                found[name] = inner(each)
            except _WrongError as error:
                shown = name if name.isidentifier() and name.isascii() else ascii(name)[:_SHOWN]
                raise error.inside(f".{shown}") from None
        return found

    return read


def _listing(origin: type, inner: Reader) -> Reader:
    def read(value: Any) -> Any:
        return origin(_each([inner] * len(_list(value)), value))

    return read


def _fixed(inner: list[Reader]) -> Reader:
    def read(value: Any) -> Any:
        if len(_list(value)) != len(inner):
            raise _WrongError(f"a list of {len(value)}; expected {len(inner)}")
        return tuple(_each(inner, value))

    return read


def _each(readers: list[Reader], values: list[Any]) -> list[Any]:
    found: list[Any] = []
    try:
        for reader, value in zip(readers, values, strict=True):
            found.append(reader(value))
    except _WrongError as error:
        raise error.inside(f"[{len(found)}]") from None
    return found


def _list(value: Any) -> list[Any]:
    if type(value) is not list:
        raise _wrong(value, "a list")
    return value


def _members(value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise _wrong(value, "an object {...}")
    return value


def _wrong(value: Any, expected: str) -> _WrongError:
    shown = "a list" if isinstance(value, list) else "an object" if isinstance(value, dict) else json.dumps(value)
    return _WrongError(f"is {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '...'}; expected {expected}")
