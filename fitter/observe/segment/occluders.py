"""What lies over a face and has no landmark: hands, what they hold, and the frames of glasses."""

from __future__ import annotations

import functools

import numpy as np
from scipy import ndimage
from skimage import color

from ...anatomy.landmarks import LEFT_BROW, LEFT_EYE, RIGHT_BROW, RIGHT_EYE
from ...geometry.convex_hull import convex_hull
from ...geometry.polygon import polygon_pixels
from ...photo.resample import warp
from ..quiet import silence
from .morphology import black_hat, disc, grow, pieces, shrink

HAND_SCORE = 0.5
HAND_SIDE = 448  # pixels the hand detector sees the window in; it misses the hands of a 224 px picture
# Joints of MediaPipe's hand: the palm's outline and the five fingers from the palm outwards.
PALM = (0, 1, 5, 9, 13, 17)
FINGERS = ((1, 2, 3, 4), (5, 6, 7, 8), (9, 10, 11, 12), (13, 14, 15, 16), (17, 18, 19, 20))
# The hand detector takes some cheeks for hands, whatever score is asked for. A hand before a face has an outline: the
# colour changes along it by this share of the face's lightness per pixel, in the median (imagined 0.11, real 0.21).
HAND_OUTLINE = 0.15
# Darkening against the surroundings, as a share of the skin's lightness: over the bridge of the nose and under the eyes
# together it is glasses (wrinkles, lashes and brows reach one of the two), and above the third it is their frame.
FRAME_BRIDGE, FRAME_UNDER, FRAME_PIXEL = 0.25, 0.15, 0.13


@functools.lru_cache(maxsize=1)
def _hand_network():
    with silence():
        from mediapipe.python.solutions import hands

        network = hands.Hands(static_image_mode=True, max_num_hands=4, min_detection_confidence=HAND_SCORE)
        network.process(np.zeros((HAND_SIDE, HAND_SIDE, 3), np.uint8))
    return network


def hand_mask(image: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Hands as palms and fingers around MediaPipe's joints.

    Args:
        image: (S, S, 3) float RGB in [0, 1].
        face: (S, S) bool: where the landmarks see the face.
    Returns:
        (S, S) bool.
    """
    size = image.shape[0]
    mask = np.zeros((size, size), bool)
    enlarged = warp(np.moveaxis(image, -1, 0), np.eye(2, 3) * (size / HAND_SIDE), HAND_SIDE, HAND_SIDE)
    picture = np.rint(np.moveaxis(enlarged, 0, -1) * 255).clip(0, 255).astype(np.uint8)
    network = _hand_network()
    with silence():
        found = network.process(picture).multi_hand_landmarks or []
    for hand in found:
        joints = np.array([(joint.x, joint.y) for joint in hand.landmark], np.float32) * size
        length = float(np.hypot(*(joints[9] - joints[0])))
        palm, bones = polygon_pixels(mask.shape, convex_hull(joints[list(PALM)])), np.zeros_like(mask)
        for finger in FINGERS:
            line = joints[list(finger)]
            bones |= polygon_pixels(mask.shape, np.concatenate([line, line[::-1]]))
        hand = grow(palm | grow(bones, 0.125 * length), 0.08 * length)
        if _has_outline(image, hand, face):
            mask |= hand
    return mask


def _has_outline(image: np.ndarray, hand: np.ndarray, face: np.ndarray) -> bool:
    """Whether the colour changes along the hand's border where it lies before the face."""
    border = hand & ~shrink(hand, 1.5) & face
    if not border.any():
        return True
    unit = np.sqrt(face.sum() / 0.6)  # about the height of the face
    blur = max(0.6, unit / 130)
    lab = ndimage.gaussian_filter(color.rgb2lab(image), (blur, blur, 0), mode="mirror")
    slope = sum(ndimage.sobel(lab, axis, mode="mirror") ** 2 for axis in (0, 1)).sum(-1) ** 0.5 / 8
    slope *= unit / 130  # per pixel of a window of 224
    near = ndimage.grey_dilation(slope, footprint=disc(0.03 * unit))  # the mask follows the outline only so closely
    return bool(np.median(near[border]) > HAND_OUTLINE * np.median(lab[..., 0][face]))


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
    height = float(np.hypot(*(landmarks[10] - landmarks[152])))
    across = landmarks[263] - landmarks[33]
    if height < 20 or np.hypot(*across) < 0.25 * height:
        return none
    smooth = ndimage.gaussian_filter(lightness.astype(np.float32), max(0.6, shape[0] / 320), mode="mirror")
    nose = polygon_pixels(shape, landmarks[[6, 122, 198, 98, 2, 327, 420, 351]])
    dark = black_hat(smooth, 0.055 * height) / max(np.median(smooth[nose]), 0.15)
    root, back, step = landmarks[9], (landmarks[195] + landmarks[197]) / 2, landmarks[362] - landmarks[133]
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
