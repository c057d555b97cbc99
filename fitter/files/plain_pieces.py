"""From what a pickle stored to arrays: the second half of `safe_pickle`, after the file has been read to its end.

While a pickle is read, arrays are `Piece`s: a kind, arguments and a state, none of them looked at. `Builder` then makes
NumPy arrays and SciPy matrices of them and checks that every one is as large as the bytes that were stored for it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

DEEPEST = 100  # nested lists and dicts
SPARE = 64 << 20  # bytes that may be made beyond four times the file
_NUMBER = re.compile(r"(b1|[iu][1248]|f[248]|c(8|16)|[SU][0-9]{1,5}|O8?)")


@dataclass
class Piece:
    """Something in a pickle that becomes an array, a dtype, a number or a matrix. `state` is filled in once."""

    kind: str
    arguments: tuple = ()
    state: object = None


@dataclass(frozen=True)
class Unread:
    """A chumpy object that is an expression, not an array; what it computes is not known here."""

    name: str


@dataclass(frozen=True)
class _Extent:
    """What np.asarray would make of a value: how many items, and bytes of the widest, which is that of all."""

    items: int
    widest: int


def _extent(value: object) -> _Extent:
    if isinstance(value, np.ndarray):
        return _Extent(value.size, value.itemsize)
    if isinstance(value, str):
        return _Extent(1, 4 * len(value))
    return _Extent(1, max(8, len(value)) if isinstance(value, bytes) else 8)


def piece(kind: str, *arguments: object) -> Piece:
    """What safe_pickle notes in the place of an array, a dtype, a number or a matrix."""
    return Piece(kind, arguments)


def text_bytes(text: str | bytes | Piece | tuple = b"", encoding: str = "latin1") -> Piece:
    """_codecs.encode(text, "latin1") and bytes(...): how Python 3 stores bytes in protocols 0 to 2."""
    return Piece("bytes", (text, encoding))


class Builder:
    """Makes plain data of what was read.

    Args:
        stored: bytes in the file; data that grows far beyond it is refused: one stored text that is asked for as bytes
            a million times over, or lists of lists that share their parts and that an array would write out (24 lists
            of two references each are 16 million numbers).
    """

    def __init__(self, stored: int) -> None:
        self._most = self._left = 4 * stored + SPARE
        self._extents: dict[int, _Extent] = {}
        self._done: dict[int, object] = {}
        self._open: set[int] = set()
        self._kept: list[list | tuple] = []

    def plain(self, value: object, depth: int = 0) -> object:
        """The value with every piece in it replaced; shared parts stay shared.

        Raises:
            ValueError: a piece does not fit its bytes, refers to itself, or is nested too deeply.
        """
        if value is None or isinstance(value, bool | int | float | str | bytes):
            return value
        if id(value) in self._done:
            return self._done[id(value)]
        if id(value) in self._open:
            raise ValueError("the data contains itself")
        if depth > DEEPEST:
            raise ValueError(f"nested more than {DEEPEST} deep")
        self._open.add(id(value))
        if isinstance(value, Piece):
            made = getattr(self, f"_{value.kind}")(value, depth + 1)
        elif isinstance(value, list | tuple):
            made = type(value)(self.plain(item, depth + 1) for item in value)
            self._measure(made)
        elif isinstance(value, dict):
            made = {key: self.plain(item, depth + 1) for key, item in value.items()}
        else:  # a bare class name: of no use, and nothing to call
            made = Unread(type(value).__name__)
        self._open.discard(id(value))
        # everything that was read lives until the end, so that an id is never given twice
        self._done[id(value)] = made
        return made

    def _measure(self, made: list | tuple) -> None:
        """Refuse a list that is small as it was stored, but large as the array that somebody may make of it."""
        items, widest = 0, 0
        for item in made:
            extent = self._extents.get(id(item)) if isinstance(item, list | tuple) else _extent(item)
            items += extent.items if extent is not None else 1
            widest = max(widest, extent.widest if extent is not None else 8)
        items, widest = max(items, 1), max(widest, 8)  # what is empty is walked through, too
        if items * widest > self._most:
            raise ValueError("the file asks for far more data than it holds: lists that share their parts")
        self._extents[id(made)] = _Extent(items, widest)
        self._kept.append(made)  # so that its id is never given twice

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise ValueError("the file asks for far more data than it holds")

    def _bytes(self, value: Piece, depth: int) -> bytes:
        text, encoding = value.arguments
        text = self.plain(text, depth)
        if isinstance(text, str):
            if encoding not in ("latin1", "latin-1", "iso-8859-1"):
                raise ValueError("bytes in another encoding than Latin-1")
            self._spend(len(text))
            return text.encode("latin1")
        if isinstance(text, bytes | bytearray):
            self._spend(len(text))
            return bytes(text)
        if text in ((), []):
            return b""
        raise ValueError("bytes that are not text")

    def _ordered(self, value: Piece, depth: int) -> dict:
        """An OrderedDict of Python 2, which is stored as a list of pairs; the same list may be asked for many times."""
        pairs = self.plain(value.arguments[0], depth)
        if not isinstance(pairs, list | tuple):
            raise ValueError("a dict that is made of other than pairs")
        self._spend(64 * len(pairs))
        made = {}
        for key, item in pairs:
            if not isinstance(key, str | bytes | int | float | None):
                raise ValueError("a key of a dict that is neither text nor a number")
            made[key] = item
        return made

    def _raw(self, raw: object, depth: int) -> bytes:
        """Python 2 strings were read as Latin-1 text."""
        raw = self.plain(raw, depth)
        if isinstance(raw, str):
            self._spend(len(raw))
            return raw.encode("latin1")
        if not isinstance(raw, bytes):
            raise ValueError("an array without bytes")
        return raw

    def _dtype(self, value: Piece, depth: int) -> np.dtype:
        code = value.arguments[0]
        if isinstance(code, bytes):
            code = code.decode("latin1")
        if not isinstance(code, str) or not _NUMBER.fullmatch(code):
            named = repr(code[:40]) if isinstance(code, str) else "no text"  # a list may be endless as text
            raise ValueError(f"an array of type {named}; accepted: numbers and text")
        state = value.state
        order = "|"
        if state is not None:
            if not isinstance(state, tuple) or len(state) < 6 or any(part is not None for part in state[2:5]):
                raise ValueError("an array of records; accepted: numbers and text")
            order = state[1].decode("latin1") if isinstance(state[1], bytes) else state[1]
            if order not in ("<", ">", "|", "="):
                raise ValueError("a damaged array type")
        return np.dtype(object) if code[0] == "O" else np.dtype(order.replace("|", "=") + code)

    def _array(self, value: Piece, depth: int) -> np.ndarray:
        state = value.state
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise ValueError("an array that was never filled")
        shape, kind, fortran, raw = state[-4:]
        dtype, shape = self._type(kind, depth), _shape(shape)
        if dtype.hasobject:
            items = self.plain(raw, depth)
            if not isinstance(items, list) or len(items) != math.prod(shape):
                raise ValueError(f"an array of shape {shape} with other than {math.prod(shape)} items")
            self._spend(8 * len(items))
            made = np.empty(len(items), object)
            for k, item in enumerate(items):  # a slice assignment would spread items that are lists
                made[k] = item
            return made.reshape(shape, order="F" if fortran else "C")
        return _view(self._raw(raw, depth), dtype, shape, bool(fortran))

    def _buffer(self, value: Piece, depth: int) -> np.ndarray:
        """numpy.core.numeric._frombuffer(buffer, dtype, shape, order): arrays of protocol 5."""
        buffer, kind, shape, order = value.arguments
        return _view(self._raw(buffer, depth), self._type(kind, depth), _shape(shape), order == "F")

    def _scalar(self, value: Piece, depth: int) -> object:
        kind, raw = value.arguments
        dtype = self._type(kind, depth)
        if dtype.hasobject:
            raise ValueError("a number that is an object")
        return _view(self._raw(raw, depth), dtype, (), False)[()]

    def _type(self, kind: object, depth: int) -> np.dtype:
        made = self.plain(kind, depth)
        if not isinstance(made, np.dtype):
            raise ValueError("an array without a type")
        return made

    def _sparse(self, value: Piece, depth: int) -> Any:
        from scipy import sparse

        form = value.arguments[0]
        state = self.plain(value.state, depth)
        names = ("row", "col") if form == "coo" else ("indices", "indptr")
        if form == "coo" and isinstance(state, dict) and isinstance(state.get("coords"), tuple):  # SciPy 1.13 on
            state = {**state, **dict(zip(names, state["coords"], strict=True))}
        if not isinstance(state, dict) or not {"data", *names} <= state.keys():
            raise ValueError("a sparse matrix without its arrays")
        shape = _shape(state.get("_shape", state.get("shape")))
        parts = [np.asarray(state[name]) for name in ("data", *names)]
        if any(part.ndim != 1 or part.dtype.kind not in "biufc" for part in parts):
            raise ValueError("a sparse matrix of other than numbers")
        self._spend(sum(part.nbytes for part in parts))
        if form == "coo":
            return sparse.coo_matrix((parts[0], (parts[1], parts[2])), shape=shape)
        made = (sparse.csc_matrix if form == "csc" else sparse.csr_matrix)(tuple(parts), shape=shape)
        made.check_format(full_check=True)  # indices outside the matrix would be read as memory later
        return made

    def _chumpy(self, value: Piece, depth: int) -> object:
        """Ch holds its array in `x`; Select holds indices into the flattened `a`."""
        state = self.plain(value.state, depth)
        name = value.arguments[0]
        if not isinstance(state, dict):
            return Unread(name)
        if isinstance(state.get("x"), np.ndarray | float | int):
            return np.asarray(state["x"])
        if name == "Select" and isinstance(state.get("a"), np.ndarray) and "idxs" in state:
            at = np.asarray(state["idxs"]).astype(np.int64)
            self._spend(at.size * state["a"].itemsize)
            taken = state["a"].ravel()[at]
            wanted = state.get("preferred_shape")
            return taken if wanted is None else taken.reshape(_shape(wanted))
        return Unread(name)


def _shape(shape: object) -> tuple[int, ...]:
    if isinstance(shape, np.ndarray):
        shape = shape.tolist()
    if isinstance(shape, int):
        shape = (shape,)
    if not isinstance(shape, tuple | list) or len(shape) > 16:
        raise ValueError("an array without a shape")
    if not all(isinstance(n, int | np.integer) and 0 <= n < 1 << 48 for n in shape):
        raise ValueError("an array of impossible shape")
    return tuple(int(n) for n in shape)


def _view(raw: bytes, dtype: np.dtype, shape: tuple[int, ...], fortran: bool) -> np.ndarray:
    """A read-only array over the stored bytes: as many as the shape needs, or it is damaged."""
    if dtype.hasobject or dtype.itemsize * math.prod(shape) != len(raw):
        raise ValueError(f"an array of {dtype} {shape} with {len(raw)} bytes")
    if not raw:
        return np.empty(shape, dtype)
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C")
