"""Which of MediaPipe's 478 landmarks is what: loops around the parts, and each landmark's mirror image.

"Right" is the person's right, which is on the left of a photo. A loop runs around its part once, so that filling it
as a polygon gives the part.
"""

from __future__ import annotations

import numpy as np

LANDMARKS = 478

IRISES = slice(468, LANDMARKS)  # five points on each eyeball, the right one first; all others lie on the skin

# Forehead and chin: the ends of the face's height. The sides of the face lie in front of the ears.
FOREHEAD, CHIN = 10, 152

RIGHT_SIDE, LEFT_SIDE = 234, 454

# Right and left, on the oval: at the height of the ears' upper and lower ends.
EAR_TOPS, EAR_LOBES = (162, 389), (58, 288)

RIGHT_OUTER_CORNER, RIGHT_INNER_CORNER = 33, 133  # of the eyes

LEFT_INNER_CORNER, LEFT_OUTER_CORNER = 362, 263

NOSE_TIP, NOSE_BASE = 1, 2

UPPER_LIP_TOP, LOWER_LIP_BOTTOM = 0, 17  # of the lips' outer rims, in the middle

RIGHT_MOUTH_CORNER, LEFT_MOUTH_CORNER = 61, 291

FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip

RIGHT_UPPER_LID = (33, 246, 161, 160, 159, 158, 157, 173, 133)

RIGHT_LOWER_LID = (33, 7, 163, 144, 145, 153, 154, 155, 133)

RIGHT_BROW_UPPER = (70, 63, 105, 66, 107)  # from the temple to the nose

RIGHT_BROW_LOWER = (46, 53, 52, 65, 55)

# From corner to corner, the person's right first.
UPPER_LIP_OUTER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)

LOWER_LIP_OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)

UPPER_LIP_INNER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)

LOWER_LIP_INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)

# Root of the nose, side of the bridge, around the wing, base: the person's right half from top to bottom.
# Of the loops tried against hand labels and rendered noses the one with the best overlap.
RIGHT_NOSE = (168, 193, 122, 188, 174, 198, 209, 129, 98, 97, 2)

MIDLINE = (
    0, 1, 2, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 94, 151, 152, 164, 168, 175, 195, 197, 199, 200,
)  # fmt: skip


def _mirror() -> np.ndarray:
    # The mesh numbers the person's left half (248..467) in the order of the right half, the midline left out.
    mirror = np.arange(LANDMARKS)
    right = np.setdiff1d(np.arange(248), MIDLINE)
    left = np.arange(248, IRISES.start)
    mirror[right], mirror[left] = left, right
    for a, b in ((468, 473), (469, 476), (470, 475), (471, 474), (472, 477)):  # irises: centre, then four points around
        mirror[a], mirror[b] = b, a
    return mirror


MIRROR = _mirror()

MIRROR.setflags(write=False)


def mirrored(loop: tuple[int, ...]) -> tuple[int, ...]:
    """The same loop on the other half of the face."""
    return tuple(int(MIRROR[index]) for index in loop)


LEFT_UPPER_LID, LEFT_LOWER_LID = mirrored(RIGHT_UPPER_LID), mirrored(RIGHT_LOWER_LID)

LEFT_BROW_UPPER, LEFT_BROW_LOWER = mirrored(RIGHT_BROW_UPPER), mirrored(RIGHT_BROW_LOWER)

RIGHT_EYE = RIGHT_UPPER_LID + RIGHT_LOWER_LID[-2:0:-1]

LEFT_EYE = mirrored(RIGHT_EYE)

RIGHT_BROW = RIGHT_BROW_UPPER + RIGHT_BROW_LOWER[::-1]

LEFT_BROW = mirrored(RIGHT_BROW)

LIPS_OUTER = UPPER_LIP_OUTER + LOWER_LIP_OUTER[-2:0:-1]

LIPS_INNER = UPPER_LIP_INNER + LOWER_LIP_INNER[-2:0:-1]

UPPER_LIP = UPPER_LIP_OUTER + UPPER_LIP_INNER[::-1]

LOWER_LIP = LOWER_LIP_OUTER + LOWER_LIP_INNER[::-1]

NOSE = RIGHT_NOSE + mirrored(RIGHT_NOSE)[-2:0:-1]

# Upper and lower lid in MediaPipe's topology, from the outer to the inner corner (corners 33, 133; 263, 362 left out).
RIGHT_LID_PAIRS = ((246, 7), (161, 163), (160, 144), (159, 145), (158, 153), (157, 154), (173, 155))

LEFT_LID_PAIRS = ((466, 249), (388, 390), (387, 373), (386, 374), (385, 380), (384, 381), (398, 382))

LID_PAIRS = RIGHT_LID_PAIRS + LEFT_LID_PAIRS

# Inner rims of upper and lower lip, from the person's right to the left (corners 78 and 308 left out).
INNER_LIP_PAIRS = (
    (191, 95), (80, 88), (81, 178), (82, 87), (13, 14), (312, 317), (311, 402), (310, 318), (415, 324),
)  # fmt: skip

# iBug's 68 points in MediaPipe's numbers. The jaw line (0 to 16) is a contour in both and corresponds only roughly;
# brows are traced along the upper edge by iBug, within the hair by MediaPipe. Held against the points that ICT-FaceKit
# publishes: 195 lies 2 mm from the third of the bridge, 5 lies 6 mm from it.
IBUG68 = (
    127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 168, 197, 195, 4, 98, 97, 2, 326, 327,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91, 78, 81, 13, 311, 308, 402, 14, 178,
)  # fmt: skip

OUTER_EYE_CORNERS = (RIGHT_OUTER_CORNER, LEFT_OUTER_CORNER)

EYE_CORNERS = (RIGHT_OUTER_CORNER, RIGHT_INNER_CORNER, LEFT_INNER_CORNER, LEFT_OUTER_CORNER)

# The points by which a mesh is laid on a scan.
LANDMARKS7 = (*EYE_CORNERS, NOSE_BASE, RIGHT_MOUTH_CORNER, LEFT_MOUTH_CORNER)

LANDMARK7_NAMES = (
    "right_eye_outer", "right_eye_inner", "left_eye_inner", "left_eye_outer", "nose_bottom", "right_mouth_corner",
    "left_mouth_corner",
)  # fmt: skip
