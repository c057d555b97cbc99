"""The distance of a scan to a mesh by the NoW protocol."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..geometry.closest_point import ClosestPoint
from ..geometry.similarity import Similarity, fit_similarity
from ..geometry.triangles import sample_surface

_GEMAN_MCCLURE = 8.0  # mm

_ICP_POINTS = 5000  # another draw of them moves the median by up to 2 %, hence the fixed seed


class MarkedMesh(NamedTuple):
    """A surface and the seven points by which it is laid on another (anatomy.landmarks.LANDMARKS7).

    verts: (V, 3) mm; faces: (F, 3); landmarks7: (7, 3) mm.
    """

    verts: np.ndarray
    faces: np.ndarray
    landmarks7: np.ndarray


def align_to_scan(
    surface: ClosestPoint,
    landmarks7: np.ndarray,
    points: np.ndarray,
    scan_landmarks7: np.ndarray,
    *,
    scale: bool,
    iterations: int = 60,
    sigma: float = _GEMAN_MCCLURE,
) -> Similarity:
    """Mesh -> scan: by the seven landmarks, then by robust ICP of the scan's points to the mesh.

    Args:
        surface: the mesh, in its own coordinates, mm. landmarks7: (7, 3) mm, of the mesh.
        points: (N, 3) mm samples of the scan's face region. scan_landmarks7: (7, 3) mm, of the scan.
        scale: whether the mesh may change its size.
        iterations: of ICP at most; it ends sooner where the error changes by less than 1e-5 of itself.
        sigma: mm; a pair at this distance counts a quarter (Geman-McClure weights).
    """
    motion = fit_similarity(landmarks7, scan_landmarks7, scale=scale)
    previous = np.inf
    for _ in range(iterations):
        closest = surface(motion.inverse(points))[1]
        residual = np.linalg.norm(motion(closest) - points, axis=1)
        weights = (sigma**2 / (sigma**2 + residual**2)) ** 2
        motion = fit_similarity(closest, points, scale=scale, weights=weights)
        error = float(np.sqrt((weights @ residual**2) / weights.sum()))
        if abs(previous - error) < 1e-5 * max(error, 1e-9):
            break
        previous = error
    return motion


def scan_error(
    verts: np.ndarray,
    faces: np.ndarray,
    landmarks7: np.ndarray,
    scan_verts: np.ndarray,
    scan_faces: np.ndarray,
    scan_landmarks7: np.ndarray,
    region: np.ndarray | None = None,
    *,
    align: str = "similarity",
    samples: int = 20_000,
    seed: int = 0,
) -> dict[str, float]:
    """How far a scan lies from a mesh, in mm: the NoW protocol (Sanyal et al. 2019).

    The mesh is moved onto the scan by seven points and then by robust ICP over the region; what is reported is the
    distance of points spread evenly over the scan's region to the closest point of the moved mesh.

    Args:
        verts, faces, landmarks7: (V, 3) mm, (F, 3), (7, 3) mm: the mesh; the points as in `FitResult.landmarks7`.
        scan_verts, scan_faces, scan_landmarks7: the same of the scan.
        region: (V_scan,) bool; triangles whose three vertices are inside count. Default: the whole scan.
        align: "rigid" (the mesh keeps its size), "similarity", or "none" (already aligned).
        samples: points on the scan; ICP uses 5000 of them. seed: of drawing them.
    Returns:
        median, mean, std, rms, p90, max (mm), scale, landmark_rms (mm, after ICP), samples.
    Raises:
        ValueError: another `align`, an empty region, arrays that do not fit.
    """
    mesh, scan = MarkedMesh(verts, faces, landmarks7), MarkedMesh(scan_verts, scan_faces, scan_landmarks7)
    distances, _, motion = scan_distances(mesh, scan, region, align=align, samples=samples, seed=seed)
    return scan_figures(distances, motion, landmarks7, scan_landmarks7)


def distance_figures(distances: np.ndarray) -> dict[str, float]:
    """(N,) mm -> median, mean, std (around the mean), rms (around 0), p90 (90th percentile) and max, mm."""
    return {
        "median": float(np.median(distances)),
        "mean": float(distances.mean()),
        "std": float(distances.std()),
        "rms": float(np.sqrt((distances**2).mean())),
        "p90": float(np.percentile(distances, 90)),
        "max": float(distances.max()),
    }


def scan_figures(
    distances: np.ndarray, motion: Similarity, landmarks7: np.ndarray, scan_landmarks7: np.ndarray
) -> dict[str, float]:
    """What `scan_error` says of distances (N,) mm: `distance_figures`, scale, landmark_rms (mm) and samples.

    Args:
        motion: mesh -> scan. landmarks7: (7, 3) mm of the mesh; scan_landmarks7: (7, 3) mm of the scan.
    """
    offset = motion(np.asarray(landmarks7, np.float64)) - scan_landmarks7
    return {
        **distance_figures(distances),
        "scale": motion.scale,
        "landmark_rms": float(np.sqrt((offset**2).sum(1).mean())),
        "samples": len(distances),
    }


def scan_distances(
    mesh: MarkedMesh, scan: MarkedMesh, region: np.ndarray | None = None, *, align: str = "similarity",
    samples: int = 20_000, seed: int = 0,
) -> tuple[np.ndarray, np.ndarray, Similarity]:  # fmt: skip
    """What `scan_error` summarises.

    Args:
        region, align, samples, seed: as in `scan_error`.
    Returns:
        distances (N,) mm, their points (N, 3) mm on the scan, and the motion mesh -> scan.
    Raises:
        ValueError: as `scan_error`.
    """
    if align not in ("rigid", "similarity", "none"):
        raise ValueError(f"align is {align!r}; accepted: rigid, similarity, none")
    scan_verts, scan_faces = np.asarray(scan.verts, np.float64), np.asarray(scan.faces, np.int64)
    landmarks7, scan_landmarks7 = (np.asarray(one.landmarks7, np.float64) for one in (mesh, scan))
    for name, value in (("landmarks7", landmarks7), ("scan_landmarks7", scan_landmarks7)):
        if value.shape != (7, 3) or not np.isfinite(value).all():
            raise ValueError(f"{name} has shape {value.shape}; expected finite (7, 3)")
    if region is not None:
        region = np.asarray(region, bool)
        if region.shape != (len(scan_verts),):
            raise ValueError(f"region has shape {region.shape}; expected ({len(scan_verts)},)")
        scan_faces = scan_faces[region[scan_faces].all(1)]
    if len(scan_faces) == 0:
        raise ValueError("the scan's region holds no triangle")
    surface = ClosestPoint(mesh.verts, mesh.faces)
    points = sample_surface(scan_verts, scan_faces, samples, seed)
    motion = Similarity(1.0, np.eye(3), np.zeros(3))
    if align != "none":
        few = points
        if samples > _ICP_POINTS:
            few = points[np.random.default_rng(seed + 1).choice(samples, _ICP_POINTS, replace=False)]
        motion = align_to_scan(surface, landmarks7, few, scan_landmarks7, scale=align == "similarity")
    return surface(motion.inverse(points))[0] * motion.scale, points, motion
