"""Colours of a mesh file, read."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files.read_picture import decode, open_picture
from .paths import detail_paths, one_line
from .viewer import page_glb


def painted(mesh: Path, vertices: int) -> np.ndarray | None:
    """What a mesh that facefit wrote is painted with: its texture (H, W, 3), its vertices' colours (V, 3) for PLY, or
    None when the files are gone.

    Raises:
        InputError: they are damaged.
    """
    path = painted_file(mesh)
    if mesh.suffix.lower() != ".ply":
        return _picture(path, 0)
    return _read(path, lambda data: _ply_colours(data, vertices))


def normal_map(mesh: Path) -> np.ndarray | None:
    """(H, W, 3) uint8: the tangent-space normal map of a mesh that facefit wrote; None where it has none.

    Raises:
        InputError: it is damaged.
    """
    return _picture(detail_paths(mesh)[0] if mesh.suffix.lower() == ".obj" else mesh, 1)


def painted_file(mesh: Path) -> Path:
    """The file that holds a mesh's colours."""
    return mesh.with_name(f"{one_line(mesh.stem)}_texture.png") if mesh.suffix.lower() == ".obj" else mesh


_IMAGES = "texture", "normals"  # in the order in which a GLB has them


def _picture(path: Path, number: int) -> np.ndarray | None:
    """(H, W, 3) uint8: one of _IMAGES in a mesh file, or the picture that the file is; None where there is none."""

    def found(data: bytes) -> np.ndarray | None:
        suffix = path.suffix.lower()
        if suffix == ".html":
            data = page_glb(data, str(path))
        if suffix in (".glb", ".html"):
            data = _glb_image(data, number)
        if suffix == ".usdz":
            data = _usdz_image(data, number)
        if not data:
            return None
        with open_picture(data, name=path, what=_IMAGES[number], error=InputError) as picture:
            decode(picture)
            return np.array(picture.convert("RGB"))

    return _read(path, found)


def _read(path: Path, find: Callable[[bytes], np.ndarray | None]) -> np.ndarray | None:
    if not path.is_file():
        return None
    try:
        return find(path.read_bytes())
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except Exception as error:  # whatever a damaged file leads to
        raise InputError(f"{path}: not a mesh or texture that facefit wrote ({error})") from None


def _ply_colours(data: bytes, vertices: int) -> np.ndarray:
    start = data.index(b"end_header\n") + len(b"end_header\n")
    row = np.dtype([("xyz", "<f4", 3), ("normal", "<f4", 3), ("rgb", "u1", 3)])  # as facefit.files.mesh_bytes writes it
    return np.frombuffer(data, row, vertices, start)["rgb"].copy()


def _usdz_image(data: bytes, number: int) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        names = [each for each in package.namelist() if Path(each).stem == _IMAGES[number]]
        if number and not names:
            return b""
        (name,) = names
        entry = package.getinfo(name)
        if entry.compress_type != zipfile.ZIP_STORED:  # as the format asks; so it is no larger than the file
            raise ValueError("its picture is compressed")
        return package.read(entry)


def _glb_image(data: bytes, number: int) -> bytes:
    (length,) = struct.unpack_from("<I", data, 12)
    document = json.loads(data[20 : 20 + length])
    if number and not (document["images"][number:] and document["images"][number]["name"] == _IMAGES[number]):
        return b""
    view = document["bufferViews"][document["images"][number]["bufferView"]]
    start = 20 + length + 8 + view["byteOffset"]
    return data[start : start + view["byteLength"]]
