"""The binary container of glTF 2.0: buffers, accessors, animations."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass

import numpy as np

ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963

UINT16, UINT32, FLOAT = 5123, 5125, 5126

_SMALLEST_MOVE = 1e-4  # mm; below it a vertex counts as not moved


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
        document: glTF with one node, the mesh.
        buffer: takes the keys.
        morphs: whether the mesh has morph targets.
    Returns:
        the changed entries of `document`.
    """
    keys = buffer.accessor(animation.seconds.astype(np.float32), "SCALAR", FLOAT, None, bounds=True)
    moved = {"translation": (animation.translation, "VEC3"), "rotation": (animation.rotation, "VEC4")}
    if morphs:
        moved["weights"] = (animation.weights.reshape(-1), "SCALAR")
    samplers, channels = [], []
    for path, (values, kind) in moved.items():
        output = buffer.accessor(values.astype(np.float32), kind, FLOAT, None)
        samplers.append({"input": keys, "output": output, "interpolation": "LINEAR"})
        channels.append({"sampler": len(samplers) - 1, "target": {"node": 0, "path": path}})
    placed = {name: getattr(animation, name)[0].tolist() for name in ("translation", "rotation")}
    changed = {
        "nodes": [document["nodes"][0] | placed],
        "animations": [{"name": "sequence", "channels": channels, "samplers": samplers}],
    }
    if animation.camera is not None:
        changed["nodes"].append({"name": "camera", "camera": 0})
        changed |= {"cameras": [animation.camera], "scenes": [{"nodes": [0, 1]}]}
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

    def view(self, data: bytes, target: int | None = None) -> int:
        """Bytes put at the end of the chunk.

        Args:
            target: ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER, or None for what is neither vertices nor indices.
        Returns:
            the number of their view.
        """
        self.data += bytes(-len(self.data) % 4)  # accessors must start on a multiple of their component size
        entry = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data)}
        if target is not None:
            entry["target"] = target
        self.data += data
        self.views.append(entry)
        return len(self.views) - 1

    def accessor(self, value: np.ndarray, kind: str, component: int, target: int | None, bounds: bool = False) -> int:
        """An array put at the end of the chunk, with a view of its own.

        Args:
            value: (N, ...) of the type that `component` names; one row is one element.
            kind: "SCALAR", "VEC2", "VEC3" or "VEC4".
            component: UINT16, UINT32 or FLOAT.
            target: of the view, as in `view`.
            bounds: whether least and greatest value are written too; positions and times of keys must have them.
        Returns:
            the number of the accessor.
        """
        entry = {
            "bufferView": self.view(value.tobytes(), target), "componentType": component, "count": len(value),
            "type": kind,
        }  # fmt: skip
        if bounds:
            rows = value.reshape(len(value), -1)
            entry |= {"min": rows.min(0).tolist(), "max": rows.max(0).tolist()}
        self.accessors.append(entry)
        return len(self.accessors) - 1

    def sparse(self, value: np.ndarray, index_type: type, index_code: int) -> int:
        """Displacements, of which only the rows that move are stored.

        Args:
            value: (N, 3) in the unit of the positions.
            index_type, index_code: of the stored row numbers, NumPy's and glTF's (UINT16 or UINT32).
        Returns:
            the number of the accessor.
        """
        value = value.astype(np.float32)
        moved = np.flatnonzero(np.abs(value).max(1) > _SMALLEST_MOVE)
        if len(moved) == 0:
            moved = np.zeros(1, np.int64)  # a sparse accessor must hold at least one row
        kept = np.zeros_like(value)
        kept[moved] = value[moved]
        self.accessors.append(
            {
                "componentType": FLOAT, "count": len(value), "type": "VEC3",
                "min": kept.min(0).tolist(), "max": kept.max(0).tolist(),
                "sparse": {
                    "count": len(moved),
                    "indices": {
                        "bufferView": self.view(moved.astype(index_type).tobytes()), "componentType": index_code,
                    },
                    "values": {"bufferView": self.view(value[moved].tobytes())},
                },
            }
        )  # fmt: skip
        return len(self.accessors) - 1
