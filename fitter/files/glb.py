"""The binary container of glTF 2.0: buffers, accessors, animations."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963

INT8, UINT8, INT16, UINT16, UINT32, FLOAT = 5120, 5121, 5122, 5123, 5125, 5126
_TYPES = {INT8: "<i1", UINT8: "<u1", INT16: "<i2", UINT16: "<u2", UINT32: "<u4", FLOAT: "<f4"}
_WIDTHS = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}


@dataclass(frozen=True)
class Animation:
    """A moving face, one key a frame.

    Attributes:
        seconds: (F,) increasing, from 0 on.
        translation: (F, 3) metres; rotation: (F, 4) unit quaternions x, y, z, w: model space -> the scene.
        weights: (F, T) of the morph targets.
        camera: of glTF ("perspective" ...), at the origin of the scene, or None.
    """

    seconds: np.ndarray
    translation: np.ndarray
    rotation: np.ndarray
    weights: np.ndarray
    camera: dict | None = None


def animated(document: dict, animation: Animation, buffer: Buffer, morphs: bool) -> dict:
    """What an animation changes in a document.

    Args:
        document: glTF whose node 0 is moved; the mesh hangs on it or on another node.
        buffer: takes the keys.
        morphs: whether the mesh has morph targets.
    Returns:
        the changed entries of `document`.
    """
    (shown,) = [number for number, node in enumerate(document["nodes"]) if "mesh" in node]
    keys = buffer.accessor(animation.seconds, FLOAT, None, bounds=True)
    moved = {"translation": (0, animation.translation), "rotation": (0, animation.rotation)}
    if morphs:
        moved["weights"] = (shown, animation.weights.reshape(-1, 1))
    samplers, channels = [], []
    for path, (node, values) in moved.items():
        output = buffer.accessor(values, FLOAT, None)
        samplers.append({"input": keys, "output": output, "interpolation": "LINEAR"})
        channels.append({"sampler": len(samplers) - 1, "target": {"node": node, "path": path}})
    placed = {name: getattr(animation, name)[0].tolist() for name in ("translation", "rotation")}
    first, *others = document["nodes"]
    changed = {
        "nodes": [first | placed, *others],
        "animations": [{"name": "sequence", "channels": channels, "samplers": samplers}],
    }
    if animation.camera is not None:
        changed["nodes"].append({"name": "camera", "camera": 0})
        roots = [*document["scenes"][0]["nodes"], len(changed["nodes"]) - 1]
        changed |= {"cameras": [animation.camera], "scenes": [{"nodes": roots}]}
    return changed


def packed(document: dict, binary: bytes) -> bytes:
    """The file: header, the JSON of the document, the binary chunk; each padded to four bytes, as the format asks.

    Source: Khronos, glTF 2.0, sec. 4 (GLB file format).
    """
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    binary += bytes(-len(binary) % 4)
    total = 12 + 8 + len(text) + 8 + len(binary)
    return b"".join(
        [
            struct.pack("<4sII", b"glTF", 2, total),
            struct.pack("<I4s", len(text), b"JSON"),
            text,
            struct.pack("<I4s", len(binary), b"BIN\0"),
            binary,
        ]
    )


class Buffer:
    """The binary chunk as it grows, with the views and accessors that point into it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict] = []
        self.accessors: list[dict] = []

    def view(self, data: bytes, target: int | None = None, stride: int = 0) -> int:
        """Bytes put at the end of the chunk.

        Args:
            target: ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER, or None for what is neither vertices nor indices.
            stride: bytes from row to row where rows are padded.
        Returns:
            the number of their view.
        """
        self.data += bytes(-len(self.data) % 4)  # accessors must start on a multiple of their component size
        entry = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data)}
        if target is not None:
            entry["target"] = target
        if stride:
            entry["byteStride"] = stride
        self.data += data
        self.views.append(entry)
        return len(self.views) - 1

    def accessor(
        self, value: np.ndarray, component: int, target: int | None, *, bounds: bool = False, normalized: bool = False
    ) -> int:
        """An array put at the end of the chunk, with a view of its own.

        Args:
            value: (N,), (N, 1 to 4) or (N, 16), matrices column by column; one row is one element; whole numbers
                already where `component` is one.
            component: INT8, UINT8, INT16, UINT16, UINT32 or FLOAT.
            target: of the view, as in `view`.
            bounds: whether least and greatest value are written too; positions and times of keys must have them.
            normalized: whole numbers that stand for [-1, 1], or [0, 1] without a sign.
        Returns:
            the number of the accessor.
        """
        rows = np.asarray(value).reshape(len(value), -1).astype(_TYPES[component])
        width, size = rows.shape[1], rows.itemsize
        stride = 0
        if target == ARRAY_BUFFER and width * size % 4:  # attributes of vertices lie on multiples of four bytes
            rows = np.pad(rows, ((0, 0), (0, -width % (4 // size))))
            stride = rows.shape[1] * size
        entry = {
            "bufferView": self.view(rows.tobytes(), target, stride), "componentType": component, "count": len(rows),
            "type": _WIDTHS[width],
        }  # fmt: skip
        if bounds:
            entry |= _bounds(rows[:, :width])
        if normalized:
            entry["normalized"] = True
        self.accessors.append(entry)
        return len(self.accessors) - 1

    def sparse(
        self, rows: np.ndarray, values: np.ndarray, count: int, component: int, *, bounds: bool = False,
        normalized: bool = False,
    ) -> int:  # fmt: skip
        """Displacements, of which only the rows that move are stored.

        Args:
            rows: (M,) increasing numbers of the rows that move, among `count`; values: (M, 3) what they hold.
            component, bounds, normalized: as in `accessor`.
        Returns:
            the number of the accessor.
        """
        values = values.astype(_TYPES[component])
        entry: dict = {"componentType": component, "count": count, "type": "VEC3"}
        if bounds:
            still = np.zeros((int(len(rows) < count), 3), values.dtype)
            entry |= _bounds(np.concatenate([values, still]))
        if normalized:
            entry["normalized"] = True
        if len(rows):  # an accessor without numbers is one of zeros
            index_type = UINT16 if count < 65535 else UINT32
            entry["sparse"] = {
                "count": len(rows),
                "indices": {
                    "bufferView": self.view(rows.astype(_TYPES[index_type]).tobytes()), "componentType": index_type,
                },
                "values": {"bufferView": self.view(values.tobytes())},
            }  # fmt: skip
        self.accessors.append(entry)
        return len(self.accessors) - 1


def _bounds(rows: np.ndarray) -> dict[str, list]:
    return {"min": rows.min(0).tolist(), "max": rows.max(0).tolist()}


def perspective(width: int, height: int, focal: float) -> dict:
    """glTF's camera of a photo with a focal length in pixels. It has no principal point: the middle of the picture."""
    view = {"aspectRatio": width / height, "yfov": 2 * math.atan(height / 2 / focal), "znear": 0.01, "zfar": 100.0}
    return {"name": "camera", "type": "perspective", "perspective": view}


def quaternions(rotations: np.ndarray) -> np.ndarray:
    """Rotations (F, 3, 3) -> (F, 4) x, y, z, w; of the two that mean a rotation the one nearer to the frame before, so
    that a viewer turns the short way."""
    found = Rotation.from_matrix(rotations).as_quat()
    for before, now in zip(found[:-1], found[1:], strict=True):
        if before @ now < 0:
            now *= -1
    return found
