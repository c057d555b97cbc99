"""Meshes from files that others wrote: OBJ, PLY, STL, OFF, GLB and NPZ."""

from __future__ import annotations

import io
import itertools
import json
import struct
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import InputError
from .npz import open_npz
from .read_obj import parse_obj, triangles
from .untrusted import one_line

MESHES = (".obj", ".ply", ".stl", ".off", ".glb", ".npz")
LARGEST_BYTES = 1 << 28  # of a file; a scan of ten million triangles has some 200 MB
LARGEST_ARRAYS = 1 << 29  # bytes of the arrays of an .npz
MM_PER_METRE = 1000.0  # glTF's unit is the metre
_GLB_PARTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_GLB_BYTES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}


@dataclass(frozen=True)
class Mesh:
    """verts: (V, 3) float64; faces: (F, 3) int64; arrays: what else an NPZ holds."""

    verts: np.ndarray
    faces: np.ndarray
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def read_mesh(path: Path) -> Mesh:
    """Read a mesh; polygons become triangles. A GLB is in metres, which become mm; other formats have no unit.

    Raises:
        InputError: missing, damaged, of another format, without triangles, or with indices that do not fit.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in MESHES:
        raise InputError(f"{path}: a mesh of format {suffix or '(none)'!r}; accepted: {', '.join(MESHES)}")
    try:
        if suffix == ".npz":
            with open_npz(path) as file:
                # a file of the wild may hold pickled objects beside what is needed; those are left alone
                plain = [name for name, header in file.headers.items() if not header.dtype.hasobject]
                if file.bytes(plain) > LARGEST_ARRAYS:
                    raise InputError(f"{path}: unpacks to more than {LARGEST_ARRAYS >> 20} MiB; no mesh of a face does")
                arrays = {name: file.read(name) for name in plain}
            if "verts" not in arrays or "faces" not in arrays:
                raise InputError(f"{path}: lacks the arrays verts and faces; it has {', '.join(arrays) or 'none'}")
            mesh = Mesh(arrays["verts"].astype(np.float64), arrays["faces"].astype(np.int64), arrays)
        else:
            if path.stat().st_size > LARGEST_BYTES:
                raise InputError(f"{path}: larger than {LARGEST_BYTES >> 20} MiB; no mesh of a face is")
            data = path.read_bytes()
            mesh = Mesh(*(_read_obj(data) if suffix == ".obj" else _read_foreign(data, suffix)))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except InputError:
        raise
    except Exception as error:  # whatever a damaged file leads to
        raise InputError(f"{path}: not a readable {suffix[1:].upper()} mesh ({one_line(error)})") from None
    if mesh.verts.ndim != 2 or mesh.verts.shape[1] != 3 or mesh.faces.ndim != 2 or mesh.faces.shape[1:] != (3,):
        raise InputError(f"{path}: verts {mesh.verts.shape}, faces {mesh.faces.shape}; expected (V, 3) and (F, 3)")
    if len(mesh.faces) == 0:
        raise InputError(f"{path}: holds no triangle")
    if not np.isfinite(mesh.verts).all():
        raise InputError(f"{path}: has vertices that are not finite")
    if mesh.faces.min() < 0 or mesh.faces.max() >= len(mesh.verts):
        raise InputError(f"{path}: has triangles of vertices outside 1 to {len(mesh.verts)}")
    return mesh


def _read_obj(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    mesh = parse_obj(data)
    return mesh.verts, triangles(mesh)


def _read_foreign(data: bytes, suffix: str) -> tuple[np.ndarray, np.ndarray]:
    """PLY, STL, OFF or GLB by trimesh, which is given bytes and nothing else: no path, and no way to other files."""
    import trimesh

    if suffix == ".ply":
        _check_ply(data)
    if suffix == ".glb":
        _check_glb(data)
    options = {".ply": {"fix_texture": False, "skip_materials": True}, ".glb": {"skip_materials": True}}
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # how NumPy tells that text is no number
        mesh = trimesh.load_mesh(io.BytesIO(data), suffix[1:], process=False, **options.get(suffix, {}))
    if suffix == ".off" and len(mesh.faces) < _promised(data):
        raise ValueError(f"cut off: fewer triangles than the {_promised(data)} faces it promises")
    if suffix == ".stl":
        mesh.merge_vertices()  # each triangle has three of its own there
    scale = MM_PER_METRE if suffix == ".glb" else 1
    return np.asarray(mesh.vertices, np.float64) * scale, np.asarray(mesh.faces, np.int64)


def _check_ply(data: bytes) -> None:
    """Raises ValueError for a header that promises more than the file can hold."""
    head = data[: data.index(b"end_header")].decode("ascii", "replace")
    count = sum(int(line.split()[2]) for line in head.splitlines() if line.startswith("element "))
    if count > len(data):
        raise ValueError(f"{count} elements in {len(data)} bytes")


def _promised(data: bytes) -> int:
    """The number of faces in the header of an OFF; trimesh takes what is there."""
    words = (line.partition(b"#")[0].split() for line in data.splitlines())
    return int(list(itertools.islice(itertools.chain.from_iterable(words), 3))[2])


def _check_glb(data: bytes) -> None:
    """Raises ValueError for what would unpack to more than LARGEST_ARRAYS, lies in other files, or is not the surface
    that is shown."""
    (length,) = struct.unpack_from("<I", data, 12)
    document = json.loads(data[20 : 20 + length])
    if any("uri" in buffer for buffer in document.get("buffers", ())):
        raise ValueError("its numbers lie in other files")
    accessors = document.get("accessors", ())
    size = [_GLB_PARTS[a["type"]] * _GLB_BYTES[a["componentType"]] * int(a["count"]) for a in accessors]
    meshes = document.get("meshes", ())
    used = [[k for p in mesh["primitives"] for k in (*p["attributes"].values(), p.get("indices"))] for mesh in meshes]
    weight = [sum(size[k] for k in indices if k is not None) for indices in used]
    nodes = document.get("nodes", ())
    if sum(size) + sum(weight[node["mesh"]] for node in nodes if "mesh" in node) > LARGEST_ARRAYS:
        raise ValueError(f"unpacks to more than {LARGEST_ARRAYS >> 20} MiB")
    if any(any(owner.get("weights", ())) for owner in (*meshes, *nodes)):
        raise ValueError("its shape is moved by morph targets; give the mesh as OBJ or PLY")
