"""Opening the file of an original model: one kind of error, whatever is wrong with the file, and no more memory than a
model can need."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ..errors import ModelError
from .npz import open_npz

LARGEST_BYTES = 1 << 30  # of a file, and of arrays read from one; published models have up to 0.4 GiB


@contextlib.contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Whatever goes wrong inside becomes a ModelError of one line that starts with the path.

    Args:
        path: of the file that is read inside, for the message.
        kind: what the file should be, with its format: "a FLAME model (.pkl or .npz)".
    """
    try:
        yield
    except ModelError as error:
        text = str(error)
        raise ModelError(text if text.startswith(str(path)) else f"{path}: not usable as {kind}: {text}") from None
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or one_line(error)}; expected {kind}") from None
    except Exception as error:  # zipfile, zlib, NumPy, SciPy and HDF5 raise types of their own on damaged files
        raise ModelError(f"{path}: not {kind} ({one_line(error)})") from None


def one_line(error: BaseException) -> str:
    """Name and text of an error, short, printable and on one line: the text may quote a hostile file."""
    return ascii(f"{type(error).__name__}: {error}"[:160])[1:-1]


def read_bytes(path: Path) -> bytes:
    """The whole file, unless it is empty or larger than any model.

    Raises:
        ModelError, OSError.
    """
    size = path.stat().st_size
    if size > LARGEST_BYTES:
        raise ModelError(f"{size / 2**30:.1f} GiB; a model has up to {LARGEST_BYTES >> 30}")
    data = path.read_bytes()
    if not data:
        raise ModelError("the file is empty")
    return data


def read_npz(path: Path, needed: Iterable[str], optional: Iterable[str] = ()) -> dict[str, np.ndarray]:
    """Arrays of an .npz file; pickled objects are refused.

    Args:
        needed: names that must be there; optional: names that are read where they are there.
    Returns:
        name -> array, of the names asked for.
    Raises:
        ModelError: an array is missing, holds Python objects, or is larger than any model.
        zipfile.BadZipFile, ValueError, ...: a damaged file; see `reading`.
    """
    needed = tuple(needed)
    data = read_bytes(path)
    if data.startswith(np.lib.format.MAGIC_PREFIX):
        raise ModelError("a single array; expected an .npz archive of arrays")
    with open_npz(data) as file:
        require(file.headers, needed)
        wanted = [name for name in (*needed, *optional) if name in file.headers]
        check_size(file.bytes(wanted))
        return {name: file.read(name) for name in wanted}


def require(found: Iterable[str], needed: Iterable[str]) -> None:
    """Raises: ModelError naming up to five of the missing ones."""
    found = set(found)
    missing = [name for name in needed if name not in found]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise ModelError(f"lacks {', '.join(missing[:5])}{more}")


def check_size(count: int) -> None:
    """Raises: ModelError when arrays of `count` bytes are larger than any model."""
    if count > LARGEST_BYTES:
        raise ModelError(f"arrays of {count / 2**30:.1f} GiB; a model has up to {LARGEST_BYTES >> 30}")


def array(value: object, shape: tuple[int | None, ...], name: str) -> np.ndarray:
    """An array of numbers of that shape (None: any length), as it is stored.

    Args:
        name: of the array, for the message.
    Raises:
        ModelError: other shape, or not numbers.
    """
    value = np.asarray(value)
    if value.dtype.kind not in "biuf":
        raise ModelError(f"{name} is of type {value.dtype}; expected numbers")
    fits = value.ndim == len(shape) and all(w is None or w == g for w, g in zip(shape, value.shape, strict=True))
    if not fits:
        wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
        raise ModelError(f"{name} has shape {value.shape}; expected {wanted}")
    return value


def basis(columns: object, verts: int, name: str, scale: float | np.ndarray = 1.0) -> np.ndarray:
    """Principal components in their customary layout -> in ours.

    Args:
        columns: (3 V, K) of x y z x y z ..., V = `verts`.
        name: of the array, for the message.
        scale: one factor or (K,), one per component: unit times standard deviation.
    Returns:
        (K, V, 3) float32.
    Raises:
        ModelError: another shape, or not numbers.
    """
    columns = array(columns, (3 * verts, None), name)
    scaled = columns * np.asarray(scale, np.float64)
    return np.ascontiguousarray(scaled.T, np.float32).reshape(-1, verts, 3)


def sha256(*parts: bytes) -> str:
    """Hexadecimal SHA-256 of all parts, one after another."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def text_lines(data: bytes) -> io.StringIO:
    """A text file in memory; raises UnicodeDecodeError for anything else."""
    return io.StringIO(data.decode("utf-8-sig"))
