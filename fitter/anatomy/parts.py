"""Parts of a face: their names, labels, masks and colours."""

from __future__ import annotations

import numpy as np

# What data sets that do not tell left from right, or the lips from the open mouth, hold against a fit.
MERGED = {
    "eyes": ("right_eye", "left_eye"),
    "brows": ("right_brow", "left_brow"),
    "lips": ("upper_lip", "lower_lip"),
    "mouth": ("upper_lip", "lower_lip", "mouth_inside"),
}

# The 8 parts of the PRDL paper (sec. 3.2) in its order, then what only masks things out.
PARTS = ("left_eye", "right_eye", "left_brow", "right_brow", "upper_lip", "lower_lip", "nose", "skin")

MASKS = (*PARTS, "hair", "occluder")

# The parts whose border the face itself draws: the skin ends where hair, neck or the picture begin.
INNER = tuple(name for name in PARTS if name != "skin")

# Labels of a segmented picture and of the mesh (`--labels`). "right" is the person's right. A mesh has 10 for all the
# rest of its head; a segmenter says more closely what it saw.
LABELS = (
    "background", "skin", "nose", "right_eye", "left_eye", "right_brow", "left_brow", "upper_lip", "lower_lip",
    "mouth_inside", "head", "ear", "neck", "hair", "glasses", "occluder",
)  # fmt: skip

LABEL = {name: number for number, name in enumerate(LABELS)}

PART_LABELS = LABEL["head"] + 1  # what a mesh can be labelled with: 0 to 10

# One colour for each of LABELS.
COLOURS = np.array(
    [
        (0, 0, 0), (255, 205, 160), (255, 130, 30), (30, 110, 255), (20, 210, 240), (140, 20, 170), (215, 60, 225),
        (235, 20, 40), (170, 0, 70), (90, 0, 0), (128, 128, 128), (250, 240, 60), (0, 160, 125), (70, 140, 40),
        (0, 250, 80), (255, 0, 255),
    ],
    np.uint8,
)  # fmt: skip
