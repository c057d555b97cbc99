"""Wavefront OBJ as modelling programs write it: vertices with or without colours, polygons, texture coordinates, names
of groups and materials. The order of vertices and polygons is the file's, which is what makes meshes of one model
comparable: so this reader is our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ModelError
from .untrusted import read_bytes, reading

KIND = "a mesh (.obj)"


@dataclass(frozen=True)
class ObjPolygons:
    """The content of an OBJ.

    Attributes:
        verts: (V, 3). colors: (V, 3) in [0, 1], or None.
        uv: (T, 2).
        size: (P,) corners of each polygon.
        corner, uv_corner: (N,) the polygons' corners one after the other: indices into verts, and into uv, which are
            as the file has them (-1: it names none).
        part: (P,) index into parts.
        parts: the names that hold for some polygons, by the words `usemtl`, `g` and `o` in the order they occur.
        data: the file's bytes.
    """

    verts: np.ndarray
    colors: np.ndarray | None
    uv: np.ndarray
    size: np.ndarray
    corner: np.ndarray
    uv_corner: np.ndarray
    part: np.ndarray
    parts: tuple[dict[str, str], ...]
    data: bytes


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
        found = parse_obj(read_bytes(path))
        mapped = len(found.uv) > 0 and (found.uv_corner != -1).all()
        if mapped:
            _check(found.uv_corner + 1, len(found.uv), "vt")
        fan, owner = _fans(found.size)
        return ObjMesh(
            found.verts, found.colors, found.corner[fan], found.uv if mapped else None,
            found.uv_corner[fan] if mapped else None, found.part[owner],
            tuple(tuple(names.values()) for names in found.parts), found.data,
        )  # fmt: skip


def read_obj_polygons(path: Path) -> ObjPolygons:
    """Read a mesh whose polygons are wanted as they are. Raises as `read_obj`."""
    path = Path(path)
    with reading(path, KIND):
        return parse_obj(read_bytes(path))


def read_obj_verts(path: Path) -> tuple[np.ndarray, bytes]:
    """(V, 3) vertices of a mesh and the file's bytes. Raises as `read_obj`."""
    path = Path(path)
    with reading(path, KIND):
        data = read_bytes(path)
        return _verts(_lines(data))[0], data


def parse_obj(data: bytes) -> ObjPolygons:
    """The polygons in the bytes of an OBJ.

    Raises:
        ModelError: no vertex, no polygon, or indices that do not fit.
        ValueError: words where numbers belong.
    """
    lines = _lines(data)
    verts, colors = _verts(lines)
    uv = np.array([line.split()[1:3] for line in lines if line.startswith("vt ")], np.float64).reshape(-1, 2)
    size: list[int] = []
    corner: list[int] = []
    uv_corner: list[int] = []
    part: list[int] = []
    parts: dict[tuple[tuple[str, str], ...], int] = {}
    names: dict[str, str] = {}
    so_far = texture_so_far = 0
    for line in lines:
        word = line.split(None, 1)
        if not word:
            continue
        if word[0] == "v":
            so_far += 1
        elif word[0] == "vt":
            texture_so_far += 1
        elif word[0] in ("usemtl", "g", "o"):
            names = {**names, word[0]: word[1].strip() if len(word) > 1 else ""}
        elif word[0] == "f" and len(word) > 1:
            indices = [(index.split("/") + ["0"])[:2] for index in word[1].split()]
            corner += [_absolute(int(vertex), so_far) for vertex, _ in indices]
            uv_corner += [_absolute(int(texture or 0), texture_so_far) for _, texture in indices]
            size.append(len(indices))
            part.append(parts.setdefault(tuple(names.items()), len(parts)))
    if not size:
        raise ModelError("holds no polygon")
    _check(np.array(corner), len(verts), "v")
    return ObjPolygons(
        verts, colors, uv, np.array(size), np.array(corner) - 1, np.array(uv_corner) - 1, np.array(part),
        tuple(map(dict, parts)), data,
    )  # fmt: skip


def triangles(mesh: ObjPolygons) -> np.ndarray:
    """(F, 3) the polygons as fans of triangles."""
    return mesh.corner[_fans(mesh.size)[0]]


def _fans(size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(P,) corners of each polygon -> (F, 3) triangles of places in the list of corners, (F,) the polygon of each."""
    count = np.maximum(size - 2, 0)
    owner = np.repeat(np.arange(len(size)), count)
    first = (np.cumsum(size) - size)[owner]
    step = np.arange(len(owner)) - (np.cumsum(count) - count)[owner]
    return np.stack([first, first + step + 1, first + step + 2], 1), owner


def _lines(data: bytes) -> list[str]:
    if b"\0" in data[:4096]:
        raise ModelError("a binary file; expected text")
    return data.decode("utf-8", "replace").replace("\\\n", " ").splitlines()


def _verts(lines: list[str]) -> tuple[np.ndarray, np.ndarray | None]:
    rows = [line.split()[1:] for line in lines if line.startswith("v ")]
    if not rows:
        raise ModelError("holds no vertex")
    width = min(map(len, rows))
    if width < 3:
        raise ModelError("vertices of fewer than three numbers; expected x y z, or x y z r g b")
    values = np.array([row[: 6 if width >= 6 else 3] for row in rows], np.float64)
    return values[:, :3], values[:, 3:6] if width >= 6 else None


def _absolute(index: int, so_far: int) -> int:
    return index if index >= 0 else so_far + 1 + index  # negative ones count back from the line they are on


def _check(index: np.ndarray, count: int, name: str) -> None:
    if index.min() < 1 or index.max() > count:
        raise ModelError(f"a polygon uses {name} {index.min()} to {index.max()}; the file has 1 to {count}")
