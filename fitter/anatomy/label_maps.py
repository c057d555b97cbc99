"""Label sets of published face parsers and data sets, in our labels."""

from __future__ import annotations

import numpy as np

from .parts import LABEL, LABELS, MERGED

# Helen (Smith et al. 2013) and, with ears and glasses, iBugMask (Lin et al. 2021).
IBUG11 = (
    "background", "skin", "left_brow", "right_brow", "left_eye", "right_eye", "nose", "upper_lip", "mouth_inside",
    "lower_lip", "hair",
)  # fmt: skip

IBUG14 = (*IBUG11, "ear", "ear", "glasses")

# CelebAMask-HQ's classes in the order of the widely used BiSeNet (zllrunning/face-parsing.PyTorch).
BISENET19 = (
    "background", "skin", "left_brow", "right_brow", "left_eye", "right_eye", "glasses", "ear", "ear", "occluder",
    "nose", "mouth_inside", "upper_lip", "lower_lip", "neck", "neck", "background", "hair", "occluder",
)  # fmt: skip

# CelebAMask-HQ (Lee et al. 2020). Hats, ear rings and necklaces cover; cloth is no person's skin. Sides: see `sides`.
CELEBAMASK19 = (
    "background", "skin", "nose", "glasses", "left_eye", "right_eye", "left_brow", "right_brow", "ear", "ear",
    "mouth_inside", "upper_lip", "lower_lip", "hair", "occluder", "occluder", "neck", "neck", "background",
)  # fmt: skip

# FASSEG (Khan et al. 2015), numbered by colour. Its mouth is lips and opening, its skin has ears and neck.
FASSEG = ("background", "skin", "hair", "nose", "eyes", "mouth", "brows")

# What FASSEG would call each of our labels. It has no glasses: the label below them goes on.
FASSEG_NAME = {
    "background": "background", "skin": "skin", "nose": "nose", "right_eye": "eyes", "left_eye": "eyes",
    "right_brow": "brows", "left_brow": "brows", "upper_lip": "mouth", "lower_lip": "mouth", "mouth_inside": "mouth",
    "head": "background", "ear": "skin", "neck": "skin", "hair": "hair", "glasses": "skin", "occluder": "background",
}  # fmt: skip

# Of the parsers in ONNX files; what tells the classes apart is their number and order.
LABEL_MAPS = {"celebamask19": CELEBAMASK19, "bisenet19": BISENET19, "ibug11": IBUG11, "ibug14": IBUG14}


def our_labels(names: tuple[str, ...]) -> np.ndarray:
    """(C,) uint8: the number in LABELS of each class; of a merged part (MERGED) that of its first member."""
    return np.array([LABEL[MERGED[name][0] if name in MERGED else name] for name in names], np.uint8)


def fasseg_numbers() -> np.ndarray:
    """(16,) uint8: FASSEG's number of each of LABELS."""
    return np.array([FASSEG.index(FASSEG_NAME[name]) for name in LABELS], np.uint8)
