"""What lies over a face and has no landmark: the frames of glasses."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ...anatomy.landmarks import (
    CHIN,
    FOREHEAD,
    LEFT_BROW,
    LEFT_EYE,
    LEFT_INNER_CORNER,
    LEFT_OUTER_CORNER,
    RIGHT_BROW,
    RIGHT_EYE,
    RIGHT_INNER_CORNER,
    RIGHT_OUTER_CORNER,
)
from ...geometry.convex_hull import convex_hull
from ...geometry.polygon import polygon_pixels
from .morphology import black_hat, grow, pieces

# Darkening against the surroundings, as a share of the skin's lightness: over the bridge of the nose and under the eyes
# together it is glasses (wrinkles, lashes and brows reach one of the two), and above the third it is their frame.
FRAME_BRIDGE, FRAME_UNDER, FRAME_PIXEL = 0.25, 0.15, 0.13


def _along(picture: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """The pixels on the way from `start` to `stop`, window pixels."""
    way = start + (stop - start) * np.linspace(0, 1, 40)[:, None]
    column, row = np.clip(way.astype(int), 0, np.array(picture.shape[::-1]) - 1).T
    return picture[row, column]


def glasses_mask(lightness: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Dark frames of glasses; the lenses are left, one sees through them.

    Args:
        lightness: (S, S) in [0, 1].
        landmarks: (478, 2) window pixels.
    Returns:
        (S, S) bool, all False where no glasses are seen: rimless and very thin ones, and those of a full profile.
    """
    shape = lightness.shape
    none = np.zeros(shape, bool)
    height = float(np.hypot(*(landmarks[FOREHEAD] - landmarks[CHIN])))
    across = landmarks[LEFT_OUTER_CORNER] - landmarks[RIGHT_OUTER_CORNER]
    if height < 20 or np.hypot(*across) < 0.25 * height:
        return none
    smooth = ndimage.gaussian_filter(lightness.astype(np.float32), max(0.6, shape[0] / 320), mode="mirror")
    nose = polygon_pixels(shape, landmarks[[6, 122, 198, 98, 2, 327, 420, 351]])
    dark = black_hat(smooth, 0.055 * height) / max(np.median(smooth[nose]), 0.15)
    root, back = landmarks[9], (landmarks[195] + landmarks[197]) / 2
    step = landmarks[LEFT_INNER_CORNER] - landmarks[RIGHT_INNER_CORNER]
    bridge = min(_along(dark, root + k * step, back + k * step).max() for k in (-0.12, 0.0, 0.12))
    columns = ((145, 117), (145, 118), (144, 117), (153, 118), (374, 346), (374, 347), (373, 346), (380, 347))
    under = []
    for lid, cheek in columns:
        way = landmarks[cheek] - landmarks[lid]
        under.append(_along(dark, landmarks[lid] + 0.5 * way, landmarks[lid] + 1.8 * way).max())
    if bridge < FRAME_BRIDGE or np.sort(under)[2] < FRAME_UNDER:
        return none
    zone = polygon_pixels(shape, convex_hull(landmarks[[127, 356, 349, 120, 116, 345, 9, 70, 300]]))
    eyes = polygon_pixels(shape, landmarks[list(RIGHT_EYE)]) | polygon_pixels(shape, landmarks[list(LEFT_EYE)])
    brows = polygon_pixels(shape, landmarks[list(RIGHT_BROW)]) | polygon_pixels(shape, landmarks[list(LEFT_BROW)])
    frame = (dark > FRAME_PIXEL) & grow(zone, 0.06 * height) & ~grow(eyes, 0.02 * height) & ~brows
    piece, count = pieces(frame)
    long = np.zeros(count + 1, bool)
    for number, (rows, columns) in enumerate(ndimage.find_objects(piece), start=1):
        long[number] = max(rows.stop - rows.start, columns.stop - columns.start) > 0.12 * height
    return grow(long[piece], 1)
