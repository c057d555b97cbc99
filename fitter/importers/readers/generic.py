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
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...anatomy.parts import LABEL
from ...errors import ModelError
from ...files.read_obj import ObjMesh, read_obj, read_obj_verts
from ...files.untrusted import array, read_bytes, read_npz, reading, sha256
from ...geometry.winding import outward
from ...model.source import SourceModel, eyeballs

KIND = "a model of one's own (folder of .obj, or .npz)"
TEMPLATES = ("template.obj", "neutral.obj", "mean.obj")
UNITS = {"mm": 1.0, "cm": 10.0, "dm": 100.0, "m": 1000.0}
AXES = {"left": "x", "up": "y", "out": "z"}
KINDS = ("activation", "std")
SETTINGS = ("name", "version", "license", "unit", "axes", "expression_kind", "parts", "uv")
PARTS = {name: LABEL[name] for name in ("right_eye", "left_eye", "mouth_inside", "head")}
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
    settings = _settings(folder / "model.json")
    mesh = read_obj(template)
    identity = sorted((folder / "identity").glob("*.obj"), key=_natural)
    expression = _expression_files(folder, template, blendshapes)
    if not identity and not expression:
        raise ModelError(f"{folder}: {template.name} without a blendshape in identity/ or expression/")
    frame = _frame(settings, mesh.verts)
    verts = mesh.verts @ frame
    digest = hashlib.sha256(mesh.data)
    deltas = np.array([_delta(file, mesh, digest) for file in (*identity, *expression)]) @ frame.astype(np.float32)
    faces = outward(verts, mesh.faces)
    mapped = mesh.uv is not None and settings.get("uv", True) and _one_picture(mesh.uv)
    uv_faces = mesh.uv_faces
    if uv_faces is not None and faces is not mesh.faces:
        uv_faces = uv_faces[:, ::-1]
    hint = _hint(settings.get("parts", {}), mesh)
    return SourceModel(
        **_about(settings, folder.resolve().name, digest.hexdigest()),
        verts=verts,
        faces=faces,
        identity_basis=deltas[: len(identity)],
        expression_basis=deltas[len(identity) :],
        expression_names=tuple(file.stem for file in expression),
        activation=_activation(settings),
        albedo_mean=None if mesh.colors is None else _colors(mesh.colors),
        uv=mesh.uv if mapped else None,
        uv_faces=uv_faces if mapped else None,
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
    return sorted((file for file in chosen.glob("*.obj") if file != template), key=_natural)


def _natural(file: Path) -> list:
    """shape2 before shape10."""
    return [int(part) if part.isdigit() else part.lower() for part in re.split(r"(\d+)", file.stem)]


def _one_picture(uv: np.ndarray) -> bool:
    """Tiles of several pictures (UDIM) lie outside the unit square; a model here has one picture, an atlas is made."""
    return bool(uv.min() > -1e-3 and uv.max() < 1 + 1e-3)


def _delta(file: Path, mesh: ObjMesh, digest: hashlib._Hash) -> np.ndarray:
    verts, data = read_obj_verts(file)
    if len(verts) != len(mesh.verts):
        raise ModelError(f"{file}: {len(verts)} vertices; the template has {len(mesh.verts)}")
    digest.update(data)
    return (verts - mesh.verts).astype(np.float32)


def _hint(parts: object, mesh: ObjMesh) -> np.ndarray | None:
    """(V,) labels of vertices by the material, group or object of the polygons around them."""
    if not parts:
        return None
    known = {name for names in mesh.part_names for name in names}
    if not isinstance(parts, dict) or not set(parts) <= known or not set(parts.values()) <= set(PARTS):
        raise ModelError(
            f"model.json: parts {parts!r:.80}; accepted: from {', '.join(sorted(known)[:8])} to {', '.join(PARTS)}"
        )
    hint = np.zeros(len(mesh.verts), np.uint8)
    for number, names in enumerate(mesh.part_names):
        labels = [PARTS[parts[name]] for name in names if name in parts]
        if labels:
            hint[mesh.faces[mesh.part == number]] = labels[0]
    return hint


def _settings(path: Path) -> dict:
    if not path.is_file():
        return {}
    with reading(path, "settings of a model (JSON)"):
        found = json.loads(read_bytes(path).decode("utf-8-sig"))
        if not isinstance(found, dict) or not set(found) <= set(SETTINGS):
            extra = sorted(set(found) - set(SETTINGS)) if isinstance(found, dict) else type(found).__name__
            raise ModelError(f"unknown settings {extra!r:.80}; accepted: {', '.join(SETTINGS)}")
        return found


# --- one .npz ---


def _npz(path: Path) -> SourceModel:
    data = read_npz(path, _NEEDED, _OPTIONAL)
    settings = {name: _text(data[name], name) for name in SETTINGS if name in data and name != "uv"}
    raw = array(data["verts"], (None, 3), "verts").astype(np.float64)
    frame = _frame(settings, raw)
    verts, count = raw @ frame, len(raw)
    given = array(data["faces"], (None, 3), "faces").astype(np.int64)
    faces = outward(verts, given)
    identity = _components(data, "identity", count) @ frame.astype(np.float32)
    expression = _components(data, "expression", count) @ frame.astype(np.float32)
    names = data.get("expression_names", [f"expression{k:02d}" for k in range(len(expression))])
    mapped = "uv" in data and _one_picture(array(data["uv"], (None, 2), "uv"))
    uv_faces = array(data.get("uv_faces", given), (len(given), 3), "uv_faces")
    return SourceModel(
        **_about(settings, path.stem, sha256(read_bytes(path))),
        verts=verts,
        faces=faces,
        identity_basis=identity,
        expression_basis=expression,
        expression_names=tuple(str(name) for name in np.asarray(names).ravel()),
        activation=_activation(settings),
        albedo_mean=_colors(array(data["albedo_mean"], (count, 3), "albedo_mean")) if "albedo_mean" in data else None,
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


# --- what both have ---


def _about(settings: Mapping, fallback: str, digest: str) -> dict:
    return {
        "name": str(settings.get("name", fallback)),
        "version": str(settings.get("version", "1")),
        "license": str(settings.get("license", "unknown")),
        "provenance": {"source": "a model of the user's own", "sha256": digest},
    }


def _activation(settings: Mapping) -> bool:
    kind = settings.get("expression_kind", KINDS[0])
    if kind not in KINDS:
        raise ModelError(f"expression_kind {kind!r:.40}; accepted: {', '.join(KINDS)}")
    return kind == "activation"


def _colors(colors: np.ndarray) -> np.ndarray:
    """sRGB in [0, 1], from 0 to 255 where a value says so."""
    return np.clip(colors / (255.0 if colors.max(initial=0) > 1.01 else 1.0), 0, 1)


def _frame(settings: Mapping, verts: np.ndarray) -> np.ndarray:
    """(3, 3) matrix M with `file @ M` = mm to the subject's left, up and out of the face."""
    unit = settings.get("unit")
    if unit is None:
        # the longest side of a face, head or bust lies between 100 mm and 1 m: one power of ten fits
        longest = float(np.ptp(verts, axis=0).max(initial=0))
        if not 0 < longest < np.inf:
            raise ModelError("the template has no extent")
        factor = 10.0 ** (2 - np.floor(np.log10(longest)))
    elif unit in UNITS:
        factor = UNITS[unit]
    else:
        raise ModelError(f"unit {unit!r:.40}; accepted: {', '.join(UNITS)}")
    axes = settings.get("axes", AXES)
    words = [str(axes.get(side, "")) for side in AXES] if isinstance(axes, dict) else []
    matrix = np.zeros((3, 3))
    for column, word in enumerate(words):
        if re.fullmatch("-?[xyz]", word):
            matrix["xyz".index(word[-1]), column] = -1.0 if word[0] == "-" else 1.0
    if abs(round(np.linalg.det(matrix))) != 1:
        raise ModelError(
            f"axes {axes!r:.80}; accepted: the axis of the file that points to the subject's left, the one up and the "
            'one out of the face, such as {"left": "x", "up": "z", "out": "-y"}'
        )
    return matrix * factor
