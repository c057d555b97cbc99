"""What lies over a face and has no landmark: hands, what they hold, and the frames of glasses."""

from __future__ import annotations

import functools

import cv2
import numpy as np

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
from ..quiet import silence
from .regions import ellipse, fill_loop

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
    picture = cv2.resize(np.rint(image * 255).clip(0, 255).astype(np.uint8), (HAND_SIDE, HAND_SIDE))
    network = _hand_network()
    with silence():
        found = network.process(picture).multi_hand_landmarks or []
    for hand in found:
        joints = np.array([(joint.x, joint.y) for joint in hand.landmark], np.float32) * size
        length = float(np.hypot(*(joints[9] - joints[0])))
        hand = fill_loop(mask.shape, cv2.convexHull(joints[list(PALM)])[:, 0]).astype(np.uint8)
        for finger in FINGERS:
            points = np.round((joints[list(finger)] - 0.5) * 256).astype(np.int32)
            cv2.polylines(hand, [points], False, 1, max(1, round(0.25 * length)), shift=8)
        hand = cv2.dilate(hand, ellipse(0.08 * length))
        if _has_outline(image, hand, face):
            mask |= hand.astype(bool)
    return mask


def _has_outline(image: np.ndarray, hand: np.ndarray, face: np.ndarray) -> bool:
    """Whether the colour changes along the hand's border where it lies before the face."""
    border = (hand > cv2.erode(hand, np.ones((3, 3), np.uint8))) & face
    if not border.any():
        return True
    unit = np.sqrt(face.sum() / 0.6)  # about the height of the face
    lab = cv2.GaussianBlur(cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2Lab), (0, 0), max(0.6, unit / 130))
    slope = sum(cv2.Sobel(lab, cv2.CV_32F, *axes, scale=1 / 8) ** 2 for axes in ((1, 0), (0, 1))).sum(-1) ** 0.5
    slope *= unit / 130  # per pixel of a window of 224
    near = cv2.dilate(slope, ellipse(0.03 * unit))  # the mask follows the outline only so closely
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
    height = float(np.hypot(*(landmarks[FOREHEAD] - landmarks[CHIN])))
    across = landmarks[LEFT_OUTER_CORNER] - landmarks[RIGHT_OUTER_CORNER]
    if height < 20 or np.hypot(*across) < 0.25 * height:
        return none
    smooth = cv2.GaussianBlur(lightness.astype(np.float32), (0, 0), max(0.6, shape[0] / 320))
    nose = fill_loop(shape, landmarks[[6, 122, 198, 98, 2, 327, 420, 351]])
    dark = cv2.morphologyEx(smooth, cv2.MORPH_BLACKHAT, ellipse(0.055 * height)) / max(np.median(smooth[nose]), 0.15)
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
    zone = fill_loop(
        shape, cv2.convexHull(landmarks[[127, 356, 349, 120, 116, 345, 9, 70, 300]].astype(np.float32))[:, 0]
    )
    zone = cv2.dilate(zone.astype(np.uint8), ellipse(0.06 * height)).astype(bool)
    features = none.astype(np.uint8)
    for loop in (RIGHT_EYE, LEFT_EYE):
        features |= fill_loop(shape, landmarks[list(loop)])
    features = cv2.dilate(features, ellipse(0.02 * height))
    for loop in (RIGHT_BROW, LEFT_BROW):
        features |= fill_loop(shape, landmarks[list(loop)])
    frame = (dark > FRAME_PIXEL) & zone & ~features.astype(bool)
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(frame.astype(np.uint8), connectivity=8)
    long = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]) > 0.12 * height
    long[0] = False
    return cv2.dilate((long[pieces]).astype(np.uint8), ellipse(1)).astype(bool) if count > 1 else none
