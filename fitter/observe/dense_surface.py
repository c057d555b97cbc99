"""What the dense network looks at: an upright square around the face, and the landmarks' own idea of its surface.

Training and use share this file, so that the network sees in use what it was trained on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import Delaunay
from torch import Tensor
from torch.nn import functional

from ..anatomy.landmarks import IRISES
from ..render import load_renderer
from ..render.lighting import vertex_normals
from .segment.face_crops import Crop, upright

# Side of the crop in pixels and in heights of the landmarks' box; side of the maps that the network gives.
SIDE, EXTENT, MAP_SIDE = 128, 4 / 3, 64
_DEEP = 4.0  # sides of the crop: landmarks lie within so much before and behind their plane


@dataclass(frozen=True)
class LandmarkSurface:
    """The landmarks of a skin as a mesh, the same whatever head model is fitted.

    Attributes:
        canonical: (468, 3) float32, their places on a mean face in parts of 100 mm about their mean.
        triangles: (T, 3) int64, counter-clockwise seen from outside.
        corners, shares: (P, 3) int64 and float32: for each observed point the three landmarks about it and how much of
            each it is.
    """

    canonical: np.ndarray
    triangles: np.ndarray
    corners: np.ndarray
    shares: np.ndarray

    def guess(self, landmarks: np.ndarray) -> np.ndarray:
        """(N, 478, D) -> (N, P, D): where the landmarks alone would have the observed points."""
        return np.einsum("pc,npcd->npd", self.shares, landmarks[:, self.corners])


def landmark_surface(landmarks: np.ndarray, points: np.ndarray) -> LandmarkSurface:
    """The surface through a mean face's landmarks (478, 3) mm and the places of points (P, 3) mm on it."""
    skin = landmarks[: IRISES.start]
    flat = Delaunay(skin[:, :2])
    triangles = flat.simplices.astype(np.int64)  # counter-clockwise: scipy has them so
    found = flat.find_simplex(points[:, :2])
    if (found < 0).any():
        raise ValueError(f"{(found < 0).sum()} points lie beyond the landmarks; expected none")
    map_ = flat.transform[found]
    first = np.einsum("pij,pj->pi", map_[:, :2], points[:, :2] - map_[:, 2])
    shares = np.concatenate([first, 1 - first.sum(1, keepdims=True)], 1)
    canonical = ((skin - skin.mean(0)) / 100).astype(np.float32)
    return LandmarkSurface(canonical, triangles, triangles[found], shares.astype(np.float32))


def dense_crop(landmarks: np.ndarray, side: int = SIDE, extent: float = EXTENT) -> Crop:
    """(478, 2) window pixels -> the upright square around them; `extent` in heights of their box."""
    points = landmarks.astype(np.float64)
    up = upright(points)
    right = np.array([-up[1], up[0]])
    frame = np.stack([right, up])
    low, high = (points @ frame.T).min(0), (points @ frame.T).max(0)
    linear = side / (extent * max(float((high - low).max()), 1e-3)) * np.stack([right, -up])
    return Crop(np.column_stack([linear, side / 2 - linear @ ((low + high) / 2 @ frame)]), side)


def guess_maps(surface: LandmarkSurface, landmarks: np.ndarray, crop_side: int, side: int) -> np.ndarray:
    """The landmarks' surface drawn.

    Args:
        landmarks: (N, 478, 3) pixels of crops of `crop_side` pixels, the third away from the viewer.
    Returns:
        (N, 7, side, side) float32: where on the mean face a pixel lies (`canonical`), the surface's normal (x to the
        right, y up, z to the viewer), and 1; 0 beside the surface.
    """
    skin = torch.from_numpy(np.ascontiguousarray(landmarks[:, : IRISES.start], np.float32))
    space = skin * torch.tensor([1.0, -1.0, -1.0])
    faces = torch.from_numpy(surface.triangles)
    place = skin * torch.tensor([2.0, -2.0, 1 / _DEEP]) / crop_side + torch.tensor([-1.0, 1.0, 0.0])
    clip = torch.cat([place, torch.ones_like(place[..., :1])], 2)
    renderer = load_renderer("cpu")
    rast = renderer.rasterize(clip, faces, side)
    canonical = torch.from_numpy(surface.canonical)[None].expand(len(skin), -1, -1)
    values = torch.cat([canonical, vertex_normals(space, faces), torch.ones_like(canonical[..., :1])], 2)
    return renderer.interpolate(values, rast, faces).permute(0, 3, 1, 2).contiguous().numpy()


def exposed(image: Tensor, face: Tensor) -> Tensor:
    """(N, 3, 128, 128) relative to mean and deviation of the colours within the landmarks' surface (N, 64, 64)."""
    weight = functional.interpolate(face[:, None], scale_factor=2.0)
    total = 3 * weight.sum((1, 2, 3)).clamp_min(1.0)
    mean = ((image * weight).sum((1, 2, 3)) / total)[:, None, None, None]
    spread = (((image - mean).square() * weight).sum((1, 2, 3)) / total).sqrt().clamp_min(0.02)
    return ((image - mean) / spread[:, None, None, None]).clamp(-4, 4)


def mirror_sign(channels: int, across: tuple[int, ...]) -> np.ndarray:
    """(1, C, 1, 1) float32: -1 for those channels of a map that point to the right."""
    sign = np.ones((1, channels, 1, 1), np.float32)
    sign[:, list(across)] = -1
    return sign


ACROSS_GUESS, ACROSS_MAPS = (0, 3), (0, 4)  # of `guess_maps`, and of what the network gives


def sampled(maps: Tensor, points: Tensor, side: int) -> Tensor:
    """(N, C, S, S) at (N, P, 2) pixels of a crop of `side` pixels -> (N, P, C), bilinear."""
    at = functional.grid_sample(
        maps, (points * (2 / side) - 1)[:, None], mode="bilinear", padding_mode="border", align_corners=False
    )
    return at[:, :, 0].transpose(1, 2)
