"""Basel Face Model 2017 and 2019 (`model2017-1_bfm_nomouth.h5`, `model2019_face12.h5`, ...), and other models in the
HDF5 layout of statismo and scalismo: shape, expression and colour, each a mean and principal components.

Units and axes: millimetres, x to the subject's left, y up, z out of the face; colours sRGB in [0, 1]. `pcaBasis` is
(3 V, K) with columns of unit length and `pcaVariance` (K,) their variances; files of statismo 0.8 hold columns that are
already scaled, which is told from their length.

Source: github.com/unibas-gravis/scalismo-faces, MoMoIO.scala; Gerig et al. 2018 (BFM 2017).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ...errors import ModelError
from ...files.untrusted import array, basis, check_size, read_bytes, reading, sha256
from ...geometry.winding import outward
from ...model.source import SourceModel

KIND = "a Basel Face Model 2017 or 2019 (.h5)"
_PART = ("model/mean", "model/pcaBasis", "model/pcaVariance")


def read_basel_hdf5(path: Path) -> SourceModel:
    """Read an HDF5 model; needs the package h5py.

    Raises:
        ModelError: h5py is not installed; the file lacks a group or is damaged.
    """
    path = Path(path)
    try:
        import h5py
    except ImportError:
        raise ModelError(f"{path}: reading HDF5 needs the package h5py: pip install 'facefit[models]'") from None
    with reading(path, KIND), h5py.File(path, "r", locking=False) as file:
        parts = {
            part: _part(file, part) for part in ("shape", "expression", "color") if part == "shape" or part in file
        }
        verts, identity = parts["shape"]
        count = len(verts)
        expression = np.zeros((0, count, 3), np.float32)
        if "expression" in parts:
            offset, expression = parts["expression"]
            verts = verts + array(offset, (count, 3), "expression/model/mean")
        albedo_mean, albedo = parts.get("color", (None, None))
        cells = array(_dataset(file, "shape/representer/cells"), (3, None), "shape/representer/cells")
        return SourceModel(
            name="Basel Face Model",
            version=_version(path),
            license="BFM licence (non-commercial research)",
            provenance={
                "source": "faces.dmi.unibas.ch/bfm",
                "paper": "Gerig et al. 2018, Morphable Face Models - An Open Framework",
                "sha256": sha256(read_bytes(path)),
            },
            verts=verts,
            faces=outward(verts, cells.T.astype(np.int64)),
            identity_basis=identity,
            expression_basis=expression,
            expression_names=tuple(f"expression{k:02d}" for k in range(len(expression))),
            activation=False,
            albedo_mean=None if albedo_mean is None else np.clip(albedo_mean, 0, 1),
            albedo_basis=albedo,
        )


def _part(file, part: str) -> tuple[np.ndarray, np.ndarray]:
    """(V, 3) mean and (K, V, 3) components per standard deviation of shape, expression or color."""
    mean, columns, variance = (_dataset(file, f"{part}/{name}") for name in _PART)
    if mean.size % 3 or not mean.size:
        raise ModelError(f"{part}/model/mean has {mean.size} values; expected three per vertex")
    variance = array(np.atleast_1d(np.squeeze(variance)), (None,), f"{part}/model/pcaVariance")
    columns = array(columns, (mean.size, len(variance)), f"{part}/model/pcaBasis")
    length = np.linalg.norm(columns.astype(np.float64), axis=0)
    scaled = not np.allclose(length, 1, atol=1e-2)
    deviation = np.ones(len(variance)) if scaled else np.sqrt(np.maximum(variance.astype(np.float64), 0))
    return mean.reshape(-1, 3).astype(np.float64), basis(columns, mean.size // 3, f"{part}/model/pcaBasis", deviation)


def _dataset(file, name: str) -> np.ndarray:
    """Numbers stored in this very file: HDF5 can also point at other files on the disk, which is not followed."""
    import h5py

    at = file
    for step in name.split("/"):
        if not isinstance(at, h5py.Group):
            raise ModelError(f"{at.name} is not a group")
        if step not in at:
            raise ModelError(f"lacks the array {name}")
        if not isinstance(at.get(step, getlink=True), h5py.HardLink):
            raise ModelError(f"{name} is a link to elsewhere, which is not followed")
        at = at[step]
    if not isinstance(at, h5py.Dataset) or at.dtype.kind not in "fiu":
        raise ModelError(f"{name} is not an array of numbers")
    if at.is_virtual or at.external:
        raise ModelError(f"{name} lies in another file, which is not followed")
    check_size(at.size * at.dtype.itemsize)
    return at[()]


def _version(path: Path) -> str:
    """2017 or 2019 and the cut (bfm, face12, fullHead), which only the name says."""
    year = re.search(r"20(17|19)", path.stem)
    cut = re.search(r"bfm|face12|fullHead", path.stem)
    return " ".join(part.group() for part in (year, cut) if part) or "unknown"
