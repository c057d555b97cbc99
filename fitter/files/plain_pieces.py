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


def piece(kind: str, *arguments: object) -> Piece:
    """What safe_pickle notes in the place of an array, a dtype, a number or a matrix."""
    return Piece(kind, arguments)


def text_bytes(text: str | bytes | Piece | tuple = b"", encoding: str = "latin1") -> Piece:
    """_codecs.encode(text, "latin1") and bytes(...): how Python 3 stores bytes in protocols 0 to 2."""
    return Piece("bytes", (text, encoding))


class Builder:
    """Makes plain data of what was read.

    Args:
        stored: bytes in the file; data that grows far beyond it is refused (one stored text may be asked for as
            bytes a million times over).
    """

    def __init__(self, stored: int) -> None:
        self._left = 4 * stored + SPARE
        self._done: dict[int, object] = {}
        self._open: set[int] = set()

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
        elif isinstance(value, dict):
            made = {key: self.plain(item, depth + 1) for key, item in value.items()}
        else:  # a bare class name: of no use, and nothing to call
            made = Unread(type(value).__name__)
        self._open.discard(id(value))
        # everything that was read lives until the end, so that an id is never given twice
        self._done[id(value)] = made
        return made

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise ValueError("the file asks for far more data than it holds")

    def _bytes(self, value: Piece, depth: int) -> bytes:
        text, encoding = value.arguments
        text = self.plain(text, depth)
        if isinstance(text, str):
            if encoding not in ("latin1", "latin-1", "iso-8859-1"):
                raise ValueError(f"bytes in the encoding {encoding!r}")
            self._spend(len(text))
            return text.encode("latin1")
        if isinstance(text, bytes | bytearray):
            return bytes(text)
        if text in ((), []):
            return b""
        raise ValueError("bytes that are not text")

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
            raise ValueError(f"an array of type {code!r:.40}; accepted: numbers and text")
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
