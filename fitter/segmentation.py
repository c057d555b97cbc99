"""What each pixel of the window shows: the segmenters' contract, labels made elsewhere, and how masks come of labels.

The masks are those of the PRDL paper after its post-processing (Wang et al. 2024, supplement B): no ears, no specks, no
forehead above the tangents of the brows; hair and what covers the face stay as masks of their own.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from .anatomy.label_maps import _FASSEG, CELEBAMASK19
from .anatomy.landmarks import (
    FACE_OVAL,
    LEFT_BROW,
    LEFT_BROW_UPPER,
    LEFT_EYE,
    LIPS_INNER,
    LOWER_LIP,
    RIGHT_BROW,
    RIGHT_BROW_UPPER,
    RIGHT_EYE,
    UPPER_LIP,
)
from .anatomy.parts import LABEL, LABELS, MASKS, PARTS
from .errors import ImageError
from .geometry.camera import WindowTransform

logger = logging.getLogger(__name__)

# Segmenters that have a name; others are files.
SEGMENTERS = ("auto", "parser", "color", "polygons")

# What shows the person's own face, so that a colour may be compared there.
FACE_LABELS = tuple(
    LABEL[name]
    for name in ("skin", "nose", "right_eye", "left_eye", "right_brow", "left_brow", "upper_lip", "lower_lip")
)

# A piece of a part smaller than this share of its largest piece is a speck.
SPECK = 0.1

# Pixels of a valid region this close to its border (as a share of the window's side) mix two colours.
VALID_MARGIN = 1 / 150

# How far beyond the landmarks' face skin still belongs to it, as a share of its height: the far cheek of a turned head
# reaches over the landmarks' hull.
FACE_GROW = 0.03

# Brows rise or fall towards the nose by less than this, also in anger; more is a broken mask.
STEEPEST_BROW = 25.0


@dataclass(frozen=True)
class Segmentation:
    """What a segmenter saw.

    Attributes:
        labels: (S, S) uint8, numbers of facefit.anatomy.parts.LABELS without "head".
        confidence: (S, S) float32 in [0, 1], how sure the label is.
    """

    labels: np.ndarray
    confidence: np.ndarray

    def __post_init__(self) -> None:
        if self.labels.ndim != 2 or self.labels.dtype != np.uint8:
            raise ValueError(f"labels {self.labels.shape} of type {self.labels.dtype}; expected (S, S) uint8")
        if self.confidence.shape != self.labels.shape:
            raise ValueError(f"confidence has shape {self.confidence.shape}; expected {self.labels.shape}")
        if self.labels.size and self.labels.max() >= len(LABELS):
            raise ValueError(f"label {self.labels.max()}; expected numbers below {len(LABELS)}")


class PartSegmenter(Protocol):
    """Says what each pixel of a window shows. The same window gives the same answer, whatever was seen before."""

    def segment(self, image: np.ndarray, landmarks: np.ndarray, window: WindowTransform | None = None) -> Segmentation:
        """(S, S, 3) float32 RGB in [0, 1], (478, 2) landmarks in window pixels -> labels.

        `window` (B = 1) is the way from photo to window pixels, for segmenters that look beyond the window.
        """
        ...


def check_window(image: np.ndarray, landmarks: np.ndarray) -> None:
    """Raise ValueError unless the image is (S, S, 3) float and the landmarks (478, 2) and finite."""
    if image.ndim != 3 or image.shape[0] != image.shape[1] or image.shape[2] != 3 or image.dtype.kind != "f":
        raise ValueError(f"image {image.shape} of type {image.dtype}; expected (S, S, 3) float RGB in [0, 1]")
    if landmarks.shape != (478, 2) or not np.isfinite(landmarks).all():
        raise ValueError(f"landmarks have shape {landmarks.shape}; expected (478, 2), all finite")


def load_segmenter(spec: str = "auto", label_map: str = "auto") -> PartSegmenter:
    """The segmenter that `--segmentation` names.

    Args:
        spec: "auto" (facefit's face parser, or "color" with a warning where onnxruntime is missing), "parser", "color"
            (landmark polygons refined by this photo's colours), "polygons" (landmarks alone), a face parser `*.onnx`,
            or a label picture `*.png` in the photo's pixels.
        label_map: what the numbers of a parser or label picture mean; see OnnxSegmenter and LabelImageSegmenter.
    Raises:
        ValueError: `spec` is none of these.
        FaceFitError: the file is missing or cannot be used.
    """
    # Each is imported when asked for: onnxruntime and mediapipe are heavy.
    if spec == "auto":
        from .segment_parser import ParserSegmenter, missing

        reason = missing()
        if reason is None:
            return ParserSegmenter()
        logger.warning("the face parser cannot be used (%s): parts come from landmarks and colours", reason)
        spec = "color"
    if spec == "parser":
        from .segment_parser import ParserSegmenter

        return ParserSegmenter()
    if spec == "color":
        from .segment_color import ColorSegmenter

        return ColorSegmenter()
    if spec == "polygons":
        from .segment_polygons import PolygonSegmenter

        return PolygonSegmenter()
    suffix = Path(spec).suffix.lower()
    if suffix == ".onnx":
        from .segment_onnx import OnnxSegmenter
        from .segment_parser import ParserSegmenter, is_parser

        return ParserSegmenter(spec) if is_parser(spec) else OnnxSegmenter(spec, label_map)
    if suffix == ".png":
        return LabelImageSegmenter(spec, "facefit" if label_map == "auto" else label_map)
    accepted = ", ".join((*SEGMENTERS, "a face parser *.onnx or a label picture *.png"))
    raise ValueError(f"segmentation {spec!r}; accepted: {accepted}")


def fill_loop(shape: tuple[int, int], points: np.ndarray) -> np.ndarray:
    """(N, 2) window pixels -> (S, S) bool, True within the polygon. A pixel on the line counts, so none is empty."""
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.round((points - 0.5) * 256).astype(np.int32)], 1, shift=8)  # OpenCV's centres lie at 0
    return mask.astype(bool)


def ellipse(radius: float) -> np.ndarray:
    """A round structuring element."""
    size = 2 * max(0, round(radius)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))


def sides(shape: tuple[int, int], landmarks: np.ndarray) -> np.ndarray:
    """(S, S) bool: True where a pixel lies nearer to the person's right eye and brow than to the left ones.

    Parsers and data sets disagree whether "left" is the person's or the viewer's, so their sides are never trusted.
    """
    right = landmarks[list(RIGHT_EYE + RIGHT_BROW)].mean(0)
    left = landmarks[list(LEFT_EYE + LEFT_BROW)].mean(0)
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    middle, across = (right + left) / 2, right - left
    return (x - middle[0]) * across[0] + (y - middle[1]) * across[1] > 0


def separate_sides(labels: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Eyes and brows of either side, renamed to right and left by where the landmarks are."""
    right = sides(labels.shape, landmarks)
    out = labels.copy()
    for part in ("eye", "brow"):
        here = np.isin(labels, (LABEL[f"right_{part}"], LABEL[f"left_{part}"]))
        out[here & right] = LABEL[f"right_{part}"]
        out[here & ~right] = LABEL[f"left_{part}"]
    return out


def separate_ears_and_neck(labels: np.ndarray, landmarks: np.ndarray, grow: float = 0.04) -> np.ndarray:
    """Skin beside and below the face, renamed to ear and neck, for label sets that call all of it skin.

    `grow`: how far beyond the oval of landmarks skin still belongs to the face, as a share of the oval's height. Skin
    above the oval is forehead. Beside is what lies between the chin's level and the brows, below is under the jaw.
    """
    oval = landmarks[list(FACE_OVAL)]
    up = landmarks[10] - landmarks[152]
    height = float(np.hypot(*up))
    up = up / max(height, 1e-6)
    face = cv2.dilate(fill_loop(labels.shape, oval).astype(np.uint8), ellipse(grow * height)).astype(bool)
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]] + 0.5
    chin = landmarks[152]
    level = ((x - chin[0]) * up[0] + (y - chin[1]) * up[1]) / max(height, 1e-6)  # chin 0, forehead 1
    aside = (labels == LABEL["skin"]) & ~face
    out = labels.copy()
    out[aside & (level < 0.8)] = LABEL["ear"]
    out[aside & (level < 0.25)] = LABEL["neck"]
    return out


