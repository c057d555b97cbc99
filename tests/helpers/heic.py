"""HEIC files, which facefit reads and does not write."""

import pytest

from facefit.files import read_picture


def register_heic_writer() -> None:
    """Let Pillow save HEIC, by a library that the tests alone use; what reads it is facefit's own again."""
    pytest.importorskip("pillow_heif").register_heif_opener()
    read_picture._register_heif.cache_clear()
