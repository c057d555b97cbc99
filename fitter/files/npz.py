"""Archives of arrays (.npz) of strangers: what is in one is known before anything of it is expanded.

A few megabytes of deflate can become gigabytes of zeros. The zip directory says how large each member is, the header of
the member which array it is; they must agree, and whoever reads decides by them what to expand.
"""

from __future__ import annotations

import contextlib
import io
import math
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

LONGEST_HEADER = 10_000  # bytes; NumPy reads no longer one
MOST_ARRAYS = 10_000  # of an archive; the header of each is read, and a model has some thirty


@dataclass(frozen=True)
class ArrayHeader:
    """What an array is before it is read. `bytes`: of its numbers."""

    shape: tuple[int, ...]
    dtype: np.dtype
    bytes: int

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)


class Npz:
    """An open archive. `headers`: name -> ArrayHeader, of every array, none of them read yet."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        """Raises ValueError: a member that is no array, oddly packed, or of another size than its header says; too many
        of them."""
        if len(archive.infolist()) > MOST_ARRAYS:
            raise ValueError(f"{len(archive.infolist())} arrays in one archive; accepted: up to {MOST_ARRAYS}")
        self._archive = archive
        self._members = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
        self.headers = {name: _header(archive, entry, name) for name, entry in self._members.items()}

    def bytes(self, names: Iterable[str]) -> int:
        """Of the numbers of these arrays."""
        return sum(self.headers[name].bytes for name in names)

    def read(self, name: str) -> np.ndarray:
        """One array. Raises ValueError: it holds Python objects, which are never unpickled."""
        if self.headers[name].dtype.hasobject:
            raise ValueError(
                f"the array {name} holds pickled Python objects, which are not read from an .npz; save it as numbers"
            )
        with self._archive.open(self._members[name]) as stream:
            return np.lib.format.read_array(stream, allow_pickle=False)


@contextlib.contextmanager
def open_npz(source: bytes | Path) -> Iterator[Npz]:
    """The archive in a file, or in the bytes of one.

    Raises:
        ValueError: not an archive of arrays. zipfile.BadZipFile, EOFError, OSError, ...: a damaged one.
    """
    with zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source) as archive:
        yield Npz(archive)


def read_header(stream: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of the array that begins here; the stream stands at its numbers afterwards.

    Raises:
        ValueError, SyntaxError, ...: NumPy's own, on what is no header.
    """
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    return shape, dtype


def read_npy(data: bytes) -> np.ndarray:
    """The array of an .npy file. Raises ValueError: it is none, of another size than its header says, or one of Python
    objects."""
    if _array_header(data, len(data), "in it").dtype.hasobject:
        raise ValueError("an array of pickled Python objects, which are not read; save it as numbers")
    return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)


def _header(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> ArrayHeader:
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or entry.flag_bits & 1:
        raise ValueError(f"{name!a:.60} is encrypted or packed in another way than NumPy's")
    with archive.open(entry) as stream:
        return _array_header(stream.read(LONGEST_HEADER + 12), entry.file_size, name)


def _array_header(data: bytes, size: int, name: str) -> ArrayHeader:
    """Of the beginning of an array that takes `size` bytes with its header."""
    start = io.BytesIO(data)
    try:
        shape, dtype = read_header(start)
    except Exception as error:  # NumPy raises several types on damaged headers
        raise ValueError(f"{name!a:.60} is not an array ({error})") from None
    count = math.prod(shape) * dtype.itemsize
    # objects are pickled, in as many bytes as that takes; they are never read
    if not dtype.hasobject and size - start.tell() != count:
        raise ValueError(f"the array {name!a:.60} of shape {shape} has {size - start.tell()} bytes")
    return ArrayHeader(shape, dtype, count)
