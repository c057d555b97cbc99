"""Meshes and points from files that others wrote: OBJ, PLY and NPZ; JSON, NPY, TXT, CSV, PTS and PP for points."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import InputError

MESHES = (".obj", ".ply", ".npz")

_PLY_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip


@dataclass(frozen=True)
class Mesh:
    """verts: (V, 3) float64; faces: (F, 3) int64; arrays: what else an NPZ holds."""

    verts: np.ndarray
    faces: np.ndarray
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def read_mesh(path: Path) -> Mesh:
    """Read a mesh; polygons become fans of triangles.

    Raises:
        InputError: missing, damaged, of another format, without triangles, or with indices that do not fit.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in MESHES:
        raise InputError(f"{path}: a mesh of format {suffix or '(none)'!r}; accepted: {', '.join(MESHES)}")
    try:
        if suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                # a file of the wild may hold pickled objects beside what is needed; those are left alone
                arrays = {name: file[name] for name in file.files if _plain(file, name)}
            if "verts" not in arrays or "faces" not in arrays:
                raise InputError(f"{path}: lacks the arrays verts and faces; it has {', '.join(arrays) or 'none'}")
            mesh = Mesh(arrays["verts"].astype(np.float64), arrays["faces"].astype(np.int64), arrays)
        else:
            data = path.read_bytes()
            mesh = Mesh(*(_read_obj(data) if suffix == ".obj" else _read_ply(data)))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except InputError:
        raise
    except Exception as error:  # whatever a damaged file leads to
        raise InputError(f"{path}: not a readable {suffix[1:].upper()} mesh ({error})") from None
    if mesh.verts.ndim != 2 or mesh.verts.shape[1] != 3 or mesh.faces.ndim != 2 or mesh.faces.shape[1:] != (3,):
        raise InputError(f"{path}: verts {mesh.verts.shape}, faces {mesh.faces.shape}; expected (V, 3) and (F, 3)")
    if len(mesh.faces) == 0:
        raise InputError(f"{path}: holds no triangle")
    if not np.isfinite(mesh.verts).all():
        raise InputError(f"{path}: has vertices that are not finite")
    if mesh.faces.min() < 0 or mesh.faces.max() >= len(mesh.verts):
        raise InputError(f"{path}: has triangles of vertices outside 1 to {len(mesh.verts)}")
    return mesh


def _plain(file, name: str) -> bool:
    try:
        return file[name] is not None
    except ValueError:
        return False


def _read_obj(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    verts, faces = [], []
    for line in data.decode("utf-8", "replace").splitlines():
        if line.startswith("v "):
            verts.append([float(x) for x in line.split()[1:4]])
        elif line.startswith("f "):
            corner = [int(word.split("/")[0]) for word in line.split()[1:]]
            corner = [k - 1 if k > 0 else len(verts) + k for k in corner]  # negative ones count from the end
            faces += [[corner[0], corner[k], corner[k + 1]] for k in range(1, len(corner) - 1)]
    return np.array(verts, np.float64).reshape(-1, 3), np.array(faces, np.int64).reshape(-1, 3)


def _read_ply(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    end = data.index(b"end_header")
    body = data.index(b"\n", end) + 1
    kind, elements = "", []
    for line in data[:end].decode("ascii", "replace").splitlines():
        word = line.split()
        if word[:1] == ["format"]:
            kind = word[1]
        elif word[:1] == ["element"]:
            elements.append((word[1], int(word[2]), []))
        elif word[:1] == ["property"]:
            elements[-1][2].append(word[1:])
    if kind == "ascii":
        return _ply_ascii(data[body:].decode("ascii").split(), elements)
    if kind not in ("binary_little_endian", "binary_big_endian"):
        raise ValueError(f"PLY format {kind!r}")
    return _ply_binary(data, body, elements, "<" if kind == "binary_little_endian" else ">")


def _ply_ascii(words: list[str], elements: list) -> tuple[np.ndarray, np.ndarray]:
    verts, faces, at = [], [], 0
    for name, count, properties in elements:
        for _ in range(count):
            row = {}
            for prop in properties:
                if prop[0] == "list":
                    length = int(words[at])
                    row[prop[-1]] = [int(float(w)) for w in words[at + 1 : at + 1 + length]]
                    at += 1 + length
                else:
                    row[prop[-1]] = words[at]
                    at += 1
            if name == "vertex":
                verts.append([float(row[axis]) for axis in "xyz"])
            elif name == "face":
                corner = next(value for value in row.values() if isinstance(value, list))
                faces += [[corner[0], corner[k], corner[k + 1]] for k in range(1, len(corner) - 1)]
    return np.array(verts, np.float64).reshape(-1, 3), np.array(faces, np.int64).reshape(-1, 3)


def _ply_binary(data: bytes, at: int, elements: list, order: str) -> tuple[np.ndarray, np.ndarray]:
    verts, faces = np.zeros((0, 3)), []
    for name, count, properties in elements:
        if all(prop[0] != "list" for prop in properties):
            row = np.dtype([(prop[-1], order + _PLY_TYPES[prop[0]]) for prop in properties])
            table = np.frombuffer(data, row, count, at)
            at += count * row.itemsize
            if name == "vertex":
                verts = np.stack([table[axis].astype(np.float64) for axis in "xyz"], 1)
            continue
        # a mesh of triangles alone, as nearly all are, is one table
        row = np.dtype(
            [
                item
                for k, prop in enumerate(properties)
                for item in (
                    [(f"n{k}", order + _PLY_TYPES[prop[1]]), (f"p{k}", order + _PLY_TYPES[prop[2]], 3)]
                    if prop[0] == "list"
                    else [(f"p{k}", order + _PLY_TYPES[prop[0]])]
                )
            ]
        )
        listed = [k for k, prop in enumerate(properties) if prop[0] == "list"]
        if at + count * row.itemsize <= len(data):
            table = np.frombuffer(data, row, count, at)
            if all((table[f"n{k}"] == 3).all() for k in listed):
                at += count * row.itemsize
                if name == "face":
                    faces = table[f"p{listed[0]}"].astype(np.int64)
                continue
        for _ in range(count):
            lists = []
            for prop in properties:
                if prop[0] == "list":
                    length = int(np.frombuffer(data, order + _PLY_TYPES[prop[1]], 1, at)[0])
                    at += np.dtype(_PLY_TYPES[prop[1]]).itemsize
                    lists.append(np.frombuffer(data, order + _PLY_TYPES[prop[2]], length, at).tolist())
                    at += length * np.dtype(_PLY_TYPES[prop[2]]).itemsize
                else:
                    at += np.dtype(_PLY_TYPES[prop[0]]).itemsize
            if name == "face":
                corner = lists[0]
                faces += [[corner[0], corner[k], corner[k + 1]] for k in range(1, len(corner) - 1)]
    return verts, np.array(faces, np.int64).reshape(-1, 3)
