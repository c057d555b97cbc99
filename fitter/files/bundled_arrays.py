"""Arrays that come with facefit beside its networks (.npz in data/)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..bundled import bundled
from ..errors import FaceFitError
from .npz import open_npz
from .untrusted import one_line


def bundled_arrays(name: str, keys: Sequence[str], remedy: str) -> list[np.ndarray]:
    """Arrays of a bundled file.

    Args:
        name: of the file. keys: of the arrays, in the order in which they are wanted.
        remedy: said where they cannot be had: what makes the file.
    Raises:
        FaceFitError: it is missing or damaged.
    """
    path = bundled(name)
    if not path.is_file():
        raise FaceFitError(f"{path}: no such file; {remedy}")
    try:
        with open_npz(path) as file:
            return [file.read(key) for key in keys]
    except Exception as error:  # zipfile, zlib and NumPy raise types of their own on a damaged archive
        raise FaceFitError(f"{path}: damaged file ({one_line(error)}); {remedy} anew") from None
