"""A head model photographed: rendered for the landmark detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ..geometry.camera import Camera, project, to_clip_space
from ..geometry.rotation import rotation_matrix
from ..geometry.triangles import vertex_normals
from ..render import load_renderer

PICTURE = 512  # pixels

FOCAL = 1.9  # of the picture's side: about 30 degrees, a portrait

DISTANCE = 620.0  # mm

BACKGROUND = np.array([0.55, 0.57, 0.60])


@dataclass(frozen=True)
class Subject:
    """One mesh to look at: (V, 3) vertices in model space (mm) and (V, 3) colours in [0, 1]."""

    verts: np.ndarray
    colours: np.ndarray


@dataclass(frozen=True)
class Picture:
    """A render and what is behind each of its pixels.

    Attributes:
        image: (S, S, 3) uint8; rast: (S, S, 4) as facefit.render; points: (V, 3) camera space mm; pixels: (V, 2);
        normals: (V, 3) camera space; yaw: degrees, positive when the subject looks to the viewer's right.
    """

    image: np.ndarray
    rast: np.ndarray
    points: np.ndarray
    pixels: np.ndarray
    normals: np.ndarray
    yaw: float


def turned(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """Degrees -> (3, 3) rotation: yaw about y (positive: the nose to the viewer's right), then pitch about x (positive:
    the nose down), then roll about z."""

    def matrix(axis: int, degrees: float) -> torch.Tensor:
        rotvec = torch.zeros(1, 3, dtype=torch.float64)
        rotvec[0, axis] = np.radians(degrees)
        return rotation_matrix(rotvec)[0]

    return (matrix(2, roll) @ matrix(0, pitch) @ matrix(1, yaw)).numpy()


def photograph(
    subject: Subject,
    faces: np.ndarray,
    yaw: float = 0.0,
    pitch: float = 0.0,
    roll: float = 0.0,
    light: npt.ArrayLike = (0.2, 0.4, 1.0),
    size: int = PICTURE,
    distance: float = DISTANCE,
    focal: float = FOCAL,
) -> Picture:
    """Render a subject under an ambient and one directional light on a plain background.

    Args:
        faces: (F, 3). yaw, pitch, roll: degrees, as of `turned`.
        light: (3,) direction towards the light, camera space, of any length.
        size: pixels of the picture's side; focal: in such sides. distance: mm.
    """
    rotation = turned(yaw, pitch, roll)
    points = subject.verts @ rotation.T + [0, 0, -distance]
    # the face, not the origin between the eyes, in the middle of the picture
    points = points - rotation @ np.array([0.0, -25.0, 30.0])
    camera = Camera(torch.full((1, 2), focal * size), torch.full((1, 2), size / 2))
    tensor = torch.from_numpy(points).float()[None]
    triangles = torch.from_numpy(np.ascontiguousarray(faces)).long()
    renderer = load_renderer("cpu")
    found = renderer.rasterize(to_clip_space(tensor, camera, size), triangles, size)
    normals = vertex_normals(points, faces)
    towards = np.asarray(light, float)
    direction = towards / np.linalg.norm(towards)
    shade = 0.55 + 0.5 * np.maximum(normals @ direction, 0)
    colour = torch.from_numpy(np.clip(subject.colours * shade[:, None], 0, 1)).float()[None]
    image = renderer.interpolate(colour, found, triangles)[0].numpy()
    rast = found[0].numpy()
    image[rast[..., 3] == 0] = BACKGROUND
    return Picture(
        image=(image * 255 + 0.5).astype(np.uint8),
        rast=rast,
        points=points,
        pixels=project(tensor, camera)[0].numpy(),
        normals=normals,
        yaw=yaw,
    )


def surface_points(pixels: np.ndarray, rast: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) pixels of a Picture's rast (S, S, 4) -> (N,) face index, -1 where the surface is not seen, and (N, 3)
    barycentric weights."""
    size = rast.shape[0]
    column, row = np.floor(pixels[:, 0]).astype(int), np.floor(pixels[:, 1]).astype(int)
    inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    sample = rast[np.clip(row, 0, size - 1), np.clip(column, 0, size - 1)]
    face = np.where(inside, sample[:, 3].astype(int) - 1, -1)
    bary = np.stack([sample[:, 0], sample[:, 1], 1 - sample[:, 0] - sample[:, 1]], 1)
    return face, bary