def split_mouth(labels: np.ndarray, mouth: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Give each pixel of a mouth to the upper lip, the lower lip or the opening, whichever loop is nearest."""
    distance = [
        cv2.distanceTransform((~fill_loop(labels.shape, landmarks[list(loop)])).astype(np.uint8), cv2.DIST_L2, 5)
        for loop in (LIPS_INNER, UPPER_LIP, LOWER_LIP)
    ]
    numbers = np.array([LABEL["mouth_inside"], LABEL["upper_lip"], LABEL["lower_lip"]], np.uint8)
    # The lips' own loops come first where they meet the opening's line, or a closed mouth would have a gap.
    nearest = np.argmin(np.stack([distance[0] + 0.5, distance[1], distance[2]]), 0)
    out = labels.copy()
    out[mouth] = numbers[nearest][mouth]
    return out


class LabelImageSegmenter:
    """Labels from a picture in the photo's pixels, made elsewhere."""

    MAPS = ("facefit", "celebamask19", "fasseg")

    def __init__(self, path: str | Path, label_map: str = "facefit") -> None:
        """
        Args:
            path: a PNG with one channel of label numbers (or a palette), as large as the photo.
            label_map: "facefit" (facefit.anatomy.parts.LABELS), "celebamask19" or "fasseg".
        Raises:
            ValueError: an unknown label map.
            ImageError: the file cannot be read or holds other numbers.
        """
        from PIL import Image

        if label_map not in self.MAPS:
            raise ValueError(f"label map {label_map!r}; accepted: {', '.join(self.MAPS)}")
        self.label_map = label_map
        self.path = Path(path)
        try:
            with Image.open(self.path) as picture:
                if picture.mode not in ("L", "P"):
                    raise ImageError(f"{path}: a label picture of mode {picture.mode}; accepted: 8-bit grey or palette")
                self.photo_labels = np.asarray(picture, np.uint8).copy()
        except (OSError, SyntaxError, ValueError) as error:
            raise ImageError(f"{path}: cannot be read as a label picture ({error})") from error
        count = {"facefit": len(LABELS), "celebamask19": len(CELEBAMASK19), "fasseg": len(_FASSEG)}[label_map]
        if self.photo_labels.max(initial=0) >= count:
            raise ImageError(f"{path}: label {self.photo_labels.max()}; '{label_map}' has numbers below {count}")

    @property
    def photo_size(self) -> tuple[int, int]:
        """Width and height of the photo that the picture belongs to."""
        return self.photo_labels.shape[1], self.photo_labels.shape[0]

    def segment(self, image: np.ndarray, landmarks: np.ndarray, window: WindowTransform | None = None) -> Segmentation:
        """See PartSegmenter. Raises ValueError without `window`: the picture is in photo pixels."""
        from .photo.window import sample_labels

        check_window(image, landmarks)
        if window is None:
            raise ValueError("window is None; a label picture needs the way from photo to window pixels")
        seen = sample_labels(self.photo_labels, window)
        if self.label_map == "fasseg":
            labels = np.array([LABEL.get(name, 0) for name in _FASSEG.values()], np.uint8)[seen]
            labels = split_mouth(labels, seen == 5, landmarks)
            labels = separate_ears_and_neck(separate_sides(labels, landmarks), landmarks)
        elif self.label_map == "celebamask19":
            labels = separate_sides(np.array([LABEL[name] for name in CELEBAMASK19], np.uint8)[seen], landmarks)
        else:
            labels = np.where(seen == LABEL["head"], LABEL["background"], seen).astype(np.uint8)
        return Segmentation(labels, np.ones(labels.shape, np.float32))


# --- post-processing ------------------------------------------------------------------------------------------------


def remove_specks(mask: np.ndarray, share: float = SPECK) -> np.ndarray:
    """(S, S) bool without the connected pieces smaller than `share` of the largest one."""
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 2:
        return mask
    area = stats[:, cv2.CC_STAT_AREA].copy()
    area[0] = 0
    keep = area >= share * area.max()
    keep[0] = False
    return keep[pieces]


def brow_tangents(labels: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The line over each brow, of which the forehead is above.

    A brow's tangent runs along the chord of its landmarks where it falls towards the nose, and level with the eyes
    where the brow rises towards the nose: forehead is what lies above both lines, and a rising line, prolonged to the
    other half of the face, would keep forehead there.

    Returns:
        (2, 3) float32 a, b, c of a x + b y + c = 0 in window pixels, right and left brow, a^2 + b^2 = 1, above > 0.
    """
    across = landmarks[[263, 362]].mean(0) - landmarks[[33, 133]].mean(0)  # from the right eye to the left
    across = across / max(float(np.hypot(*across)), 1e-6)
    up = np.array([across[1], -across[0]])
    if up @ (landmarks[10] - landmarks[152]) < 0:  # a picture of a mirrored or upside-down landmark set
        up = -up
    lines = []
    for brow, loop, upper, sign in (
        ("right_brow", RIGHT_BROW, RIGHT_BROW_UPPER, 1.0),
        ("left_brow", LEFT_BROW, LEFT_BROW_UPPER, -1.0),
    ):
        inwards = landmarks[upper[-1]] - landmarks[upper[0]]
        rise = np.degrees(np.arctan2(inwards @ up, max(sign * (inwards @ across), 1e-6)))
        rise = np.radians(np.clip(rise, -STEEPEST_BROW, 0.0))
        normal = np.cos(rise) * up - sign * np.sin(rise) * across
        y, x = np.nonzero(remove_specks(labels == LABEL[brow]))
        points = np.stack([x, y], 1) + 0.5 if len(x) else landmarks[list(loop)]
        top = np.percentile(points @ normal, 99)  # one stray pixel of a brow does not lift the line
        lines.append([*normal, -top])
    return np.array(lines, np.float32)


def above_brows(shape: tuple[int, int], brow_line: np.ndarray) -> np.ndarray:
    """(S, S) bool: pixels above both tangents, as facefit.energies.prdl.select.above_brows leaves vertices out."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    return np.all([a * x + b * y + c > 0 for a, b, c in brow_line], axis=0)


def near_face(shape: tuple[int, int], landmarks: np.ndarray, grow: float = FACE_GROW) -> np.ndarray:
    """(S, S) bool: the landmarks' face grown by a share of its height.

    The mesh's skin ends where the landmarks' face ended when it was annotated; a parser's goes on to the ear and over
    the sides of a bald head.
    """
    from .segment_polygons import face_region  # which itself needs this file

    region = face_region(shape, landmarks).astype(np.uint8)
    height = float(np.hypot(*(landmarks[10] - landmarks[152])))
    return cv2.dilate(region, ellipse(grow * height)).astype(bool)


def part_confidence(segmentation: Segmentation, masks: np.ndarray) -> np.ndarray:
    """(8,) float32 in [0, 1]: mean confidence within each of PARTS' masks, 1 for one that is not seen.

    Args:
        masks: (10, S, S) of `post_process`.
    """
    area = masks[: len(PARTS)].sum((1, 2))
    total = (masks[: len(PARTS)] * segmentation.confidence).sum((1, 2))
    return np.where(area > 0, total / np.maximum(area, 1), 1).astype(np.float32)


def post_process(segmentation: Segmentation, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels -> the masks of an Observation.

    Ears, neck and what lies beyond the face are left out of the skin, isolated specks out of every part, and the
    forehead above the brows out of the skin. A part that is not seen is empty.

    Args:
        segmentation: of one window.
        landmarks: (478, 2) window pixels.
    Returns:
        part_masks (10, S, S) float32 in the order of facefit.anatomy.parts.MASKS, valid (S, S) float32, brow_line (2, 3)
        float32; see Observation.
    Source: Wang et al. 2024, supplement B and fig. 12.
    """
    labels = segmentation.labels
    shape = labels.shape
    if landmarks.shape != (478, 2):
        raise ValueError(f"landmarks have shape {landmarks.shape}; expected (478, 2)")
    masks = np.zeros((len(MASKS), *shape), np.float32)
    for channel, name in enumerate(MASKS):
        if name == "occluder":
            masks[channel] = np.isin(labels, (LABEL["glasses"], LABEL["occluder"]))
        elif name == "hair":
            masks[channel] = labels == LABEL["hair"]
        else:
            masks[channel] = remove_specks(labels == LABEL[name])
    brow_line = brow_tangents(labels, landmarks)
    masks[MASKS.index("skin")][above_brows(shape, brow_line) | ~near_face(shape, landmarks)] = 0
    valid = np.isin(labels, FACE_LABELS)
    valid = cv2.erode(valid.astype(np.uint8), ellipse(max(1.0, shape[0] * VALID_MARGIN)), borderValue=1)
    return masks, (valid * segmentation.confidence).astype(np.float32), brow_line
