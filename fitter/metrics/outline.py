"""How far a mesh's outline lies from the outline of a mask."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_erosion, distance_transform_edt

_RIM = 2  # pixels at the picture's rim that are no outline: the mask is cut off there


def outline_distance(points: np.ndarray, mask: np.ndarray, hidden: np.ndarray, margin: float = 4.0) -> np.ndarray:
    """Signed distance of points to the nearest pixel of a mask's outline.

    Args:
        points: (N, 2) pixels, x right, y down, pixel centres at .5.
        mask: (H, W) bool, the face. hidden: (H, W) bool, hair and what else lies before it: where the outline is
            theirs, it says nothing.
        margin: pixels; an outline as near to what is hidden does not count.
    Returns:
        (N,) pixels, positive outside of the mask; NaN where the nearest outline does not count, or there is none.
    """
    height, width = mask.shape
    edge = mask & ~binary_erosion(mask, border_value=1)
    inside = (points >= 0).all(1) & (points < [width, height]).all(1)
    out = np.full(len(points), np.nan)
    if not edge.any():
        return out
    nearest = distance_transform_edt(~edge, return_distances=False, return_indices=True)
    clear = distance_transform_edt(~hidden) >= margin if hidden.any() else np.ones_like(mask)
    clear[:_RIM], clear[-_RIM:], clear[:, :_RIM], clear[:, -_RIM:] = False, False, False, False
    column, row = points[inside].astype(int).T
    at_row, at_column = nearest[:, row, column]
    distance = np.hypot(at_column + 0.5 - points[inside, 0], at_row + 0.5 - points[inside, 1])
    out[inside] = np.where(clear[at_row, at_column], np.where(mask[row, column], -distance, distance), np.nan)
    return out
