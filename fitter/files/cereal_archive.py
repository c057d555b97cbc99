"""Cursor over a binary archive of the C++ library cereal: numbers follow one another without names or padding."""

from __future__ import annotations

import numpy as np

from ..errors import ModelError


class Archive:
    """Reads forward through bytes; nothing is allocated beyond what the bytes hold.

    Every method raises ModelError where the file ends too soon or a length is impossible.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def _take(self, count: int) -> memoryview:
        if count < 0 or self._at + count > len(self._data):
            raise ModelError(f"truncated or damaged: {count} bytes wanted at byte {self._at} of {len(self._data)}")
        self._at += count
        return memoryview(self._data)[self._at - count : self._at]

    def number(self, kind: str) -> int:
        """One number of a NumPy type such as "<u4"."""
        return np.frombuffer(self._take(np.dtype(kind).itemsize), kind)[0].item()

    def flag(self) -> bool:
        """A truth value: one byte, 0 or 1."""
        value = self.number("u1")
        if value > 1:
            raise ModelError(f"damaged: a truth value of {value} at byte {self._at - 1}")
        return bool(value)

    def length(self) -> int:
        """Number of items of a container that follows."""
        return self.number("<u8")

    def text(self) -> str:
        """A text: its length in bytes, then UTF-8; what is not UTF-8 becomes the replacement character."""
        return bytes(self._take(self.length())).decode("utf-8", "replace")

    def block(self, rows: int, kind: str, columns: int) -> np.ndarray:
        """(rows, columns) of a NumPy type such as "<u4": a vector of fixed-size arrays."""
        return np.frombuffer(self._take(rows * columns * np.dtype(kind).itemsize), kind).reshape(rows, columns)

    def matrix(self) -> np.ndarray:
        """(rows, columns) of an Eigen matrix of float32: int32 rows and columns, then the values column by column."""
        rows, columns = self.number("<i4"), self.number("<i4")
        if rows < 0 or columns < 0:
            raise ModelError(f"damaged: a matrix of {rows} x {columns}")
        return np.frombuffer(self._take(4 * rows * columns), "<f4").reshape(columns, rows).T

    def end(self) -> None:
        """Nothing may follow. Raises: ModelError when something does."""
        if self._at != len(self._data):
            raise ModelError(f"{len(self._data) - self._at} bytes too many at the end")
