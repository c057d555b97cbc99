"""The three face networks inside the package: where their files lie, and what runs them.

How they were made and whose they are: training/networks and data/README.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..bundled import bundled
from .face_boxes import FULL_RANGE, SHORT_RANGE, BoxDetector
from .face_mesh import FaceMesh
from .onnx_session import load_session

MESH_FILE = "face_mesh.onnx"
FILES = (SHORT_RANGE.file, FULL_RANGE.file, MESH_FILE)


@dataclass(frozen=True)
class FaceNetworks:
    """What finds faces near the camera, faces near and far, and the landmarks of a face."""

    near: BoxDetector
    far: BoxDetector
    mesh: FaceMesh


def load_face_networks(threads: int = 1) -> FaceNetworks:
    """The bundled networks. Raises FaceFitError where a file or onnxruntime is missing."""

    def session(file: str) -> Any:
        return load_session(bundled(file), threads, "`make networks` makes it")

    near, far = (BoxDetector(network, session(network.file)) for network in (SHORT_RANGE, FULL_RANGE))
    return FaceNetworks(near, far, FaceMesh(session(MESH_FILE)))
