"""Which reader reads a published model (facefit.model.catalogue). Each is loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..model.source import SourceModel

Reader = Callable[..., SourceModel]


def read_published(kind: str, path: Path, **options: Path) -> SourceModel:
    """Read the published files of a model.

    Args:
        kind: a name in facefit.model.catalogue.KINDS. path: the file or folder.
        options: further files, those of the kind's `options`.
    Raises:
        ModelError: missing, damaged, or another model.
    """
    return READERS[kind]()(path, **options)


def load_ict() -> Reader:
    """The reader of ICT-FaceKit."""
    from .readers.ict import read_ict

    return read_ict


def load_gnm() -> Reader:
    """The reader of GNM."""
    from .readers.gnm import read_gnm

    return read_gnm


def load_flame() -> Reader:
    """The reader of FLAME."""
    from .readers.flame import read_flame

    return read_flame


def load_bfm2009() -> Reader:
    """The reader of BFM 2009."""
    from .readers.bfm2009 import read_bfm2009

    return read_bfm2009


def load_bfm() -> Reader:
    """The reader of BFM 2017 and 2019."""
    from .readers.bfm import read_bfm

    return read_bfm


def load_faceverse() -> Reader:
    """The reader of FaceVerse."""
    from .readers.faceverse import read_faceverse

    return read_faceverse


def load_surrey() -> Reader:
    """The reader of the Surrey Face Model."""
    from .readers.surrey import read_surrey

    return read_surrey


def load_generic() -> Reader:
    """The reader of meshes of any topology."""
    from .readers.generic import read_generic

    return read_generic


def load_decoder() -> Reader:
    """The reader of networks."""
    from .readers.decoder import read_decoder

    return read_decoder


READERS: dict[str, Callable[[], Reader]] = {
    "ict": load_ict,
    "gnm": load_gnm,
    "flame": load_flame,
    "bfm2009": load_bfm2009,
    "bfm": load_bfm,
    "faceverse": load_faceverse,
    "surrey": load_surrey,
    "generic": load_generic,
    "decoder": load_decoder,
}
