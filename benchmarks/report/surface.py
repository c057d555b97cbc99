"""Where on the face a fitted surface is farthest from the scan."""

from __future__ import annotations

import numpy as np

from benchmarks.dataset import Scan
from facefit.fit.result import FitResult
from facefit.metrics.scan_distance import MarkedMesh, scan_distances

ZONES = ("forehead", "eyes", "nose", "cheeks", "mouth", "chin", "jaw")


def zones(points: np.ndarray, landmarks7: np.ndarray) -> np.ndarray:
    """(N,) index into ZONES of points on a face.

    Heights are counted from the nose bottom in units of the way from there to the level of the eyes, widths from the
    middle of the face in units of half the distance of the outer eye corners.

    Args:
        points: (N, 3); landmarks7: (7, 3) of the same surface, as in facefit.anatomy.landmarks.LANDMARK7_NAMES.
    """
    nose = landmarks7[4]
    across = landmarks7[3] - landmarks7[0]
    half = np.linalg.norm(across) / 2
    across = across / (2 * half)
    up = landmarks7[[0, 1, 2, 3]].mean(0) - nose
    up = up - across * (up @ across)
    unit = np.linalg.norm(up)
    height = (points - nose) @ (up / unit) / unit
    width = np.abs((points - landmarks7[:4].mean(0)) @ across) / half
    out = np.full(len(points), ZONES.index("cheeks"))
    out[(height > 0.65)] = ZONES.index("eyes")
    out[height > 1.3] = ZONES.index("forehead")
    out[(height <= 0.65) & (height > -0.2) & (width < 0.42)] = ZONES.index("nose")
    out[(height <= -0.2)] = ZONES.index("jaw")
    out[(height <= -0.2) & (width < 0.65)] = ZONES.index("mouth")
    out[(height <= -0.95) & (width < 0.65)] = ZONES.index("chin")
    return out


def worst_zone(result: FitResult, scan: Scan) -> str:
    """The zone with the largest mean distance of the scan to the fitted mesh, after a similarity alignment."""
    mesh = MarkedMesh(result.verts, result.model.faces.cpu().numpy(), result.landmarks7)
    truth = MarkedMesh(scan.verts, scan.faces, scan.landmarks7)
    distances, points, _ = scan_distances(mesh, truth, scan.region, samples=6000)
    zone = zones(points, scan.landmarks7)
    means = [distances[zone == number].mean() if (zone == number).sum() > 50 else 0.0 for number in range(len(ZONES))]
    return ZONES[int(np.argmax(means))]
