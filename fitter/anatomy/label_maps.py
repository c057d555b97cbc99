"""Label sets of published face parsers and data sets, in our labels."""

from __future__ import annotations

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

LABEL_MAPS = {"celebamask19": CELEBAMASK19, "bisenet19": BISENET19, "ibug11": IBUG11, "ibug14": IBUG14}


# --- labels made elsewhere ------------------------------------------------------------------------------------------

# FASSEG's six classes (Khan et al. 2015), as numbered by colour: mouth is lips and opening, skin has ears and neck.
_FASSEG = {0: "background", 1: "skin", 2: "hair", 3: "nose", 4: "right_eye", 5: "mouth", 6: "right_brow"}
