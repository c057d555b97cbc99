"""ICT-FaceKit Light (Li et al. 2020, "Learning Formation of Physically-Based Face Attributes"): from the published
`FaceXModel` folder of OBJ files, or from one `.npz` that holds the same meshes.

Folder: `generic_neutral_mesh.obj`, `identity000.obj` to `identity099.obj` and one OBJ per expression, whole meshes in
centimetres with the same vertices; a component is the difference to the neutral one. Which vertices are what stands in
the README of the publication, see PIECES.

Npz: `verts` (V, 3), `identity` (I, V, 3) and `expression` (E, V, 3) differences, `expression_names`, `quads` and
`quads_uv` (Q, 4) with -1 in the last column of a triangle, `uv` (T, 2), `faces`, `face_material` and `materials`,
`mm_per_unit`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...anatomy.parts import LABEL
from ...errors import ModelError
from ...files.read_obj import ObjPolygons, read_obj_polygons, read_obj_verts
from ...files.untrusted import read_npz, reading, sha256
from ...geometry.subdivide import triangulate
from ...model.source import SourceModel, eyeballs

MM_PER_UNIT = 10.0
VERTICES = 26719  # of an OBJ as published
KEPT = 24591  # face, head and neck, mouth, eyes, teeth; not the lashes and films of fluid, which render engines blend
IDENTITY = 100

# First vertex of each piece, and the part that it is; "background" is labelled by looking at it.
PIECES = {
    "face": (0, "background"), "head and neck": (9409, "background"), "mouth socket": (11248, "mouth_inside"),
    "left eye socket": (13294, "head"), "right eye socket": (13678, "head"), "gums and tongue": (14062, "mouth_inside"),
    "teeth": (17039, "mouth_inside"), "left eyeball": (21451, "left_eye"), "right eyeball": (23021, "right_eye"),
}  # fmt: skip

_SIDED = (
    "browDown", "browInnerUp", "browOuterUp", "cheekPuff", "cheekSquint", "eyeBlink", "eyeLookDown", "eyeLookIn",
    "eyeLookOut", "eyeLookUp", "eyeSquint", "eyeWide", "mouthDimple", "mouthFrown", "mouthLowerDown", "mouthPress",
    "mouthSmile", "mouthStretch", "mouthUpperUp", "noseSneer",
)  # fmt: skip
_WHOLE = (
    "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose", "mouthFunnel", "mouthLeft", "mouthPucker",
    "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
)  # fmt: skip
EXPRESSIONS = tuple(sorted((*(f"{name}_{side}" for name in _SIDED for side in "LR"), *_WHOLE)))

# Each material has a picture of its own; in one atlas the face gets nine sixteenths and each other one sixteenth.
_CELLS = {
    "M_Face": (0.0, 0.25, 0.75), "M_BackHead": (0.75, 0.75, 0.25), "M_GumsTongue": (0.75, 0.5, 0.25),
    "M_Teeth": (0.75, 0.25, 0.25), "M_ScleraLeft": (0.75, 0.0, 0.25), "M_ScleraRight": (0.5, 0.0, 0.25),
    "M_IrisLeft": (0.25, 0.0, 0.25), "M_IrisRight": (0.0, 0.0, 0.25),
}  # fmt: skip
_CELL_MARGIN = 0.004


@dataclass(frozen=True)
class _Parts:
    """What both forms of the publication hold, still in its unit. `material`: (Q,) names; -1 ends a triangle's row."""

    verts: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    expression_names: tuple[str, ...]
    quads: np.ndarray
    uv: np.ndarray
    uv_quads: np.ndarray
    material: np.ndarray
    mm_per_unit: float
    sha256: str


def read_ict(path: Path) -> SourceModel:
    """Read ICT-FaceKit Light.

    Args:
        path: the folder FaceXModel, a checkout of the publication that holds it, or an `.npz`.
    Raises:
        ModelError: not such a folder or file, a mesh is missing, or one is damaged.
    """
    path = Path(path)
    parts = _read_folder(path) if path.is_dir() else _read_npz(path)
    triangles, uv_triangles, owner = _triangles(parts.quads, parts.uv_quads, parts.verts)
    start = np.array([first for first, _ in PIECES.values()])
    label = np.array([LABEL[part] for _, part in PIECES.values()], np.uint8)
    uv, uv_faces = _atlas(parts.uv, uv_triangles, parts.material[owner])
    hint = label[np.searchsorted(start, np.arange(KEPT), side="right") - 1]
    return SourceModel(
        name="ICT-FaceKit Light",
        version="1.0",
        license="MIT",
        provenance={
            "source": "github.com/ICT-VGL/ICT-FaceKit, FaceXModel",
            "paper": "Li et al. 2020, Learning Formation of Physically-Based Face Attributes (CVPR)",
            "copyright": "Copyright (c) 2020 USC Institute for Creative Technologies",
            "sha256": parts.sha256,
        },
        verts=parts.verts * parts.mm_per_unit,
        faces=triangles,
        identity_basis=parts.identity * np.float32(parts.mm_per_unit),
        expression_basis=parts.expression * np.float32(parts.mm_per_unit),
        expression_names=tuple(arkit_name(name) for name in parts.expression_names),
        activation=True,
        uv=uv,
        uv_faces=uv_faces,
        eyeball=eyeballs(hint),
        label_hint=hint,
    )


def arkit_name(name: str) -> str:
    """browDown_L -> browDownLeft; names without a side stay."""
    return re.sub("_([LR])$", lambda side: {"L": "Left", "R": "Right"}[side[1]], name)


