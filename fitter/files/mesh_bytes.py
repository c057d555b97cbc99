"""OBJ, MTL and PLY as bytes. Nothing here touches a file or knows about faces of people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..geometry.triangles import vertex_normals

_VERTEX = "v %.5f %.5f %.5f\n"  # mm
_AS_STORED = ("utf-8", "surrogateescape")  # names of files: the bytes that the file system has


def _lines(pattern: str, values: np.ndarray) -> str:
    """One line per row. A single % over the whole array is ten times faster than a loop over lines."""
    return (pattern * len(values)) % tuple(values.reshape(-1).tolist())


def obj_bytes(
    verts: np.ndarray, faces: np.ndarray, uv: np.ndarray, uv_faces: np.ndarray, *, name: str,
    groups: Sequence[tuple[str, np.ndarray]], library: str, comment: str = "", decimals: int = 5,
) -> bytes:  # fmt: skip
    """A Wavefront OBJ: one object, a group and a material for each piece, `f v/vt/vn`, vertex order as given.

    Args:
        verts: (V, 3); faces: (F, 3) indices into them.
        uv: (T, 2) in [0, 1], v up, clipped to that; uv_faces: (F, 3) indices into them.
        name: of the object.
        groups: name of each piece, which is that of its material in the MTL file `library` too, and its triangles, (N,)
            indices or (F,) bool; `library` lies in the same folder.
        comment: lines for the top of the file. decimals: of the vertices; 5 are enough for mm.
    """
    normals = vertex_normals(verts, faces)
    corner = np.stack([faces, uv_faces, faces], -1) + 1
    head = "".join(f"# {line}\n" for line in comment.splitlines())
    pieces = [
        f"g {piece}\nusemtl {piece}\ns 1\n" + _lines("f %d/%d/%d %d/%d/%d %d/%d/%d\n", corner[chosen])
        for piece, chosen in groups
    ]
    return "".join(
        [
            head,
            f"mtllib {library}\no {name}\n",
            _lines(" ".join(["v", *[f"%.{decimals}f"] * 3]) + "\n", verts),
            _lines("vt %.6f %.6f\n", np.clip(uv, 0, 1)),
            _lines("vn %.4f %.4f %.4f\n", normals),
            *pieces,
        ]
    ).encode(*_AS_STORED)


def mtl_bytes(materials: Sequence[str], texture: str, normals: str | None = None) -> bytes:
    """The materials, all with the texture as it is, no gloss (the photo's light is already in it).

    Args:
        texture: file of it. normals: file of a tangent-space normal map, which programs look for under two names.
    """
    more = "" if normals is None else f"norm {normals}\nmap_Bump -bm 1 {normals}\n"
    return "\n".join(
        f"newmtl {material}\nKa 1.000 1.000 1.000\nKd 1.000 1.000 1.000\nKs 0.000 0.000 0.000\nd 1.000\nillum 1\n"
        f"map_Kd {texture}\n{more}"
        for material in materials
    ).encode(*_AS_STORED)


def ply_bytes(verts: np.ndarray, faces: np.ndarray, colours: np.ndarray, comment: str = "") -> bytes:
    """A binary little-endian PLY with normals and vertex colours.

    Args:
        verts: (V, 3) mm; faces: (F, 3); colours: (V, 3) uint8 RGB.
        comment: lines for the top of the file; what is not ASCII becomes "?".
    """
    vertex = np.zeros(
        len(verts), [("xyz", "<f4", 3), ("normal", "<f4", 3), ("rgb", "u1", 3)]
    )  # packed: 27 bytes a vertex, as the header says
    vertex["xyz"], vertex["normal"], vertex["rgb"] = verts, vertex_normals(verts, faces), colours
    face = np.zeros(len(faces), [("count", "u1"), ("index", "<i4", 3)])
    face["count"], face["index"] = 3, faces
    properties = [f"property float {name}" for name in ("x", "y", "z", "nx", "ny", "nz")]
    properties += [f"property uchar {name}" for name in ("red", "green", "blue")]
    head = [
        "ply", "format binary_little_endian 1.0", *(f"comment {line}" for line in comment.splitlines()),
        f"element vertex {len(verts)}", *properties, f"element face {len(faces)}",
        "property list uchar int vertex_indices", "end_header", "",
    ]  # fmt: skip
    return "\n".join(head).encode("ascii", "replace") + vertex.tobytes() + face.tobytes()


def plain_obj(verts: np.ndarray, faces: np.ndarray) -> bytes:
    """An OBJ of `v` and `f` lines alone, what every reader understands: (V, 3) mm and (F, 3) indices."""
    return (_lines(_VERTEX, np.asarray(verts, float)) + _lines("f %d %d %d\n", np.asarray(faces) + 1)).encode()
