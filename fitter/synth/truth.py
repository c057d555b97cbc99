"""What is known of a head in a picture: of each pixel the depth, the normal and the place on the mesh; landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from ..anatomy.landmarks import NOSE_TIP
from ..anatomy.parts import LABEL, LABELS
from ..geometry.camera import Camera, project
from ..model.face_model import FaceModel
from ..render.lighting import vertex_normals
from ..render.view import make_window, view

_SLACK = 3.0  # mm that a landmark may lie behind what is seen at its pixel
_HIDES = [LABEL[name] for name in ("hair", "glasses", "occluder")]

# CelebAMask-HQ's number of each of LABELS, but of ears.
_CELEBAMASK = np.array(
    [
        {
            "skin": 1, "head": 1, "nose": 2, "glasses": 3, "right_eye": 4, "left_eye": 5, "right_brow": 6,
            "left_brow": 7, "mouth_inside": 10, "upper_lip": 11, "lower_lip": 12, "hair": 13, "neck": 17,
        }.get(name, 0)
        for name in LABELS
    ],
    np.uint8,
)  # fmt: skip


@dataclass(frozen=True)
class Truth:
    """A head's mesh as the camera sees it: what hair, hands and glasses hide is known as well.

    Attributes:
        depth: (S, S) float32 mm before the camera's plane, 0 beside the head.
        normals: (S, S, 3) float32 unit, camera space; 0 beside the head.
        uv: (S, S, 2) float32 texture coordinates in [0, 1], v up; 0 beside the head.
        landmarks, points: (478, 2) pixels and (478, 3) mm, camera space.
        visible: (478,) bool: inside the picture, and behind nothing.
    """

    depth: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    landmarks: np.ndarray
    points: np.ndarray
    visible: np.ndarray


def truth_of(model: FaceModel, verts: np.ndarray, camera: Camera, labels: np.ndarray) -> Truth:
    """Of a mesh.

    Args:
        verts: (V, 3) float32 mm, camera space. camera: of the picture (B = 1).
        labels: (S, S) of the finished picture.
    """
    size, faces = len(labels), model.faces.numpy()
    seen = view(verts, faces, camera, make_window((0.0, 0.0), size, size))
    outward = vertex_normals(torch.from_numpy(verts)[None], model.faces)[0].numpy()
    normals = seen.interpolate(outward, faces)
    normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-6)
    uv = np.einsum("hwk,hwkc->hwc", seen.bary, model.uv.numpy()[model.uv_faces.numpy()[seen.face]])
    on_surface = model.landmarks(torch.from_numpy(verts)[None])
    landmarks, points = project(on_surface, camera)[0].numpy(), on_surface[0].numpy()
    column, row = np.floor(landmarks).astype(int).clip(0, size - 1).T
    behind = ndimage.maximum_filter(seen.depth, 3)[row, column] + _SLACK  # at an outline nothing hides it
    visible = ((landmarks >= 0) & (landmarks < size)).all(1) & (-points[:, 2] < behind)
    visible &= ~np.isin(labels[row, column], _HIDES)
    depth = np.where(seen.seen, seen.depth, 0).astype(np.float32)
    return Truth(depth, normals, uv.astype(np.float32), landmarks, points, visible)


def celebamask(labels: np.ndarray, clothes: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Labels as CelebAMask-HQ (Lee et al. 2020) numbers its 19 classes.

    Args:
        labels: (S, S) of facefit.anatomy.parts. clothes: (S, S) bool. landmarks: (478, 2) pixels.
    Returns:
        (S, S) uint8. Its left is the left of the picture: a person's right eye is 4. Hands and masks are 0, for which
        it has no class.
    """
    found = _CELEBAMASK[labels]
    column = np.arange(labels.shape[1])[None] + 0.5
    found[(labels == LABEL["ear"]) & (column < landmarks[NOSE_TIP, 0])] = 8
    found[(labels == LABEL["ear"]) & (column >= landmarks[NOSE_TIP, 0])] = 9
    found[clothes & (labels == LABEL["background"])] = 18
    return found
