"""Basel Face Model 2009: `01_MorphableModel.mat`, with the expressions of Guo et al. (`Exp_Pca.bin`) where they are.

With Deep3DFaceRecon's files beside it, the face of 35,709 vertices that it cuts out, its 80 identity, 64 expression and
80 albedo components: coefficients mean the same there and here. Without them the whole head of 53,490 vertices, all
199 components, and no expressions. `BFM_model_front.mat`, which Deep3DFaceRecon writes, is read as well.

Units and axes: micrometres (decimetres in `BFM_model_front.mat`), x to the subject's left, y up, z out of the face;
colours 0 to 255. `shapeEV`, `texEV` and `std_exp.txt` are standard deviations, not variances. MATLAB counts from 1.

Source: github.com/sicxu/Deep3DFaceRecon_pytorch, util/load_mats.py (transferBFM09); Paysan et al. 2009.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from ...errors import ModelError
from ...files.untrusted import array, basis, check_size, read_bytes, reading, require, sha256, text_lines
from ...geometry.winding import outward
from ...model.source import SourceModel

KIND = "a BFM 2009 (01_MorphableModel.mat or BFM_model_front.mat)"
PUBLISHED, CROPPED = "01_MorphableModel.mat", "BFM_model_front.mat"
EXPRESSIONS = ("Exp_Pca.bin", "std_exp.txt", "BFM_front_idx.mat", "BFM_exp_idx.mat", "facemodel_info.mat")
IDENTITY, EXPRESSION, ALBEDO = 80, 64, 80  # Deep3DFaceRecon's
MM_PUBLISHED, MM_CROPPED = 1e-3, 100.0
_ITEM = {"double": 8, "single": 4, "int64": 8, "uint64": 8, "int32": 4, "uint32": 4, "int16": 2, "uint16": 2}


def read_bfm2009(path: Path) -> SourceModel:
    """Read one of the two .mat files; what else is needed lies in the same folder.

    Args:
        path: the .mat file or its folder.
    Raises:
        ModelError: a file is missing, not as published, or damaged.
    """
    path = _file(Path(path))
    with reading(path, KIND):
        names = [name for name, *_ in _contents(path)]
        if "meanshape" in names:
            return _cropped(path)
        if (path.parent / EXPRESSIONS[0]).is_file():
            return _crop(path)
        return _whole(path)


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    for folder in (path, path / "BFM", path / "PublicMM1"):
        for name in (PUBLISHED, CROPPED):
            if (folder / name).is_file():
                return folder / name
    raise ModelError(f"{path}: has neither {PUBLISHED} nor {CROPPED}; for BFM 2017 or 2019 name the .h5 file itself")


def _model(verts, faces, identity, expression, mean, albedo, digest: str, note: str) -> SourceModel:
    return SourceModel(
        name="Basel Face Model",
        version="2009",
        license="BFM 2009 licence (non-commercial research)",
        provenance={
            "source": "faces.dmi.unibas.ch/bfm",
            "paper": "Paysan et al. 2009, A 3D Face Model for Pose and Illumination Invariant Face Recognition",
            "content": note,
            "sha256": digest,
        },
        verts=verts,
        faces=outward(verts, faces),
        identity_basis=identity,
        expression_basis=expression,
        expression_names=tuple(f"expression{k:02d}" for k in range(len(expression))),
        activation=False,
        albedo_mean=np.clip(mean / 255.0, 0, 1),
        albedo_basis=albedo,
    )


def _whole(path: Path) -> SourceModel:
    data = _published(path)
    count = data["shapeMU"].size // 3
    return _model(
        verts=data["shapeMU"].reshape(-1, 3) * MM_PUBLISHED,
        faces=array(data["tl"], (None, 3), "tl").astype(np.int64) - 1,
        identity=basis(data["shapePC"], count, "shapePC", data["shapeEV"].ravel() * MM_PUBLISHED),
        expression=np.zeros((0, count, 3), np.float32),
        mean=data["texMU"].reshape(-1, 3),
        albedo=basis(data["texPC"], count, "texPC", data["texEV"].ravel() / 255.0),
        digest=sha256(read_bytes(path)),
        note="the whole head, without expressions",
    )


def _crop(path: Path) -> SourceModel:
    data, folder = _published(path), path.parent
    missing = [name for name in EXPRESSIONS if not (folder / name).is_file()]
    if missing:
        raise ModelError(
            f"{folder} has {EXPRESSIONS[0]} but lacks {', '.join(missing)} of Deep3DFaceRecon's BFM folder"
        )
    columns = _expressions(folder / EXPRESSIONS[0])
    deviation = _deviations(folder / EXPRESSIONS[1])
    count, components = data["shapeMU"].size // 3, min(columns.shape[0], len(deviation), EXPRESSION)
    # the face's vertices among those with expressions, and those among the whole head's
    at_expression = _index(folder / EXPRESSIONS[2], "idx", columns.shape[1])
    with_expression = _index(folder / EXPRESSIONS[3], "trimIndex", count)
    if len(with_expression) != columns.shape[1]:
        raise ModelError(f"{EXPRESSIONS[0]} has {columns.shape[1]} vertices, {EXPRESSIONS[3]} {len(with_expression)}")
    at = with_expression[at_expression]
    info = _load(folder / EXPRESSIONS[4], ("tri",))
    rows = (3 * at[:, None] + np.arange(3)).ravel()
    identity = array(data["shapePC"], (3 * count, None), "shapePC")[rows, :IDENTITY]
    albedo = array(data["texPC"], (3 * count, None), "texPC")[rows, :ALBEDO]
    scale = (deviation[:components] * MM_PUBLISHED).astype(np.float32)
    return _model(
        verts=data["shapeMU"].reshape(-1, 3)[at] * MM_PUBLISHED,
        faces=array(info["tri"], (None, 3), "tri").astype(np.int64) - 1,
        identity=basis(identity, len(at), "shapePC", data["shapeEV"].ravel()[:IDENTITY] * MM_PUBLISHED),
        expression=columns[:components, at_expression] * scale[:, None, None],
        mean=data["texMU"].reshape(-1, 3)[at],
        albedo=basis(albedo, len(at), "texPC", data["texEV"].ravel()[:ALBEDO] / 255.0),
        digest=sha256(read_bytes(path), *(read_bytes(folder / name) for name in EXPRESSIONS)),
        note="cut and with expressions as in Deep3DFaceRecon; expressions: Guo et al., github.com/Juyong/3DFace",
    )


def _cropped(path: Path) -> SourceModel:
    data = _load(path, ("meanshape", "meantex", "idBase", "exBase", "texBase", "tri"))
    verts = data["meanshape"].reshape(-1, 3) * MM_CROPPED
    return _model(
        verts=verts,
        faces=array(data["tri"], (None, 3), "tri").astype(np.int64) - 1,
        identity=basis(data["idBase"], len(verts), "idBase", MM_CROPPED),
        expression=basis(data["exBase"], len(verts), "exBase", MM_CROPPED),
        mean=data["meantex"].reshape(-1, 3),
        albedo=basis(data["texBase"], len(verts), "texBase", 1 / 255.0),
        digest=sha256(read_bytes(path)),
        note="as cut by Deep3DFaceRecon; expressions: Guo et al., github.com/Juyong/3DFace",
    )


def _published(path: Path) -> dict[str, np.ndarray]:
    data = _load(path, ("shapeMU", "shapePC", "shapeEV", "texMU", "texPC", "texEV", "tl"))
    size = data["shapeMU"].size
    if size % 3 or data["texMU"].size != size:
        raise ModelError(f"shapeMU has {size} values, texMU {data['texMU'].size}; expected x y z and r g b per vertex")
    return data


def _contents(path: Path) -> list[tuple]:
    from scipy.io import whosmat

    data = read_bytes(path)
    found = whosmat(str(path))
    if data.startswith(b"MATLAB 5"):
        _check_end(data)
    return found


def _check_end(data: bytes) -> None:
    """A MATLAB 5 file is a header of 128 bytes and elements with their lengths; SciPy forgives a last one cut short."""
    order = "<" if data[126:128] == b"IM" else ">"
    at = 128
    while at + 8 <= len(data):
        at += 8 + struct.unpack_from(f"{order}I", data, at + 4)[0]
    if at > len(data):
        raise ModelError(f"truncated: {at - len(data)} bytes are missing at the end")


def _load(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Numeric variables of a MATLAB 5 file; nothing else in it is looked at."""
    from scipy.io import loadmat

    with reading(path, f"a MATLAB file with {', '.join(names)}"):
        content = {name: (shape, kind) for name, shape, kind in _contents(path)}
        require(content, names)
        for name in names:
            shape, kind = content[name]
            if kind not in _ITEM and kind not in ("int8", "uint8", "logical"):
                raise ModelError(f"{name} is of MATLAB type {kind}; expected numbers")
            check_size(int(np.prod([int(n) for n in shape], dtype=object)) * 8)
        return {name: np.asarray(value) for name, value in loadmat(str(path), variable_names=names).items()
                if name in names}  # fmt: skip