def _read_npz(path: Path) -> _Parts:
    names = ("verts", "identity", "expression", "expression_names", "quads", "quads_uv", "uv", "faces",
             "face_material", "materials", "mm_per_unit")  # fmt: skip
    with reading(path, "ICT-FaceKit (an .npz of plain arrays)"):
        arrays = read_npz(path, names)
        digest = sha256(path.read_bytes())
    verts, quads = arrays["verts"], arrays["quads"]
    counts = {"verts": verts.shape[0], "identity": arrays["identity"].shape[1:2], "faces": len(arrays["faces"])}
    if verts.shape != (KEPT, 3) or arrays["identity"].shape[1:] != verts.shape:
        raise ModelError(f"{path}: not ICT-FaceKit Light, which has {KEPT} vertices here ({counts})")
    # the material is stored per triangle; that of a quad is that of a triangle with its first three vertices
    known = {tuple(sorted(face)): m for face, m in zip(arrays["faces"].tolist(), arrays["face_material"], strict=True)}
    material = [_of_quad(row, known) for row in quads.tolist()]
    return _Parts(
        verts.astype(np.float32), arrays["identity"].astype(np.float32), arrays["expression"].astype(np.float32),
        tuple(str(name) for name in arrays["expression_names"]), quads.astype(np.int64), arrays["uv"],
        arrays["quads_uv"].astype(np.int64), arrays["materials"][np.array(material)], float(arrays["mm_per_unit"]),
        digest,
    )  # fmt: skip


def _of_quad(row: list[int], known: dict[tuple, int]) -> int:
    a, b, c, d = row
    for corners in ((a, b, c), (a, c, d), (a, b, d), (b, c, d)):
        found = known.get(tuple(sorted(corners)))
        if found is not None:
            return int(found)
    return 0


def _read_folder(path: Path) -> _Parts:
    folder = path / "FaceXModel" if (path / "FaceXModel").is_dir() else path
    neutral = folder / "generic_neutral_mesh.obj"
    files = [folder / f"identity{k:03d}.obj" for k in range(IDENTITY)]
    files += [folder / f"{name}.obj" for name in EXPRESSIONS]
    missing = [file.name for file in (neutral, *files) if not file.is_file()]
    if missing:
        some = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise ModelError(f"{folder}: not the FaceXModel folder of ICT-FaceKit; lacks {some}")
    digest = hashlib.sha256()
    mesh = read_obj_polygons(neutral)
    verts = _checked(neutral, mesh.verts, mesh.data, digest)
    if not np.isin(mesh.size, (3, 4)).all():
        raise ModelError(f"{neutral}: polygons of {mesh.size.min()} to {mesh.size.max()} corners; expected 3 or 4")
    quads, uv_quads = _quads(mesh, mesh.corner), _quads(mesh, mesh.uv_corner)
    material = np.array([names.get("usemtl", "") for names in mesh.parts])[mesh.part]
    keep = (quads < KEPT).all(1)
    moved = [_checked(file, *read_obj_verts(file), digest)[:KEPT] for file in files]
    deltas = (np.stack(moved) - verts[:KEPT]).astype(np.float32)
    return _Parts(
        verts[:KEPT].astype(np.float32), deltas[:IDENTITY], deltas[IDENTITY:], EXPRESSIONS, quads[keep], mesh.uv,
        uv_quads[keep], material[keep], MM_PER_UNIT, digest.hexdigest(),
    )  # fmt: skip


def _checked(path: Path, verts: np.ndarray, data: bytes, digest: hashlib._Hash) -> np.ndarray:
    digest.update(path.name.encode() + b"\0" + data)
    if len(verts) != VERTICES:
        raise ModelError(f"{path}: {len(verts)} vertices; ICT-FaceKit Light has {VERTICES}")
    return verts


def _quads(mesh: ObjPolygons, index: np.ndarray) -> np.ndarray:
    """(P, 4) the corners of triangles and quads, -1 for the fourth of a triangle."""
    out = np.full((len(mesh.size), 4), -1)
    out[np.arange(4) < mesh.size[:, None]] = index
    return out


def _triangles(quads: np.ndarray, uv_quads: np.ndarray, verts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(F, 3) triangles, (F, 3) texture triangles, (F,) row each came from; quads are cut along the shorter diagonal."""
    whole = quads[:, 3] >= 0
    cut, corner = triangulate(quads[whole], verts)
    owner = np.repeat(np.flatnonzero(whole), 2)
    cut_uv = uv_quads[owner[:, None], corner]
    single = np.flatnonzero(~whole)
    order = np.argsort(np.concatenate([owner, single]), kind="stable")
    faces = np.concatenate([cut, quads[single, :3]])[order]
    uv_faces = np.concatenate([cut_uv, uv_quads[single, :3]])[order]
    return faces, uv_faces, np.concatenate([owner, single])[order]


def _atlas(uv: np.ndarray, uv_faces: np.ndarray, material: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each material in its own cell of one picture: (T, 2) texture coordinates and (F, 3) indices."""
    names = list(_CELLS)
    unknown = sorted(set(material.tolist()) - set(names))
    if unknown:
        raise ModelError(f"material {unknown[0]!r} is not known; expected {', '.join(names)}")
    number = np.array([names.index(name) for name in material])
    # a texture coordinate that two materials share becomes two
    pair, corner = np.unique(uv_faces + len(uv) * number[:, None], return_inverse=True)
    tile = np.zeros((len(pair), 2))
    tile[corner.reshape(-1)] = np.repeat(np.floor(uv[uv_faces].mean(1)), 3, 0)
    left, bottom, side = np.array(list(_CELLS.values()))[pair // len(uv)].T
    inside = np.clip(uv[pair % len(uv)] - tile, 0, 1) * (side - 2 * _CELL_MARGIN)[:, None]
    return np.stack([left, bottom], 1) + _CELL_MARGIN + inside, corner.reshape(-1, 3)
