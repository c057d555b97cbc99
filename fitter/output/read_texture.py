"""Colours of a mesh file, read."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files.read_picture import decode, open_picture
from .paths import one_line
from .viewer import page_glb


def painted(mesh: Path, vertices: int) -> np.ndarray | None:
    """What a mesh that facefit wrote is painted with: its texture (H, W, 3), its vertices' colours (V, 3) for PLY, or
    None when the files are gone.

    Raises:
        InputError: they are damaged.
    """
    suffix, path = mesh.suffix.lower(), painted_file(mesh)
    if not path.is_file():
        return None
    try:
        data = path.read_bytes()
        if suffix == ".ply":
            return _ply_colours(data, vertices)
        if suffix == ".html":
            data = page_glb(data, str(path))
        if suffix in (".glb", ".html"):
            data = _glb_image(data)
        if suffix == ".usdz":
            data = _usdz_image(data)
        with open_picture(data, name=path, what="texture", error=InputError) as picture:
            decode(picture)
            return np.array(picture.convert("RGB"))
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except Exception as error:  # whatever a damaged file leads to
        raise InputError(f"{path}: not a mesh or texture that facefit wrote ({error})") from None


def painted_file(mesh: Path) -> Path:
    """The file that holds a mesh's colours."""
    return mesh.with_name(f"{one_line(mesh.stem)}_texture.png") if mesh.suffix.lower() == ".obj" else mesh


def _ply_colours(data: bytes, vertices: int) -> np.ndarray:
    start = data.index(b"end_header\n") + len(b"end_header\n")
    row = np.dtype([("xyz", "<f4", 3), ("normal", "<f4", 3), ("rgb", "u1", 3)])  # as facefit.files.mesh_bytes writes it
    return np.frombuffer(data, row, vertices, start)["rgb"].copy()


def _usdz_image(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        (name,) = [each for each in package.namelist() if Path(each).name.startswith("texture.")]
        entry = package.getinfo(name)
        if entry.compress_type != zipfile.ZIP_STORED:  # as the format asks; so it is no larger than the file
            raise ValueError("its picture is compressed")
        return package.read(entry)


def _glb_image(data: bytes) -> bytes:
    (length,) = struct.unpack_from("<I", data, 12)
    document = json.loads(data[20 : 20 + length])
    view = document["bufferViews"][document["images"][0]["bufferView"]]
    start = 20 + length + 8 + view["byteOffset"]
    return data[start : start + view["byteLength"]]
