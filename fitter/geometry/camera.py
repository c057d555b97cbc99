"""World -> camera -> clip -> ndc -> pixels. This page fixes all axes and units.

* model space: millimetres, right-handed, x to the subject's left (the viewer's right), y up, z out of the face.
* camera space: millimetres; the camera sits at the origin and looks along -z, x right, y up. A face in front of the
  camera has z < 0, and the zero rotation shows it frontally.  X_camera = R(rotvec) X_model + translation
* photo pixels: x right, y down, the centre of the top left pixel is (0.5, 0.5).
      u = cx + fx * x / -z          v = cy - fy * y / -z
* window pixels: the same, in a square crop of the photo resampled to `size` x `size` (facefit.photo.window).
* clip space: OpenGL. clip = (x_ndc * w, y_ndc * w, z_ndc * w, w) with w = -z_camera, ndc in [-1, 1], y up,
  z_ndc = -1 at the near and 1 at the far plane. Row 0 of an image is its top, that is y_ndc = +1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .rotation import rotation_matrix

# Deng et al. 2019 (Deep3D), used by every paper here: a focal length of 1015 px for a 224 px picture (12.6 degrees).
DEFAULT_FOCAL_PER_SIDE = 1015.0 / 224.0


@dataclass(frozen=True)
class Camera:
    """Perspective cameras of B original photos, in photo pixels.

    Attributes:
        focal: (B, 2) fx, fy in pixels.
        centre: (B, 2) cx, cy in pixels.
    """

    focal: Tensor
    centre: Tensor

    def to(self, device: torch.device | str) -> Camera:
        """The same cameras on another device."""
        return Camera(self.focal.to(device), self.centre.to(device))

    def __getitem__(self, index: slice | Sequence[int] | Tensor) -> Camera:
        """Some of the cameras."""
        return Camera(self.focal[index], self.centre[index])


@dataclass(frozen=True)
class WindowTransform:
    """Photo pixels -> window pixels of B square crops: pixels_window = (pixels_photo - origin) * scale.

    Attributes:
        origin: (B, 2) the window's top left corner in photo pixels.
        scale: (B,) window pixels per photo pixel.
        size: side of the window in window pixels.
    """

    origin: Tensor
    scale: Tensor
    size: int

    def to_window(self, pixels: Tensor) -> Tensor:
        """(B, N, 2) photo pixels -> (B, N, 2) window pixels."""
        return (pixels - self.origin[:, None]) * self.scale[:, None, None]

    def to_photo(self, pixels: Tensor) -> Tensor:
        """(B, N, 2) window pixels -> (B, N, 2) photo pixels."""
        return pixels / self.scale[:, None, None] + self.origin[:, None]

    def to(self, device: torch.device | str) -> WindowTransform:
        """The same windows on another device."""
        return replace(self, origin=self.origin.to(device), scale=self.scale.to(device))

    def __getitem__(self, index: slice | Sequence[int] | Tensor) -> WindowTransform:
        """Some of the windows."""
        return replace(self, origin=self.origin[index], scale=self.scale[index])


def window_camera(camera: Camera, window: WindowTransform) -> Camera:
    """The camera that projects straight into window pixels (the same rays; only the pixel grid differs)."""
    scale = window.scale[:, None]
    return Camera(camera.focal * scale, (camera.centre - window.origin) * scale)


def to_camera_space(verts: Tensor, rotvec: Tensor, translation: Tensor) -> Tensor:
    """(B, N, 3) model space mm -> (B, N, 3) camera space mm, by (B, 3) radians and (B, 3) mm."""
    return verts @ rotation_matrix(rotvec).transpose(1, 2) + translation[:, None]


def project(points: Tensor, camera: Camera) -> Tensor:
    """(B, N, 3) camera space mm -> (B, N, 2) pixels of `camera` (photo pixels, or window pixels of a window camera)."""
    depth = (-points[..., 2:]).clamp_min(1e-3)
    focal = torch.stack([camera.focal[:, 0], -camera.focal[:, 1]], -1)  # y points down in a picture
    return camera.centre[:, None] + focal[:, None] * points[..., :2] / depth


def to_clip_space(points: Tensor, camera: Camera, size: int, near: float = 10.0, far: float = 100_000.0) -> Tensor:
    """(B, N, 3) camera space mm -> (B, N, 4) clip space of a size x size image whose pixels `camera` projects to.

    Args:
        points: in front of the camera; behind it w is negative.
        near, far: mm in front of the camera, the planes that become z_ndc = -1 and 1.
    """
    w = -points[..., 2]
    fx, fy = camera.focal[:, 0, None], camera.focal[:, 1, None]
    cx, cy = camera.centre[:, 0, None], camera.centre[:, 1, None]
    x = (2 * fx / size) * points[..., 0] + (2 * cx / size - 1) * w
    y = (2 * fy / size) * points[..., 1] + (1 - 2 * cy / size) * w
    z = ((far + near) * w - 2 * far * near) / (far - near)
    return torch.stack([x, y, z, w], -1)
