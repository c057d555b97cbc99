"""Protocol buffers, field by field, from bytes that are not trusted: nothing of a message is copied or expanded."""

from __future__ import annotations

import mmap
from collections.abc import Iterator

MOST_FIELDS = 1_000_000  # of one message; a network of a thousand layers has some thousand

Bytes = bytes | mmap.mmap
Span = tuple[int, int]  # begin and end

_SCALAR = {1: 8, 5: 4}  # wire type -> bytes


def parts(data: Bytes, message: Span, wanted: int) -> Iterator[Span]:
    """Begin and end of the fields of that number that hold bytes, a message among them. Raises as `fields`."""
    for number, value in fields(data, message):
        if number == wanted and isinstance(value, tuple):
            yield value


def fields(data: Bytes, message: Span) -> Iterator[tuple[int, int | Span]]:
    """Number and value of each field: an int, or begin and end of its bytes.

    Raises:
        ValueError: cut off, of an unknown kind, or more than MOST_FIELDS.
    """
    at, end = message
    for _ in range(MOST_FIELDS):
        if at == end:
            return
        key, at = varint(data, at, end)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at, end)
            yield key >> 3, value
            continue
        size, at = varint(data, at, end) if kind == 2 else (_SCALAR.get(kind, -1), at)
        if size < 0 or at + size > end:
            raise ValueError("a field that is cut off, or of an unknown kind")
        yield key >> 3, (at, at + size)
        at += size
    raise ValueError(f"a message of more than {MOST_FIELDS} fields")


def varint(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """The number that begins at `at`, and where the next one does. Raises ValueError: cut off."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("a number that is cut off")
