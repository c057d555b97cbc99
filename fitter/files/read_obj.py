"""Wavefront OBJ as modelling programs write it: vertices with or without colours, polygons, texture coordinates, names
of groups and materials."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ModelError
from .untrusted import read_bytes, reading

KIND = "a mesh (.obj)"


@dataclass(frozen=True)
class ObjMesh:
    """verts (V, 3); colors (V, 3) in [0, 1] or None; faces (F, 3); uv (T, 2) and uv_faces (F, 3), or None; part (F,)
    index into part_names, the `usemtl`, `g` and `o` names in the order they occur; data: the file's bytes."""

    verts: np.ndarray
    colors: np.ndarray | None
    faces: np.ndarray
    uv: np.ndarray | None
    uv_faces: np.ndarray | None
    part: np.ndarray
    part_names: tuple[tuple[str, ...], ...]
    data: bytes


def read_obj(path: Path) -> ObjMesh:
    """Read a mesh; polygons become fans of triangles.

    Raises:
        ModelError: missing, not an OBJ, or with indices that do not fit.
    """
    path = Path(path)
    with reading(path, KIND):
        data = read_bytes(path)
        lines = _lines(data)
        verts, colors = _verts(lines)
        uv = np.array([line.split()[1:3] for line in lines if line.startswith("vt ")], np.float64).reshape(-1, 2)
        faces, uv_faces, part, names = _faces(lines)
        faces = _resolved(faces, len(verts), "v")
        mapped = len(uv) and len(uv_faces) and (uv_faces != 0).all()
        return ObjMesh(
            verts, colors, faces, uv if mapped else None, _resolved(uv_faces, len(uv), "vt") if mapped else None, part,
            names, data,
        )  # fmt: skip


def read_obj_verts(path: Path) -> tuple[np.ndarray, bytes]:
    """(V, 3) vertices of a mesh and the file's bytes."""
    path = Path(path)
    with reading(path, KIND):
        data = read_bytes(path)
        return _verts(_lines(data))[0], data


def _lines(data: bytes) -> list[str]:
    if b"\0" in data[:4096]:
        raise ModelError("a binary file; expected text")
    return data.decode("utf-8", "replace").replace("\\\n", " ").splitlines()


def _verts(lines: list[str]) -> tuple[np.ndarray, np.ndarray | None]:
    rows = [line.split()[1:] for line in lines if line.startswith("v ")]
    if not rows:
        raise ModelError("holds no vertex")
    width = len(rows[0])
    values = np.array(rows, np.float64)
    if values.ndim != 2 or width < 3:
        raise ModelError("vertices of different lengths; expected x y z, or x y z r g b")
    return values[:, :3], values[:, 3:6] if width >= 6 else None


def _faces(lines: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[tuple[str, ...], ...]]:
    """(F, 3) vertex and texture indices as written (from 1, or negative; 0: none), (F,) part, names of the parts."""
    faces, uv_faces, part = [], [], []
    current: dict[str, str] = {}
    names: dict[tuple[str, ...], int] = {}
    verts = texture = 0
    for line in lines:
        word = line.split(None, 1)
        if not word:
            continue
        if word[0] == "v":
            verts += 1
        elif word[0] == "vt":
            texture += 1
        elif word[0] in ("usemtl", "g", "o"):
            current[word[0]] = word[1].strip() if len(word) > 1 else ""
        elif word[0] == "f" and len(word) > 1:
            corners = [(corner.split("/") + ["0"])[:2] for corner in word[1].split()]
            number = names.setdefault(tuple(current.values()), len(names))
            at = [_absolute(int(corner[0]), verts) for corner in corners]
            uv_at = [_absolute(int(corner[1] or 0), texture) for corner in corners]
            for k in range(1, len(corners) - 1):
                faces.append((at[0], at[k], at[k + 1]))
                uv_faces.append((uv_at[0], uv_at[k], uv_at[k + 1]))
                part.append(number)
    if not faces:
        raise ModelError("holds no polygon")
    return np.array(faces), np.array(uv_faces), np.array(part), tuple(names)


def _absolute(index: int, so_far: int) -> int:
    return index if index >= 0 else so_far + 1 + index  # negative ones count back from the line they are on


def _resolved(faces: np.ndarray, count: int, name: str) -> np.ndarray:
    if faces.min() < 1 or faces.max() > count:
        raise ModelError(f"a polygon uses {name} {faces.min()} to {faces.max()}; the file has 1 to {count}")
    return faces - 1
