"""The fitted mesh as a square window of the photo sees it: which face, how deep, which part. Without gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..geometry.camera import Camera, WindowTransform, to_clip_space, window_camera
from . import load_renderer
from .view_kernels import over_rows, unpack, vertex_picture


@dataclass(frozen=True)
class View:
    """A mesh through one window.

    Attributes:
        window: photo pixels -> pixels of this view (B = 1).
        face: (S, S) int64 index of the face seen, -1 for none.
        bary: (S, S, 3) float32 weights of its vertices, 0 where none is seen.
        depth: (S, S) float32 mm in front of the camera, infinite where no face is seen.
    """

    window: WindowTransform
    face: np.ndarray
    bary: np.ndarray
    depth: np.ndarray

    @property
    def seen(self) -> np.ndarray:
        """(S, S) bool."""
        return self.face >= 0

    def interpolate(self, attributes: np.ndarray, faces: np.ndarray) -> np.ndarray:
        """(V, C) per-vertex values -> (S, S, C) float32, 0 where no face is seen."""
        return vertex_picture(self.face, self.bary, faces, attributes)

    def interpolate_seen(self, attributes: np.ndarray, faces: np.ndarray) -> np.ndarray:
        """(V, C) per-vertex values -> (N, C) float32 at the N pixels that are `seen`, row by row."""
        return self.interpolate(attributes, faces)[self.seen]


def make_window(origin: tuple[float, float], side: float, size: int) -> WindowTransform:
    """The square of `side` photo pixels with its top left corner at `origin`, in `size` x `size` pixels."""
    return WindowTransform(torch.tensor([origin], dtype=torch.float32), torch.tensor([size / side]), size)


def view(verts: np.ndarray, faces: np.ndarray, camera: Camera, window: WindowTransform) -> View:
    """Rasterize a mesh with depth test.

    Args:
        verts: (V, 3) mm, camera space; faces: (F, 3).
        camera: of the photo (B = 1).
        window: the part of the photo to look at (B = 1).
    Returns:
        triangle, weights and depth (mm) of each pixel of the window; infinite depth where there is no triangle.
    """
    inner = window_camera(Camera(camera.focal.double().cpu(), camera.centre.double().cpu()), window.to("cpu"))
    clip = to_clip_space(torch.from_numpy(verts)[None].double(), inner, window.size).float()
    with torch.no_grad():
        rast = load_renderer("cpu").rasterize(clip, torch.from_numpy(faces), window.size)[0].numpy()
    shape = rast.shape[:2]
    face, bary, depth = np.empty(shape, np.int64), np.empty((*shape, 3), np.float32), np.empty(shape, np.float32)
    over_rows(unpack, window.size, rast, faces, -verts[:, 2].astype(np.float32), face, bary, depth)
    return View(window, face, bary, depth)


def face_box(verts: np.ndarray, camera: Camera) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the projected mesh in photo pixels.

    Args:
        verts: (V, 3) mm, camera space. camera: of the photo (B = 1).
    Raises:
        ValueError: no vertex lies in front of the camera.
    """
    front = verts[verts[:, 2] < -1.0]
    if len(front) == 0:
        raise ValueError("the mesh lies behind the camera")
    focal, centre = (value[0].double().cpu().numpy() for value in (camera.focal, camera.centre))
    pixels = centre + focal * front[:, :2] / -front[:, 2:] * (1, -1)
    return (*pixels.min(0).tolist(), *pixels.max(0).tolist())
