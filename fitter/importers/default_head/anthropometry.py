"""What surveys measured on adult faces, and the same measures on a mesh: the model's sizes and spreads come from here.

Sources:
    NIOSH: Z. Zhuang and B. Bradtmiller, "Head-and-face anthropometric survey of U.S. respirator users", J. Occup.
    Environ. Hyg. 2 (2005), 567-576; 2543 men and 1454 women of four ancestry groups.
    Farkas: L. G. Farkas, "Anthropometry of the Head and Face", 2nd ed., 1994; young adults.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# MediaPipe's landmark numbers that lie on, or next to, the anthropometric points.
POINTS = {
    "sellion": (168,), "menton": (152,), "subnasale": (2,), "pronasale": (4,),
    "right_ala": (64,), "left_ala": (294,), "right_cheilion": (61,), "left_cheilion": (291,),
    "right_exocanthion": (33,), "left_exocanthion": (263,), "right_endocanthion": (133,), "left_endocanthion": (362,),
    "labiale_superius": (0,), "labiale_inferius": (17,), "stomion": (13, 14),
    "right_gonion": (58, 172), "left_gonion": (288, 397), "right_zygion": (234, 127), "left_zygion": (454, 356),
}  # fmt: skip


@dataclass(frozen=True)
class Survey:
    """Mean and standard deviation in mm, men and women."""

    men: tuple[float, float]
    women: tuple[float, float]
    source: str


SURVEYS = {
    "face breadth": Survey((143.5, 6.9), (135.1, 6.5), "NIOSH"),
    "jaw breadth": Survey((120.4, 10.4), (110.1, 8.9), "NIOSH"),
    "face length": Survey((122.7, 7.0), (113.4, 6.1), "NIOSH"),
    "interpupillary distance": Survey((64.5, 3.6), (61.9, 3.5), "NIOSH"),
    "head breadth": Survey((153.0, 6.0), (146.8, 5.6), "NIOSH"),
    "head length": Survey((197.3, 7.4), (187.5, 7.2), "NIOSH"),
    "nose protrusion": Survey((21.1, 2.7), (19.8, 2.7), "NIOSH"),
    "nose breadth": Survey((36.6, 4.1), (33.2, 3.9), "NIOSH"),
    "nose length": Survey((52.0, 4.1), (48.2, 3.8), "NIOSH"),
    "lip length": Survey((51.1, 4.2), (48.0, 4.0), "NIOSH"),
    "intercanthal distance": Survey((33.3, 2.7), (31.8, 2.3), "Farkas"),
    "biocular distance": Survey((91.2, 3.0), (87.8, 3.2), "Farkas"),
    "upper lip height": Survey((8.0, 1.4), (8.7, 1.3), "Farkas"),
}


@dataclass(frozen=True)
class Ruler:
    """Where to measure on the control mesh. Points are (C,) weight vectors, so a measure costs two products.

    Attributes:
        points: name -> (C,) weights.
        skull: indices of the vertices of the head without ears; level: their heights' reference (eye line), mm.
    """

    points: dict[str, np.ndarray]
    right_eye: np.ndarray
    left_eye: np.ndarray
    skull: np.ndarray

    def measure(self, verts: np.ndarray) -> np.ndarray:
        """Control vertices (C, 3) or (N, C, 3), mm -> (13,) or (N, 13) mm in the order of SURVEYS."""
        p = {name: np.einsum("c,...cx->...x", weight, verts) for name, weight in self.points.items()}

        def distance(a: str, b: str) -> np.ndarray:
            return np.linalg.norm(p[a] - p[b], axis=-1)

        right, left = verts[..., self.right_eye, :].mean(-2), verts[..., self.left_eye, :].mean(-2)
        skull = verts[..., self.skull, :]
        eyes = (right + left)[..., None, :] / 2
        high = skull[..., 1] > eyes[..., 1] + 15  # above the cheek bones: the braincase

        def extent(axis: int) -> np.ndarray:
            values = skull[..., axis]
            return np.where(high, values, -np.inf).max(-1) - np.where(high, values, np.inf).min(-1)

        lip = p["labiale_superius"] - p["stomion"]
        return np.stack(
            [
                distance("right_zygion", "left_zygion"),
                distance("right_gonion", "left_gonion"),
                distance("sellion", "menton"),
                np.linalg.norm(right - left, axis=-1),
                extent(0),
                extent(2),
                distance("pronasale", "subnasale"),
                distance("right_ala", "left_ala"),
                distance("sellion", "subnasale"),
                distance("right_cheilion", "left_cheilion"),
                distance("right_endocanthion", "left_endocanthion"),
                distance("right_exocanthion", "left_exocanthion"),
                np.linalg.norm(lip, axis=-1),
            ],
            -1,
        )
