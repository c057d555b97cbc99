"""Landmarks where the detector sees them on people of the model, and how surely.

Looked for on the mean face they lie where the detector puts them on that one face, which may be a millimetre from where
it puts them on people: a network draws every face towards its own mean. So they move by the mean of what random people
say, and only what is left is the calibration's.
"""

from __future__ import annotations

import logging

import numpy as np

from ...anatomy.landmarks import INNER_LIP_PAIRS, IRISES, LANDMARKS, LID_PAIRS
from ...geometry.closest_point import ClosestPoint
from ...geometry.triangles import triangle_weights
from ...model.model_file import from_arrays
from ...observe.faces import LandmarkDetector
from ..annotate import on_both_sides
from ..calibrate import calibrate_detector
from ..contour import contour_rows
from .geometry import Geometry

logger = logging.getLogger(__name__)

Arrays = dict[str, np.ndarray]


def with_landmarks(
    arrays: Arrays, face: np.ndarray, bary: np.ndarray, geometry: Geometry, verts: np.ndarray, front: np.ndarray,
    detector: LandmarkDetector, seed: int,
) -> Arrays:  # fmt: skip
    """The arrays of a model with landmarks, the contour's rows and the detector's calibration.

    Args:
        face, bary: (478,), (478, 3) where the landmarks lie on the mean face, (V, 3) mm.
        front: (V,) bool, the skin that a contour may lie on. seed: of the random people.
    """
    arrays = _placed(arrays, face, bary, geometry, verts, front)
    yaw, bias, _ = calibrate_detector(from_arrays(arrays), detector, seed=seed)
    shift = bias[int(np.abs(yaw).argmin())]
    shift[held_landmarks()] = 0
    logger.info("landmarks moved by %.2f mm rms", np.sqrt((shift**2).sum(1).mean()))
    face, bary = moved(face, bary, geometry, verts, shift)
    arrays = _placed(arrays, face, bary, geometry, verts, front)
    yaw, bias, covariance = calibrate_detector(from_arrays(arrays), detector, seed=seed)
    return arrays | {"landmark_yaw": yaw, "landmark_bias": bias, "landmark_covariance": covariance}


def held_landmarks() -> np.ndarray:
    """Those that lie on edges of the mesh or on the eyeballs: what closes with them shall close."""
    return np.unique([*np.ravel(LID_PAIRS), *np.ravel(INNER_LIP_PAIRS), *range(LANDMARKS)[IRISES]])


def moved(
    face: np.ndarray, bary: np.ndarray, geometry: Geometry, verts: np.ndarray, shift: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks (478,), (478, 3) moved over the skin, alike on both sides.

    Args:
        verts: (V, 3) mm; shift: (478, 2) mm as seen from in front, x right, y down.
    """
    go = np.flatnonzero(shift.any(1))
    points = (verts[geometry.faces[face[go]]] * bary[go, :, None]).sum(1)
    skin = np.flatnonzero(np.isin(geometry.face_group, ("skin", "neck")))
    wanted = points + np.concatenate([shift[go] * [1, -1], np.zeros((len(go), 1))], 1)
    _, closest, number = ClosestPoint(verts, geometry.faces[skin])(wanted)
    face, bary = face.copy(), bary.copy()
    face[go] = skin[number]
    bary[go] = triangle_weights(closest, verts[geometry.faces[face[go]]])
    both = on_both_sides(face, bary, geometry.faces, geometry.symmetry)
    face[go], bary[go] = (value[go] for value in both)
    return face, bary


def _placed(
    arrays: Arrays, face: np.ndarray, bary: np.ndarray, geometry: Geometry, verts: np.ndarray, front: np.ndarray
) -> Arrays:
    """With these landmarks and no calibration."""
    rows, marching = contour_rows(verts, geometry.faces, (verts[geometry.faces[face]] * bary[:, :, None]).sum(1), front)
    return arrays | {
        "landmark_faces": face.astype(np.int32),
        "landmark_bary": bary.astype(np.float32),
        "contour_rows": rows.astype(np.int32),
        "contour_landmarks": marching.astype(np.int32),
        "landmark_yaw": np.zeros(1, np.float32),
        "landmark_bias": np.zeros((1, len(face), 2), np.float32),
        "landmark_covariance": np.tile(np.eye(2, dtype=np.float32), (1, len(face), 1, 1)),
    }
