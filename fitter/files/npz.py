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

import numpy as np

LONGEST_HEADER = 10_000  # bytes; NumPy reads no longer one


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
        """Raises ValueError: a member that is no array, oddly packed, or of another size than its header says."""
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


def _header(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> ArrayHeader:
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or entry.flag_bits & 1:
        raise ValueError(f"{name!a:.60} is encrypted or packed in another way than NumPy's")
    with archive.open(entry) as stream:
        start = io.BytesIO(stream.read(LONGEST_HEADER + 12))
    try:
        version = np.lib.format.read_magic(start)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(start)
    except ValueError as error:
        raise ValueError(f"{name!a:.60} is not an array ({error})") from None
    count = math.prod(shape) * dtype.itemsize
    # objects are pickled, in as many bytes as that takes; they are never read
    if not dtype.hasobject and entry.file_size - start.tell() != count:
        raise ValueError(f"the array {name!a:.60} of shape {shape} has {entry.file_size - start.tell()} bytes")
    return ArrayHeader(shape, dtype, count)
