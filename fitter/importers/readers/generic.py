"""A model of one's own: a template OBJ with blendshape OBJs, or an .npz of bases. docs/own_model.md is its manual.

Folder: `template.obj`, `identity/*.obj` and `expression/*.obj` (or the expressions beside the template), whole meshes
with the template's vertices in the template's order. A component is the difference to the template: what an identity
mesh shows is one standard deviation, what an expression mesh shows is activation 1. `model.json` holds what OBJ files
cannot say; every entry may be left out.

Npz: `verts`, `faces`, `identity_basis`, `expression_basis` and what `_OPTIONAL` names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...errors import ModelError
from ...files.read_obj import read_obj
from ...files.untrusted import array, read_bytes, read_npz, reading, sha256
from ...geometry.winding import outward
from ...model.source import SourceModel, eyeballs
from .own_files import (
    SETTINGS,
    about,
    activation,
    colours,
    delta,
    frame_of,
    laid_out,
    natural,
    one_picture,
    part_hint,
    settings_of,
)

KIND = "a model of one's own (folder of .obj, or .npz)"
TEMPLATES = ("template.obj", "neutral.obj", "mean.obj")
_NEEDED = ("verts", "faces", "identity_basis", "expression_basis")
_OPTIONAL = (
    "identity_std", "expression_std", "expression_names", "albedo_mean", "albedo_basis", "albedo_std", "uv", "uv_faces",
    "eyeball", "label_hint", "name", "version", "license", "unit", "axes", "expression_kind",
)  # fmt: skip


def read_generic(path: Path, blendshapes: Path | None = None) -> SourceModel:
    """Read a model in the layout of docs/own_model.md.

    Args:
        path: the folder, its template OBJ, or an .npz.
        blendshapes: folder of the expressions where they do not lie beside the template.
    Raises:
        ModelError: a file is missing, meshes differ in their vertices, a setting is not known.
    """
    path = Path(path)
    with reading(path, KIND):
        if path.suffix.lower() == ".npz":
            return _npz(path)
        if path.is_file() and path.suffix.lower() != ".obj":
            raise ModelError(f"a {path.suffix or 'nameless'} file; accepted: a folder, a template .obj, an .npz")
        return _folder(path, blendshapes)


# --- a folder of OBJ files ---


def _folder(path: Path, blendshapes: Path | None) -> SourceModel:
    template = _template(path)
    folder = template.parent
    settings = settings_of(folder / "model.json")
    mesh = read_obj(template)
    identity = sorted((folder / "identity").glob("*.obj"), key=natural)
    expression = _expression_files(folder, template, blendshapes)
    if not identity and not expression:
        raise ModelError(f"{folder}: {template.name} without a blendshape in identity/ or expression/")
    frame = frame_of(settings, mesh.verts)
    verts = mesh.verts @ frame
    digest = hashlib.sha256(mesh.data)
    deltas = np.array([delta(file, mesh, digest) for file in (*identity, *expression)]) @ frame.astype(np.float32)
    faces, uv, uv_faces = laid_out(mesh, verts, settings)
    hint = part_hint(settings.get("parts", {}), mesh)
    return SourceModel(
        **about(settings, folder.resolve().name, digest.hexdigest()),
        verts=verts,
        faces=faces,
        identity_basis=deltas[: len(identity)],
        expression_basis=deltas[len(identity) :],
        expression_names=tuple(file.stem for file in expression),
        activation=activation(settings),
        albedo_mean=None if mesh.colors is None else colours(mesh.colors),
        uv=uv,
        uv_faces=uv_faces,
        eyeball=None if hint is None else eyeballs(hint),
        label_hint=hint,
    )


def _template(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise ModelError(f"{path}: no such folder or file")
    for name in TEMPLATES:
        if (path / name).is_file():
            return path / name
    raise ModelError(f"{path}: lacks the template; expected {', '.join(TEMPLATES[:-1])} or {TEMPLATES[-1]}")


def _expression_files(folder: Path, template: Path, blendshapes: Path | None) -> list[Path]:
    if blendshapes is not None and not Path(blendshapes).is_dir():
        raise ModelError(f"{blendshapes}: no such folder of blendshapes")
    inner = folder / "expression"
    chosen = Path(blendshapes) if blendshapes is not None else inner if inner.is_dir() else folder
    return sorted((file for file in chosen.glob("*.obj") if file != template), key=natural)


# --- one .npz ---


def _npz(path: Path) -> SourceModel:
    data = read_npz(path, _NEEDED, _OPTIONAL)
    settings = {name: _text(data[name], name) for name in SETTINGS if name in data and name != "uv"}
    raw = array(data["verts"], (None, 3), "verts").astype(np.float64)
    frame = frame_of(settings, raw)
    verts, count = raw @ frame, len(raw)
    given = array(data["faces"], (None, 3), "faces").astype(np.int64)
    faces = outward(verts, given)
    identity = _components(data, "identity", count) @ frame.astype(np.float32)
    expression = _components(data, "expression", count) @ frame.astype(np.float32)
    names = data.get("expression_names", [f"expression{k:02d}" for k in range(len(expression))])
    mapped = "uv" in data and one_picture(array(data["uv"], (None, 2), "uv"))
    uv_faces = array(data.get("uv_faces", given), (len(given), 3), "uv_faces")
    return SourceModel(
        **about(settings, path.stem, sha256(read_bytes(path))),
        verts=verts,
        faces=faces,
        identity_basis=identity,
        expression_basis=expression,
        expression_names=tuple(str(name) for name in np.asarray(names).ravel()),
        activation=activation(settings),
        albedo_mean=colours(array(data["albedo_mean"], (count, 3), "albedo_mean")) if "albedo_mean" in data else None,
        albedo_basis=_components(data, "albedo", count) if "albedo_basis" in data else None,
        uv=data["uv"] if mapped else None,
        uv_faces=(uv_faces if faces is given else uv_faces[:, ::-1]) if mapped else None,
        eyeball=data.get("eyeball"),
        label_hint=data.get("label_hint"),
    )


def _components(data: Mapping[str, np.ndarray], name: str, count: int) -> np.ndarray:
    """(K, V, 3) of a basis stored so, or as the customary (3 V, K) columns; times its standard deviations if given."""
    value = data[f"{name}_basis"]
    if value.ndim == 2:
        value = array(value, (3 * count, None), f"{name}_basis").T.reshape(-1, count, 3)
    value = array(value, (None, count, 3), f"{name}_basis").astype(np.float32)
    if f"{name}_std" in data:
        value = value * array(data[f"{name}_std"], (len(value),), f"{name}_std").astype(np.float32)[:, None, None]
    return value


def _text(value: np.ndarray, name: str) -> object:
    if value.ndim != 0 or value.dtype.kind not in "US":
        raise ModelError(f"{name} is an array of {value.dtype} {value.shape}; expected one text")
    text = str(value)
    return json.loads(text) if name == "axes" and text.startswith("{") else text
