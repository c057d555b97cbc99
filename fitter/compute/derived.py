"""What is computed once for a value and kept for as long as the value lives.

Values here are frozen, so what follows from one follows for good: the sparse map of a model's landmarks, the edges of a
mesh. It is kept beside the value and not on it: a copy, a pickle and `dataclasses.replace` begin without it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, TypeVar

Value = TypeVar("Value")
Made = TypeVar("Made")

_kept: dict[int, tuple[weakref.ref, dict[Hashable, Any]]] = {}  # by id: models and arrays have no hash


def derived(value: Value, key: Hashable, make: Callable[[Value], Made]) -> Made:
    """`make(value)`, made when it is first asked for.

    Args:
        value: anything that can be referred to weakly: a frozen dataclass, an array, a tensor.
        key: says what is made, and of what else than `value` it depends.
        make: what it returns must not refer to `value`, which would then never be released.
    """
    known = _of(value)
    try:
        return known[key]
    except KeyError:
        return known.setdefault(key, make(value))  # of two threads that make it at once the first one's stays


def kept(value: object) -> tuple[Hashable, ...]:
    """The keys of what is kept for a value, in the order in which it was made."""
    entry = _kept.get(id(value))
    return tuple(entry[1]) if entry is not None and entry[0]() is value else ()


def forget(value: object | None = None) -> None:
    """Drop what is kept for a value, or without one everything; it is made again when it is asked for."""
    if value is None:
        _kept.clear()
    elif kept(value):
        del _kept[id(value)]


def _of(value: object) -> dict[Hashable, Any]:
    number = id(value)
    entry = _kept.get(number)
    if entry is None or entry[0]() is not value:
        entry = _kept[number] = weakref.ref(value, partial(_release, _kept, number)), {}
    return entry[1]


def _release(entries: dict[int, tuple[weakref.ref, dict]], number: int, gone: weakref.ref) -> None:
    """`entries` is given: when Python ends, this module's names may be gone before the last value is."""
    entry = entries.get(number)
    if entry is not None and entry[0] is gone:  # and not of a newer value at the same place in memory
        del entries[number]
