"""Pickles of models, read as data: numbers, text, lists, dicts, NumPy arrays, SciPy sparse matrices, chumpy's arrays.

A pickle is a program: whoever wrote it decides which function runs when it is opened. Here none of its functions is
ever called. The interpreter below knows the instructions for plain data; a name in the file is looked up in a table of
our own and stands for a piece of data to be filled in, and any other name ends the reading. Nothing is imported because
the file says so, nothing is allocated that is not in the file.

chumpy is the library of the Python 2 pickles of SMPL and FLAME; it need not be installed.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError
from .npz import read_header
from .plain_pieces import Builder, Piece, piece, text_bytes
from .untrusted import one_line

LARGEST_FILE = 1 << 30  # bytes, as of every model; the largest published pickle is FLAME's with 0.1 GiB


class RefusedPickleError(ValueError):
    """The pickle holds something other than plain data, or is damaged."""


@dataclass(frozen=True)
class _Admitted:
    """What a name of the file stands for. `make` is ours, takes the pickled arguments and only stores them."""

    name: str
    make: Callable


def load_pickle(path: Path) -> object:
    """The data of a pickle file.

    Returns:
        None, bool, int, float, str, bytes, list, tuple, dict, np.ndarray (read-only), scipy.sparse matrix; chumpy
        arrays become np.ndarray, chumpy's other objects `plain_pieces.Unread`. Python 2 text is decoded as Latin-1.
    Raises:
        ModelError: not a pickle, damaged, or it asks for anything but the above. Nothing was executed.
    """
    data = _file(path)
    return _load(path, io.BytesIO(data), len(data), "pickle")


def load_object_npy(path: Path) -> object:
    """The data of an `.npy` file that holds one pickled Python object (np.save of a dict).

    Raises:
        ModelError: as `load_pickle`.
    """
    data = _file(path)
    stream = io.BytesIO(data)
    try:
        shape, dtype = read_header(stream)
    except Exception as error:  # NumPy raises several types on damaged headers
        raise ModelError(f"{path}: not an .npy file ({one_line(error)})") from None
    if not dtype.hasobject or shape != ():
        raise ModelError(f"{path}: holds an array of {dtype} {shape}; expected one saved Python dict")
    # np.save wraps the object in an array of one element
    value = _load(path, stream, len(data), ".npy")
    return value.item() if isinstance(value, np.ndarray) and value.shape == () else value


def _file(path: Path) -> bytes:
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise ModelError(f"{path}: {size / 2**30:.1f} GiB; accepted: up to {LARGEST_FILE >> 30} GiB")
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or error}") from None
    if not data:
        raise ModelError(f"{path}: the file is empty")
    return data


def _load(path: Path, stream: io.BytesIO, size: int, kind: str) -> object:
    """What stands in the rest of a file of that size; nothing of it is copied."""
    try:
        return Builder(size).plain(_Reader(stream).load())
    except RefusedPickleError as error:
        raise ModelError(f"{path}: {error}; nothing in it was executed") from None
    except Exception as error:  # truncated and damaged pickles raise whatever they hit
        raise ModelError(f"{path}: not a readable {kind} file of plain data ({one_line(error)})") from None


class _Reader(pickle._Unpickler):
    """The standard library's interpreter in Python, cut down to the instructions in `_INSTRUCTIONS`.

    It is the documented-by-source twin of `pickle.Unpickler`; only here can an instruction be taken away or replaced,
    which `find_class` alone does not allow (a nested tuple as a dict key, say, hashes for years).
    """

    # of _Unpickler, and missing in the types of the standard library
    stack: list[Any]
    append: Callable[[object], None]
    read: Callable[[int], bytes]
    pop_mark: Callable[[], list[Any]]

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream, encoding="latin1")

    def find_class(self, module: str, name: str) -> _Admitted:
        if module.split(".")[0] == "chumpy":
            return _Admitted(name, lambda *_: piece("chumpy", name))
        found = _NAMES.get((module, name))
        if found is None:
            asked = ascii(f"{module}.{name}"[:80])
            raise RefusedPickleError(
                f"refused: the pickle asks for {asked}; accepted: plain values, NumPy arrays, SciPy sparse matrices "
                "and chumpy arrays"
            )
        return found

    def _make(self) -> None:
        arguments = self.stack.pop()
        callee = self.stack[-1]
        if not isinstance(callee, _Admitted) or not isinstance(arguments, tuple):
            raise RefusedPickleError("refused: the pickle calls something that is not a piece of data")
        self.stack[-1] = callee.make(*arguments)

    def _fill(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if not isinstance(target, Piece) or target.state is not None:
            raise RefusedPickleError("refused: the pickle sets attributes of something that is not an array")
        target.state = state

    def _set_one(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._target(dict)[self._key(key)] = value

    def _set_many(self) -> None:
        items = self.pop_mark()
        target = self._target(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[self._key(key)] = value

    def _dict(self) -> None:
        items = self.pop_mark()
        self.append({self._key(key): value for key, value in zip(items[::2], items[1::2], strict=True)})

    def _append(self) -> None:
        value = self.stack.pop()
        self._target(list).append(value)

    def _extend(self) -> None:
        items = self.pop_mark()
        self._target(list).extend(items)

    def _bytearray(self) -> None:
        # the original allocates the announced length before it looks whether the file has it
        length = int.from_bytes(self.read(8), "little")
        data = self.read(length)
        if len(data) != length:
            raise EOFError("pickle data was truncated")
        self.append(data)

    def _target(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise RefusedPickleError("refused: the pickle fills something that is neither list nor dict")
        return self.stack[-1]

    @staticmethod
    def _key(key: object) -> object:
        if not isinstance(key, str | bytes | int | float | None):
            raise RefusedPickleError("refused: a key of a dict is neither text nor a number")
        return key


_KEPT = (
    pickle.PROTO, pickle.FRAME, pickle.MARK, pickle.STOP, pickle.POP, pickle.POP_MARK, pickle.DUP, pickle.NONE,
    pickle.NEWTRUE, pickle.NEWFALSE, pickle.INT, pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.LONG,
    pickle.LONG1, pickle.LONG4, pickle.FLOAT, pickle.BINFLOAT, pickle.STRING, pickle.BINSTRING,
    pickle.SHORT_BINSTRING, pickle.BINBYTES, pickle.SHORT_BINBYTES, pickle.BINBYTES8, pickle.UNICODE,
    pickle.BINUNICODE, pickle.SHORT_BINUNICODE, pickle.BINUNICODE8, pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1,
    pickle.TUPLE2, pickle.TUPLE3, pickle.EMPTY_LIST, pickle.LIST, pickle.EMPTY_DICT, pickle.GET, pickle.BINGET,
    pickle.LONG_BINGET, pickle.PUT, pickle.BINPUT, pickle.LONG_BINPUT, pickle.MEMOIZE, pickle.GLOBAL,
    pickle.STACK_GLOBAL,
)  # fmt: skip
_REPLACED: dict[bytes, Callable] = {
    pickle.REDUCE: _Reader._make, pickle.NEWOBJ: _Reader._make, pickle.BUILD: _Reader._fill,
    pickle.SETITEM: _Reader._set_one, pickle.SETITEMS: _Reader._set_many, pickle.DICT: _Reader._dict,
    pickle.APPEND: _Reader._append, pickle.APPENDS: _Reader._extend, pickle.BYTEARRAY8: _Reader._bytearray,
    # sets hash what is in them; as lists they do not
    pickle.EMPTY_SET: pickle._Unpickler.dispatch[pickle.EMPTY_LIST[0]], pickle.ADDITEMS: _Reader._extend,
}  # fmt: skip


def _unknown(_: _Reader) -> None:
    raise RefusedPickleError("refused: the pickle has an instruction that plain data does not need")


_INSTRUCTIONS: dict[int, Callable] = {code: _unknown for code in range(256)}
_INSTRUCTIONS |= {code[0]: pickle._Unpickler.dispatch[code[0]] for code in _KEPT}
_INSTRUCTIONS |= {code[0]: method for code, method in _REPLACED.items()}
_Reader.dispatch = _INSTRUCTIONS


def _instance(cls: _Admitted, base: _Admitted, state: object) -> Piece:
    """copyreg._reconstructor, which protocols 0 and 1 write for instances."""
    if not isinstance(cls, _Admitted) or base is not _NAMES["builtins", "object"] or state is not None:
        raise RefusedPickleError("refused: the pickle makes an instance of something that is not an array")
    return cls.make()


def _no_instance(*_: object) -> None:
    raise RefusedPickleError("refused: the pickle makes an instance of something that is not an array")


def _ordered(pairs: object = None) -> dict | Piece:
    """Python 2 stores an OrderedDict as a list of pairs, Python 3 as an empty one that is filled."""
    return {} if pairs is None else piece("ordered", pairs)


def _numpy(module: str, name: str, make: Callable) -> dict:
    """NumPy 2 moved numpy.core to numpy._core."""
    return {(f"numpy.{core}.{module}", name): _Admitted(name, make) for core in ("core", "_core")}


_NAMES: dict[tuple[str, str], _Admitted] = {
    **_numpy("multiarray", "_reconstruct", lambda *_: piece("array")),
    **_numpy("multiarray", "scalar", lambda *arguments: piece("scalar", *arguments)),
    **_numpy("numeric", "_frombuffer", lambda *arguments: piece("buffer", *arguments)),
    ("numpy", "dtype"): _Admitted("dtype", lambda code, *_: piece("dtype", code)),
    ("numpy", "ndarray"): _Admitted("ndarray", _no_instance),
    ("_codecs", "encode"): _Admitted("encode", text_bytes),
    ("collections", "OrderedDict"): _Admitted("OrderedDict", _ordered),
}
for _module in ("copy_reg", "copyreg"):
    _NAMES[_module, "_reconstructor"] = _Admitted("_reconstructor", _instance)
for _module in ("__builtin__", "builtins"):
    _NAMES[_module, "object"] = _Admitted("object", _no_instance)
    _NAMES[_module, "set"] = _NAMES[_module, "frozenset"] = _Admitted("set", lambda items=(): items)
    _NAMES[_module, "bytearray"] = _NAMES[_module, "bytes"] = _Admitted("bytes", text_bytes)
_NAMES["__builtin__", "object"] = _NAMES["builtins", "object"]
for _format in ("csc", "csr", "coo"):
    for _module in (f"scipy.sparse.{_format}", f"scipy.sparse._{_format}", "scipy.sparse"):
        for _class in (f"{_format}_matrix", f"{_format}_array"):
            _NAMES[_module, _class] = _Admitted(_class, lambda *_, form=_format: piece("sparse", form))
