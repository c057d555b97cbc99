"""Landmarks of the fitted mesh against points in the photo that someone clicked, or another detector found."""

from __future__ import annotations

import numpy as np
import torch

from .camera import Camera, project
from .landmark_topology import FACE_OVAL, LEFT_BROW, LEFT_EYE, LIPS_INNER, LIPS_OUTER, NOSE, RIGHT_BROW, RIGHT_EYE
from .metrics import OUTER_EYE_CORNERS
from .model.face_model import LANDMARKS7
from .result import FitResult
from .scene import contour_choice, project_landmarks

# iBug's 68 points in MediaPipe's numbers. The jaw line (0 to 16) is a contour in both and corresponds only roughly;
# brows are traced along the upper edge by iBug, within the hair by MediaPipe. Held against the points that ICT-FaceKit
# publishes: 195 lies 2 mm from the third of the bridge, 5 lies 6 mm from it.
IBUG68 = (
    127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 168, 197, 195, 4, 98, 97, 2, 326, 327,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91, 78, 81, 13, 311, 308, 402, 14, 178,
)  # fmt: skip
_SETS = {478: tuple(range(478)), 468: tuple(range(468)), 68: IBUG68, 7: LANDMARKS7}
_GROUPS = {
    "eyes": {*RIGHT_EYE, *LEFT_EYE}, "brows": {*RIGHT_BROW, *LEFT_BROW}, "nose": set(NOSE) | {1, 4, 5, 195, 197},
    "lips": {*LIPS_OUTER, *LIPS_INNER}, "contour": set(FACE_OVAL),
}  # fmt: skip


def landmark_scores(result: FitResult, truth: np.ndarray) -> dict[str, float | None]:
    """Mean distance of the mesh's landmarks to points in the photo, as a fraction of the outer eye corners' distance.

    Args:
        truth: (478, 2), (468, 2), (68, 2) or (7, 2) photo pixels, further columns unused; NaN leaves a point out.
    Returns:
        `all`, `inner` (without the contour of the face), and each group that has points.
    Raises:
        ValueError: another number of points, or eye corners that are missing.
    """
    if len(truth) not in _SETS:
        raise ValueError(f"{len(truth)} points; accepted: {', '.join(map(str, _SETS))}")
    numbers, truth = _SETS[len(truth)], truth[:, :2]
    points = torch.from_numpy(result.verts_in("camera"))[None].float()
    camera = Camera(result.camera.focal.float(), result.camera.centre.float())
    with torch.no_grad():
        contour = contour_choice(result.model, project(points, camera))
        at = project_landmarks(result.model, points, camera, contour)[0].double().numpy()
    place = {number: k for k, number in enumerate(numbers)}
    right, left = (truth[place[corner]] for corner in OUTER_EYE_CORNERS)
    scale = float(np.linalg.norm(right - left))
    if not scale > 0:
        raise ValueError("the outer eye corners are missing or coincide; they are the unit of the error")
    error = np.linalg.norm(at[list(numbers)] - truth, axis=1) / scale
    known = np.isfinite(error)
    outline = np.isin(numbers, FACE_OVAL)

    def mean(chosen: np.ndarray) -> float | None:
        chosen = chosen & known
        return float(error[chosen].mean()) if chosen.any() else None

    scores = {"all": mean(known), "inner": mean(~outline)}
    return scores | {name: mean(np.isin(numbers, list(group))) for name, group in _GROUPS.items()}