def _index(path: Path, name: str, limit: int) -> np.ndarray:
    """Indices counted from 1 -> from 0."""
    values = _load(path, (name,))[name].ravel().astype(np.int64) - 1
    if not values.size or values.min() < 0 or values.max() >= limit:
        raise ModelError(f"{path}: {name} points outside the {limit} vertices")
    return values


def _expressions(path: Path) -> np.ndarray:
    """(K, V, 3) components of Exp_Pca.bin: an int32 K, 3 V floats of a mean that is not used, K times 3 V floats."""
    with reading(path, "the expressions Exp_Pca.bin"):
        data = read_bytes(path)
    components = struct.unpack_from("<i", data)[0] if len(data) >= 4 else 0
    values = (len(data) - 4) // 4
    if components < 1 or (len(data) - 4) % 4 or values % (3 * (components + 1)):
        raise ModelError(f"{path}: not an Exp_Pca.bin ({len(data)} bytes, {components} components), or truncated")
    count = values // (3 * (components + 1))
    return np.frombuffer(data, "<f4", offset=4 + 12 * count).reshape(components, count, 3)


def _deviations(path: Path) -> np.ndarray:
    with reading(path, "std_exp.txt, a line of standard deviations"):
        return np.loadtxt(text_lines(read_bytes(path)), ndmin=1).ravel()
