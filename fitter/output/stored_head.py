"""The page of any other head that facefit wrote as a GLB with a JSON beside it: a conversion, a person of many photos.

The GLB is shown as it is. Of the JSON is read what all of them have: `mesh`, `model`, `landmarks7`, and the photos with
their cameras, either `camera` and `photo` or a list `photos` of both.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ImageError, InputError
from ..files.schema import build, parse, read_text
from ..photo.photo import read_photo
from .document import reproject
from .result_format import LARGEST_FILE, CameraBlock, MeshBlock, ModelBlock, PhotoBlock, Vector
from .viewer import LARGEST_GLB, Page, Shot, page_glb
from .viewer_face import album, cropped_shot

KINDS = {"facefit-conversion": "converted", "facefit-person": "fitted to several photos"}
SHOWN = (".glb", ".html")

_GLB = (b"glTF", 2)
_HEAD = 4.4  # times the extent of the seven landmarks


@dataclass(frozen=True)
class PhotoParameters:
    """What a photo alone has."""

    expression: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class HeadPhoto:
    """A photo and its camera."""

    camera: CameraBlock
    photo: PhotoBlock
    name: str = ""
    parameters: PhotoParameters | None = None


@dataclass(frozen=True)
class HeadDocument:
    """The JSON, as far as it is read here."""

    format: str
    mesh: MeshBlock
    model: ModelBlock
    landmarks7: list[Vector]
    camera: CameraBlock | None = None
    photo: PhotoBlock | None = None
    photos: list[HeadPhoto] = field(default_factory=list)


@dataclass(frozen=True)
class StoredHead:
    """One of them: path of its JSON, and what is in it."""

    path: Path
    document: HeadDocument

    @property
    def mesh(self) -> Path:
        """Its mesh, beside the JSON."""
        return self.path.with_name(self.document.mesh.file)

    def photos(self) -> list[HeadPhoto]:
        """All of its photos."""
        read = self.document
        single = [HeadPhoto(read.camera, read.photo)] if read.camera is not None and read.photo is not None else []
        return [*single, *read.photos]


def find_head(path: Path) -> StoredHead | None:
    """The head that a JSON, or the mesh beside it, stands for; None for anything else.

    Raises:
        InputError: it is damaged, or its mesh is gone, or no GLB.
    """
    path = path.with_suffix(".json")
    if not path.is_file():
        return None
    document = parse(read_text(path, LARGEST_FILE), str(path))
    if not isinstance(document, dict) or document.get("format") not in KINDS:
        return None
    head = StoredHead(path, build(HeadDocument, document, f"{path}: damaged result"))
    name = head.document.mesh.file
    if Path(name).name != name or Path(name).suffix.lower() not in SHOWN:
        raise InputError(f"{path}: its mesh is {name!r}; of such results {' and '.join(SHOWN)} can be shown")
    if not head.mesh.is_file():
        raise InputError(f"{head.mesh}: no such file; expected the mesh of {path} beside it")
    return head


def head_page(head: StoredHead, name: str) -> bytes:
    """Its page; photos that are no longer where they were are left out.

    Args:
        name: of the page, without a suffix.
    Raises:
        InputError: the mesh is damaged.
    """
    glb, gltf = read_glb(head.mesh)
    shapes = shape_names(gltf)
    model = head.document.model
    photos, landmarks = head.photos(), head.document.landmarks7
    shots = [_shot(photos[place], landmarks, shapes) for place in album(len(photos))]
    return Page(
        title=head.path.stem, glb=glb, file=f"{name}.glb", status=KINDS[head.document.format], shapes=shapes,
        shots=[shot for shot in shots if shot is not None],
        credit=f"Made by facefit with the face model {model.name} {model.version}.",
    ).html()  # fmt: skip


def _shot(photo: HeadPhoto, landmarks: Sequence[Vector], shapes: Sequence[str]) -> Shot | None:
    path, lens = Path(photo.photo.path), photo.camera
    if not photo.photo.path or not path.is_file():
        return None
    try:
        pixels = read_photo(path).pixels
    except ImageError:
        return None
    if pixels.shape[:2] != (photo.photo.height, photo.photo.width):  # another photo by now
        return None
    at = reproject({"camera": vars(lens)}, np.array(landmarks, np.float64).reshape(-1, 3))
    if not np.isfinite(at).all() or not len(at):
        return None
    middle, reach = (at.min(0) + at.max(0)) / 2, _HEAD / 2 * float(np.ptp(at, 0).max())
    box = (*(middle - reach).tolist(), *(middle + reach).tolist())
    weights = dict(zip(shapes, photo.parameters.expression, strict=False)) if photo.parameters else None
    return cropped_shot(
        pixels, box, np.array([lens.fx, lens.fy]), np.array([lens.cx, lens.cy]), np.array(lens.R), np.array(lens.t),
        photo.name or path.name, weights,
    )  # fmt: skip


def shape_names(gltf: dict[str, Any]) -> list[str]:
    """The names of the morph targets of a GLB's first mesh."""
    try:
        names = gltf["meshes"][0].get("extras", {}).get("targetNames", [])
    except (KeyError, IndexError, TypeError, AttributeError):
        return []
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def read_glb(path: Path) -> tuple[bytes, dict[str, Any]]:
    """A GLB, out of its page where it is one, and the JSON in it.

    Raises:
        InputError: it is none, or names other files.
    """
    if path.stat().st_size > LARGEST_GLB:
        raise InputError(f"{path}: larger than {LARGEST_GLB >> 20} MiB; no face is")
    data = path.read_bytes()
    if path.suffix.lower() == ".html":
        data = page_glb(data, str(path))
    try:
        magic, version, _ = struct.unpack_from("<4sII", data)
        (length,) = struct.unpack_from("<I", data, 12)
        gltf = json.loads(data[20 : 20 + length])
        if (magic, version) != _GLB or not isinstance(gltf, dict):
            raise ValueError("no GLB of version 2")
        if any("uri" in each for kind in ("buffers", "images") for each in gltf.get(kind, [])):
            raise ValueError("it names other files")
    except (ValueError, struct.error, AttributeError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: not a GLB that facefit wrote ({error})") from None
    return data, gltf
