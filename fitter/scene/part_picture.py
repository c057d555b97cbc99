"""Which part of the mesh each pixel sees."""

from __future__ import annotations

import numpy as np

from ..geometry.camera import Camera
from ..model.face_model import FaceModel
from ..render.view import View, face_box, make_window, view
from ..render.view_kernels import heaviest, over_rows


def mesh_faces(model: FaceModel) -> np.ndarray:
    """(F, 3) int64, the model's triangles as an array."""
    return model.faces.cpu().numpy()


def part_labels(seen: View, faces: np.ndarray, vertex_label: np.ndarray) -> np.ndarray:
    """Which part each pixel of a view shows: the label with the largest barycentric weight, so borders are smooth.

    Args:
        seen: of a mesh with these (F, 3) faces.
        vertex_label: (V,) facefit.anatomy.parts.LABELS, 0 to 10.
    Returns:
        (S, S) uint8, 0 where no face is seen.
    """
    labels = np.zeros(seen.face.shape, np.uint8)
    over_rows(heaviest, len(labels), seen.face, seen.bary, faces, vertex_label, labels)
    return labels


_TILE = 1024  # pixels: what is rendered at once, so that a giant photo costs no more memory than a small one


def render_labels(model: FaceModel, verts_camera: np.ndarray, camera: Camera, width: int, height: int) -> np.ndarray:
    """The visible parts of a mesh in the photo's pixels, each pixel centre looked at exactly.

    Args:
        model: whose mesh it is.
        verts_camera: (V, 3) mm, camera space; camera: of the photo (B = 1).
        width, height: of the photo in pixels.
    Returns:
        (height, width) uint8, labels 0 to 10 of anatomy.parts.LABELS. Parts that the mesh itself hides are hidden.
    Raises:
        ValueError: the mesh lies behind the camera.
    """
    labels = np.zeros((height, width), np.uint8)
    faces, vertex_label = mesh_faces(model), model.vertex_label.cpu().numpy()
    left, top, right, bottom = face_box(verts_camera, camera)
    x0, y0 = max(0, int(np.floor(left))), max(0, int(np.floor(top)))
    x1, y1 = min(width, int(np.ceil(right))), min(height, int(np.ceil(bottom)))
    for y in range(y0, y1, _TILE):
        for x in range(x0, x1, _TILE):
            size = min(_TILE, max(x1 - x, y1 - y))
            tile = part_labels(view(verts_camera, faces, camera, make_window((x, y), size, size)), faces, vertex_label)
            rows, columns = min(size, height - y), min(size, width - x)
            labels[y : y + rows, x : x + columns] = tile[:rows, :columns]
    return labels
