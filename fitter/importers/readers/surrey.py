"""Surrey Face Model and any other model in eos's own format (`sfm_shape_3448.bin`): cereal's binary archive.

Little-endian, no header: the version of the class, then the members one after the other (`cereal_archive`). Units and
axes: millimetres, x to the subject's left, y up, z out of the face. Components are orthonormal with variances beside
them. Expressions are six blendshapes in a file of their own, or, from version 2 on, components within the model.
Texture coordinates count v from the top.

Source: github.com/patrikhuber/eos, include/eos/morphablemodel (MorphableModel.hpp, PcaModel.hpp, Blendshape.hpp).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import ModelError
from ...files.cereal_archive import Archive
from ...files.untrusted import read_bytes, reading, sha256
from ...geometry.winding import outward
from ...model.source import SourceModel

KIND = "a model of eos (.bin, such as sfm_shape_3448.bin)"
VERSIONS = (1, 2, 3, 4)


@dataclass(frozen=True)
class _Components:
    """A PcaModel: (V, 3) mean, (K, V, 3) components per standard deviation, (F, 3) triangles."""

    mean: np.ndarray
    basis: np.ndarray
    faces: np.ndarray


def read_surrey(path: Path, expressions: Path | None = None) -> SourceModel:
    """Read a model of eos.

    Args:
        path: the model, or the folder `share` with it.
        expressions: blendshapes; without it, the `expression_blendshapes_*.bin` beside the model that fits its number
            of vertices, if there is one.
    Raises:
        ModelError: not such a file, truncated, or of an unknown version.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "sfm_shape_3448.bin"
    with reading(path, KIND):
        data = read_bytes(path)
        archive = Archive(data)
        version = archive.number("<u4")
        if version not in VERSIONS:
            raise ModelError(f"class version {version}; accepted: 1 to 4")
        shape, color = _components(archive), _components(archive)
        inner = _expression_model(archive) if version >= 2 else None
        if version >= 3 and not archive.flag():
            for _ in range(archive.length()):  # landmarks, which are found again by rendering
                archive.text(), archive.number("<i4")
        uv = archive.block(archive.length(), "<f8", 2)
        uv_faces = archive.block(archive.length(), "<i4", 3) if version >= 4 else np.zeros((0, 3), np.int32)
        archive.end()
        names, expression, offset, digests = _expressions(path, shape, inner, expressions)
        faces = shape.faces.astype(np.int64)
        verts = shape.mean + offset
        turned = outward(verts, faces)
        atlas = _texture(uv, uv_faces, faces, turned is not faces)
        has_color = len(color.mean) == len(verts) and len(verts) > 0
        return SourceModel(
            name="Surrey Face Model" if path.stem.startswith("sfm") else path.stem,
            version=f"{len(verts)} vertices",
            license="Surrey Face Model licence (non-commercial)" if path.stem.startswith("sfm") else "unknown",
            provenance={
                "source": "github.com/patrikhuber/eos, share",
                "paper": "Huber et al. 2016, A Multiresolution 3D Morphable Face Model and Fitting Framework",
                "sha256": sha256(data, *digests),
            },
            verts=verts,
            faces=turned,
            identity_basis=shape.basis,
            expression_basis=expression,
            expression_names=names,
            activation=inner is None or not isinstance(inner, _Components),
            albedo_mean=np.clip(color.mean, 0, 1) if has_color else None,
            albedo_basis=color.basis if has_color else None,
            uv=atlas[0],
            uv_faces=atlas[1],
        )


def _components(archive: Archive) -> _Components:
    mean, columns = archive.matrix(), archive.matrix()
    variance, faces = archive.matrix().ravel(), archive.block(archive.length(), "<i4", 3)
    if mean.size % 3 or columns.shape != (mean.size if columns.size else len(columns), len(variance)):
        raise ModelError(f"a mean of {mean.size}, components {columns.shape}, {len(variance)} variances do not fit")
    if (variance < 0).any():
        raise ModelError("a variance is negative")
    scaled = (columns * np.sqrt(variance)).T.reshape(len(variance), mean.size // 3, 3)
    return _Components(mean.reshape(-1, 3), scaled, faces)


def _expression_model(archive: Archive) -> _Components | list[tuple[str, np.ndarray]] | None:
    if archive.flag():  # "there is none"
        return None
    kind = archive.number("<i4")
    if kind == 0:
        return _components(archive)
    if kind == 1:
        return _blendshapes(archive)
    raise ModelError(f"an expression model of kind {kind}; accepted: 0 (components) or 1 (blendshapes)")


def _blendshapes(archive: Archive) -> list[tuple[str, np.ndarray]]:
    return [(archive.text(), archive.matrix().ravel()) for _ in range(archive.length())]


def _expressions(path, shape, inner, beside: Path | None) -> tuple[tuple[str, ...], np.ndarray, object, list[bytes]]:
    """Names, (E, V, 3) components or blendshapes, what they add to the mean, and the files read for them."""
    count = len(shape.mean)
    files: list[bytes] = []
    if isinstance(inner, _Components):
        if inner.mean.shape != shape.mean.shape:
            raise ModelError(f"expressions of {len(inner.mean)} vertices for a shape of {count}")
        return tuple(f"expression{k:02d}" for k in range(len(inner.basis))), inner.basis, inner.mean, files
    if inner is None:
        candidates = sorted(path.parent.glob("expression_blendshapes_*.bin")) if beside is None else [Path(beside)]
        inner = []
        for file in candidates:
            with reading(file, "blendshapes of eos (.bin)"):
                data = read_bytes(file)
                archive = Archive(data)
                found = _blendshapes(archive)
                archive.end()
                if all(shape_.size == 3 * count for _, shape_ in found):
                    inner, files = found, [data]
                    break
                if beside is not None:
                    raise ModelError(f"blendshapes of {found[0][1].size // 3} vertices for a model of {count}")
    if any(delta.size != 3 * count for _, delta in inner):
        raise ModelError(f"a blendshape does not fit the {count} vertices")
    stacked = np.array([delta for _, delta in inner], np.float32).reshape(len(inner), count, 3)
    return tuple(name for name, _ in inner), stacked, 0.0, files


def _texture(uv: np.ndarray, uv_faces: np.ndarray, faces: np.ndarray, turned: bool) -> tuple:
    if not len(uv):
        return None, None
    corners = (uv_faces if len(uv_faces) else faces).astype(np.int64)
    if turned:
        corners = corners[:, ::-1]
    return np.stack([uv[:, 0], 1 - uv[:, 1]], 1), corners
