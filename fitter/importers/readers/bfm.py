"""The Basel Face Models: 2009 (MATLAB file, cut to a face as Deep3DFaceRecon does) and 2017 / 2019 (HDF5)."""

from __future__ import annotations

from pathlib import Path

from ...errors import ModelError
from ...model.source import SourceModel
from .basel_hdf5 import read_basel_hdf5
from .bfm2009 import read_bfm2009

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


def read_bfm(path: Path) -> SourceModel:
    """Read a Basel Face Model, whichever it is.

    Args:
        path: a 2017 or 2019 model (`model2017-1_bfm_nomouth.h5`, `model2019_face12.h5`, ...); `01_MorphableModel.mat`
            of 2009, or the folder with it and Deep3DFaceRecon's files; or `BFM_model_front.mat` as Deep3DFaceRecon
            writes it.
    Raises:
        ModelError: none of these, or damaged.
    """
    path = Path(path)
    if path.is_dir():
        return read_bfm2009(path)
    try:
        with path.open("rb") as stream:
            start = stream.read(len(HDF5_MAGIC))
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or error}") from None
    if start == HDF5_MAGIC:
        return read_basel_hdf5(path)
    return read_bfm2009(path)
