"""The JSON of a result as a format: what a reader may rely on, whoever wrote the file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, Literal

from ..errors import InputError
from ..files.schema import build, parse, read_text

FORMAT, FORMAT_VERSION = "facefit-result", 1

Vector = tuple[float, float, float]

LARGEST_FILE = 16 << 20  # bytes; a result has some 30 kB
_LARGEST_SIDE = 1_000_000  # pixels of a photo


@dataclass(frozen=True)
class MeshBlock:
    """The mesh beside it."""

    file: str
    space: Literal["model", "camera"] = "model"
    units: str = "millimetre"
    up: Literal["y", "z"] = "y"


@dataclass(frozen=True)
class CameraBlock:
    """Of the original photo, in pixels."""

    fx: float
    fy: float
    cx: float
    cy: float
    R: tuple[Vector, Vector, Vector]
    t: Vector


@dataclass(frozen=True)
class WindowBlock:
    """Photo pixels -> the window that was fitted."""

    origin: tuple[float, float]
    scale: float
    size: int


@dataclass(frozen=True, kw_only=True)
class MomentBlock:
    """What was fitted of a moment, a frame's own; see facefit.scene.parameters."""

    expression: list[float]
    rotvec: Vector
    translation: Vector
    sh: list[Vector]
    gaze: list[tuple[float, float]]
    joints: list[Vector] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class ParameterBlock(MomentBlock):
    """What was fitted of a photo: the moment, and who it is."""

    identity: list[float]
    albedo: list[float]


@dataclass(frozen=True)
class PhotoBlock:
    """The photo: where it was, and its size in pixels."""

    path: str
    width: int
    height: int


@dataclass(frozen=True)
class ModelBlock:
    """The face model that was fitted."""

    name: str
    version: str
    checksum: str
    sizes: dict[str, int]


@dataclass(frozen=True)
class ResultDocument:
    """The whole file, as far as facefit reads it."""

    format: str
    format_version: int
    mesh: MeshBlock
    camera: CameraBlock
    window: WindowBlock
    parameters: ParameterBlock
    photo: PhotoBlock
    model: ModelBlock
    status: str = ""
    landmark_error: float | None = None
    part_iou: dict[str, float | None] = field(default_factory=dict)
    energies: dict[str, float | None] = field(default_factory=dict)
    seconds: dict[str, float | None] = field(default_factory=dict)
    landmarks7: list[Vector] = field(default_factory=list)


def read_result(path: Path) -> tuple[dict[str, Any], ResultDocument] | None:
    """A result's JSON as it is and as its format says; None for other people's JSON.

    Raises:
        InputError: it cannot be read, is damaged, or of another version; the message names file and key.
    """
    text = read_text(path, LARGEST_FILE)
    document = parse(text, str(path), strict=FORMAT.encode() in text)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        return None
    version = document.get("format_version")
    if version != FORMAT_VERSION:
        raise InputError(f"{path}: result format {str(version)[:40]}; this version reads {FORMAT_VERSION}")
    read = build(ResultDocument, document, f"{path}: damaged result")
    for key, good, expected in (
        ("camera.fx", 0 < read.camera.fx, "above 0"), ("camera.fy", 0 < read.camera.fy, "above 0"),
        ("window.scale", 0 < read.window.scale, "above 0"),
        ("window.size", 0 < read.window.size <= _LARGEST_SIDE, f"1 to {_LARGEST_SIDE} pixels"),
        ("photo.width", 0 < read.photo.width <= _LARGEST_SIDE, f"1 to {_LARGEST_SIDE} pixels"),
        ("photo.height", 0 < read.photo.height <= _LARGEST_SIDE, f"1 to {_LARGEST_SIDE} pixels"),
        ("mesh.file", _is_name(read.mesh.file), "the name of a file beside it"),
    ):  # fmt: skip
        if not good:
            raise InputError(f"{path}: damaged result: {key}: expected {expected}")
    return document, read


def _is_name(name: str) -> bool:
    return bool(name) and PurePath(name).name == name and "\0" not in name
