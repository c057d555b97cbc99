"""A mesh against a scan of the same person, in mm: regions, metrics, and a map of the errors on the scan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ..errors import InputError
from ..files.mesh_bytes import ply_bytes
from ..files.read_mesh import Mesh
from ..files.read_points import read_points
from ..files.schema import parse, read_text
from ..geometry.camera import Camera
from ..geometry.closest_point import ClosestPoint
from ..geometry.similarity import Similarity
from ..geometry.triangles import triangle_normals, vertex_normals
from ..metrics.scan_distance import MarkedMesh, scan_distances, scan_figures
from ..model.face_model import FaceModel
from ..output.placing import Z_UP
from ..render.view import make_window, view
from ..scene.scene import landmarks7_of


@dataclass(frozen=True)
class ScanComparison:
    """A mesh held against a scan.

    Attributes:
        figures: median, mean, std, rms, p90, max in mm, scale, landmark_rms (mm), samples.
        motion: mesh -> scan.
        distances: (V_scan,) mm from each scan vertex to the mesh, NaN outside the region.
    """

    figures: dict[str, float]
    motion: Similarity
    distances: np.ndarray


def face_region(verts: np.ndarray, landmarks7: np.ndarray) -> np.ndarray:
    """(V,) bool: the ball around the face in which the NoW benchmark measures.

    Its centre lies 0.3 of the way up from the nose bottom to the root between the inner eye corners; its radius is 0.7
    times the sum of that way and the distance of the outer eye corners.

    Args:
        verts: (V, 3) mm; landmarks7: (7, 3) in the same space.
    Source: Sanyal et al. 2019 and the benchmark's public evaluation code.
    """
    root = (landmarks7[1] + landmarks7[2]) / 2
    up = root - landmarks7[4]
    radius = 0.7 * (np.linalg.norm(landmarks7[0] - landmarks7[3]) + np.linalg.norm(up))
    return np.linalg.norm(verts - (landmarks7[4] + 0.3 * up), axis=1) <= radius


def scan_region(scan: Mesh, landmarks7: np.ndarray, name: str) -> np.ndarray:
    """(V,) bool of "face" (see `face_region`), "all", or an array (V,) that the scan's NPZ holds under this name.

    Args:
        landmarks7: (7, 3) mm, in the scan's space.
    Raises:
        InputError: no such array.
    """
    if name == "all":
        return np.ones(len(scan.verts), bool)
    if name == "face":
        return face_region(scan.verts, landmarks7)
    if name in scan.arrays and scan.arrays[name].shape == (len(scan.verts),):
        return scan.arrays[name].astype(bool)
    held = [key for key, value in scan.arrays.items() if value.shape == (len(scan.verts),)]
    raise InputError(f"region {name!r}; accepted: {', '.join(['face', 'all', *held])}")


def compare_to_scan(
    mesh: Mesh, landmarks7: np.ndarray, scan: Mesh, scan_landmarks7: np.ndarray, region: np.ndarray, *,
    align: str = "rigid", metric: str = "point", samples: int = 20_000, seed: int = 0,
) -> ScanComparison:  # fmt: skip
    """Scan-to-mesh distances after alignment by seven points and ICP; see facefit.metrics.scan_distance.scan_error.

    Args:
        mesh, scan: in mm, each in a space of its own; landmarks7, scan_landmarks7: (7, 3) mm on them.
        region: (V,) bool, the scan's vertices that are measured.
        align, samples, seed: as there.
        metric: "point": distance to the closest point of the mesh (NoW). "plane": to the plane of the triangle it lies
            on (Bai et al. 2021, sec. 4.1), which does not see an offset along the surface.
    Raises:
        ValueError: another metric, or what scan_distances does not accept.
    """
    if metric not in ("point", "plane"):
        raise ValueError(f"metric is {metric!r}; accepted: point, plane")
    marked = MarkedMesh(mesh.verts, mesh.faces, landmarks7), MarkedMesh(scan.verts, scan.faces, scan_landmarks7)
    distances, points, motion = scan_distances(*marked, region, align=align, samples=samples, seed=seed)
    surface = ClosestPoint(mesh.verts, mesh.faces)
    if metric == "plane":
        distances = _plane_distance(surface, motion, points)
    at_vertex = np.full(len(scan.verts), np.nan)
    inside = scan.verts[region]
    if metric == "plane":
        at_vertex[region] = _plane_distance(surface, motion, inside)
    else:
        at_vertex[region] = surface(motion.inverse(inside))[0] * motion.scale
    return ScanComparison(scan_figures(distances, motion, landmarks7, scan_landmarks7), motion, at_vertex)


def _plane_distance(surface: ClosestPoint, motion: Similarity, points: np.ndarray) -> np.ndarray:
    local = motion.inverse(points)
    distance, closest, face = surface(local)
    corner = surface.corners[face]
    normal = triangle_normals(corner)  # 0 of a triangle without area
    along = np.abs(((local - closest) * normal).sum(1))
    return np.where(normal.any(1), along, distance) * motion.scale


def mesh_landmarks7(path: Path, mesh: Mesh, model: FaceModel | None = None) -> np.ndarray:
    """(7, 3) evaluation points of a mesh: of the facefit JSON beside it, or, when it has the model's vertices, the
    model's own.

    Raises:
        InputError: neither.
    """
    beside = path.with_suffix(".json")
    if beside.is_file():
        points = read_points(beside)
        if points.shape == (7, 3):
            return points
    if "landmarks7" in mesh.arrays:
        return np.asarray(mesh.arrays["landmarks7"], np.float64)
    if model is not None and len(mesh.verts) == len(model.verts):
        return landmarks7_of(model, mesh.verts)
    raise InputError(f"{path}: its seven points are not known; expected {beside.name} beside it, or --mesh-landmarks")


def upright(path: Path, mesh: Mesh, points: np.ndarray) -> tuple[Mesh, np.ndarray]:
    """A mesh and its points with y up, as pictures want them; PLY files of facefit have z up, as the JSON beside says.

    Args:
        path: of the mesh. points: (N, 3) in its coordinates.
    Raises:
        InputError: that JSON is damaged.
    """
    beside = path.with_suffix(".json")
    document = parse(read_text(beside), str(beside), strict=False) if beside.is_file() else None
    about = document.get("mesh") if isinstance(document, dict) else None
    if not isinstance(about, dict) or about.get("up") != "z":
        return mesh, points
    return replace(mesh, verts=mesh.verts @ Z_UP), points @ Z_UP


# ---------------------------------------------------------------- pictures of the error

# From no error to `limit`: blue, cyan, green, yellow, red.
_RAMP = np.array([(49, 54, 149), (69, 160, 200), (120, 190, 100), (250, 215, 80), (190, 20, 35)], float)
_OUTSIDE = np.array([150, 150, 155], float)


def error_colours(distances: np.ndarray, limit: float) -> np.ndarray:
    """Distances (...) mm -> (..., 3) uint8; grey where the distance is NaN, red from `limit` mm on."""
    at = np.clip(np.nan_to_num(distances) / limit, 0, 1) * (len(_RAMP) - 1)
    low = np.minimum(at.astype(int), len(_RAMP) - 2)
    colour = _RAMP[low] + (at - low)[..., None] * (_RAMP[low + 1] - _RAMP[low])
    return np.where(np.isnan(distances)[..., None], _OUTSIDE, colour).round().astype(np.uint8)


def error_ply(scan: Mesh, comparison: ScanComparison, limit: float = 5.0) -> bytes:
    """The scan as PLY, each vertex in the colour of its distance to the mesh."""
    comment = f"distance to the mesh: blue 0 mm, green {limit / 2:g} mm, red {limit:g} mm and more; grey: not measured"
    return ply_bytes(scan.verts, scan.faces, error_colours(comparison.distances, limit), comment)


def error_picture(scan: Mesh, comparison: ScanComparison, limit: float = 5.0, size: int = 768) -> np.ndarray:
    """(size, size, 3) uint8: the scan from the front of the mesh, in the same colours, with a scale at the right.

    The mesh must face +z, as facefit writes it in model space.
    """
    verts = comparison.motion.inverse(scan.verts)
    measured = np.isfinite(comparison.distances)
    low, high = verts[measured].min(0), verts[measured].max(0)
    middle, extent = (low + high) / 2, float((high - low)[:2].max()) * 1.25
    away = 10 * extent  # nearly parallel
    points = verts - [middle[0], middle[1], high[2] + away]
    camera = Camera(torch.full((1, 2), size * away / extent), torch.full((1, 2), size / 2))
    seen = view(points, scan.faces, camera, make_window((0.0, 0.0), size, size))
    facing = np.abs(vertex_normals(points, scan.faces)[:, 2:])
    colours = error_colours(comparison.distances, limit) * (0.35 + 0.65 * facing)
    picture = np.where(seen.seen[..., None], seen.interpolate(colours, scan.faces), 255.0)
    bar = slice(size // 16, size - size // 16)
    steps = np.linspace(limit, 0, bar.stop - bar.start)
    picture[bar, -size // 24 :] = error_colours(steps, limit)[:, None]
    for millimetre in range(1, int(limit) + 1):  # a line every millimetre
        picture[bar.start + int(np.abs(steps - millimetre).argmin()), -size // 24 :] = 255
    return picture.clip(0, 255).round().astype(np.uint8)
