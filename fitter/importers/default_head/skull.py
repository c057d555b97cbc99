"""How skulls differ among people of one face: components of their own, which move nothing that a photo of a face shows.

The other components know skulls only as they go with faces, so a fit that follows a bald head would bend the face to
it. Surveys find heads to differ by more. So skulls get a Gaussian process of smooth displacements (Luethi et al.,
Gaussian Process Morphable Models, TPAMI 2018, sec. 3) that is told that face, neck and mouth stay where they are, as
wide as lengths and breadths of heads lack of what surveys found; its principal directions are the components.
"""

from __future__ import annotations

import logging

import numpy as np

from ...anatomy.landmarks import CHIN, EAR_LOBES
from ...anatomy.parts import LABEL
from ...scene.silhouette import UNDER, ears
from .anthropometry import SURVEYS, Survey
from .head import reach_of_face

logger = logging.getLogger(__name__)

Arrays = dict[str, np.ndarray]

COUNT = 16  # with them breadth and length of heads have 97 % of the surveys' deviations; the rest are waves

SKULL_SOURCE = (
    f"{COUNT} further components, Gaussian process of smooth displacements of the skull (Luethi et al. 2018) "
    "as wide as Zhuang and Bradtmiller 2005 find heads to be"
)

LENGTH = 35.0  # mm along which two displacements are alike by .6; with 60 a skull cannot get broader beside its face

FACE_ENDS = 1.1  # of its reach

HELD = 0.05  # weight in what stays, from which a control vertex stays

EXACT = 0.02  # of a deviation, to which it does

BRAINCASE = 15.0  # mm above the eyes: there the breadth and the length of heads are taken


def with_skull(arrays: Arrays) -> Arrays:
    """The arrays of a model file (facefit.model.face_model), COUNT components of the skull after the others.

    Neither landmarks nor the points of facefit.observe.dense move, so what was calibrated holds.
    """
    verts = arrays["verts"].astype(np.float64)
    landmarks = _points(arrays, arrays["landmark_faces"], arrays["landmark_bary"])
    free = ~_still(arrays, landmarks)
    high = free & ~ears(verts, landmarks) & (verts[:, 1] > BRAINCASE)
    components = skull_components(verts, arrays["identity_basis"].astype(np.float64), free, high)
    logger.info("skull: moves by %.1f mm at most", np.linalg.norm(components, axis=2).max())
    identity = np.concatenate([arrays["identity_basis"], components.astype(arrays["identity_basis"].dtype)])
    told = arrays["corrective_identity"]
    none = np.zeros((len(told), len(components)), told.dtype)
    return arrays | {"identity_basis": identity, "corrective_identity": np.concatenate([told, none], 1)}


def skull_components(verts: np.ndarray, identity: np.ndarray, free: np.ndarray, high: np.ndarray) -> np.ndarray:
    """(COUNT, C, 3) mm per deviation, the largest first, 0 where not free.

    Args:
        verts: (C, 3) mm, x across, y up, z forward. identity: (I, C, 3) mm, the other components.
        free: (C,) bool, what may move. high: (C,) bool, where heads are measured.
    """
    found = []
    for axis, missing in enumerate(_missing(verts, identity, high)):
        # left and right move alike: outwards in x, together in y and z
        sign = -1.0 if axis == 0 else 1.0
        among = _alike(verts[free], verts[free], sign)
        across = _alike(verts[~free], verts[free], sign)
        stay = _alike(verts[~free], verts[~free], sign) + EXACT**2 * np.eye(int((~free).sum()))
        values, directions = np.linalg.eigh(among - across.T @ np.linalg.solve(stay, across))
        fields = np.zeros((COUNT, len(verts), 3))
        fields[:, free, axis] = (directions[:, : -COUNT - 1 : -1] * np.sqrt(values[: -COUNT - 1 : -1].clip(0))).T
        found.append(fields * (missing / _deviation(fields, *_ends(verts, high, axis))))
    everything = np.concatenate(found)
    largest = np.argsort(-np.square(everything).sum((1, 2)), kind="stable")[:COUNT]
    return everything[largest]


def _still(arrays: Arrays, landmarks: np.ndarray) -> np.ndarray:
    """(C,) bool: face, neck, all that a landmark or an observed point lies on, eyeballs and the mouth's inside.

    The neck begins UNDER the jaw's line from the chin to the ears' lower ends, and behind those at their level: the
    silhouette's own line goes on rising there, over the back of the head.
    """
    verts = arrays["verts"].astype(np.float64)
    chin, lobe = landmarks[CHIN, 1:], landmarks[list(EAR_LOBES), 1:].mean(0)  # y, z
    share = ((chin[1] - verts[:, 2]) / (chin[1] - lobe[1])).clip(0, 1)
    neck = verts[:, 1] < chin[0] + share * (lobe[0] - chin[0]) - UNDER
    still = neck | (reach_of_face(verts, landmarks) < FACE_ENDS)
    faces, dense = arrays["faces"], arrays["dense_faces"]
    fine = (arrays["vertex_label"] == LABEL["mouth_inside"]) | (arrays["eyeball"] > 0)
    for face, bary in ((arrays["landmark_faces"], arrays["landmark_bary"]), (dense, arrays["dense_bary"])):
        fine[faces[face][bary > 0]] = True
    still[arrays["upsample_index"][fine][arrays["upsample_weight"][fine] > HELD]] = True
    return still


def _points(arrays: Arrays, face: np.ndarray, bary: np.ndarray) -> np.ndarray:
    """(N, 3) mm, points on the mean face."""
    corners = arrays["faces"][face]
    weight, index = arrays["upsample_weight"][corners], arrays["upsample_index"][corners]
    on_corners = (arrays["verts"].astype(np.float64)[index] * weight[..., None]).sum(2)
    return (on_corners * bary[:, :, None]).sum(1)


def _alike(first: np.ndarray, second: np.ndarray, sign: float) -> np.ndarray:
    """(A, B) covariance of displacements along one axis that are mirrored with `sign`."""

    def near(other: np.ndarray) -> np.ndarray:
        return np.exp(-np.square(first[:, None] - other[None]).sum(2) / (2 * LENGTH**2))

    return near(second) + sign * near(second * [-1, 1, 1])


def _missing(verts: np.ndarray, identity: np.ndarray, high: np.ndarray) -> tuple[float, float, float]:
    """mm, the deviations of breadth, height above the eyes and length of heads that the other components lack. No
    survey measures that height: it spreads in proportion, as the others do on average."""
    breadth, length = (_ends(verts, high, axis) for axis in (0, 2))
    top = _ends(verts, high, 1)
    wanted = [_of_adults(SURVEYS[name]) for name in ("head breadth", "head length")]
    share = np.mean([deviation / mean for mean, deviation in wanted])
    height = share * verts[top[0], 1]
    out = []
    for ends, deviation in ((breadth, wanted[0][1]), (top, height), (length, wanted[1][1])):
        out.append(float(np.sqrt(max(deviation**2 - _deviation(identity, *ends) ** 2, 0))))
    return out[0], out[1], out[2]


def _of_adults(survey: Survey) -> tuple[float, float]:
    """Mean and deviation of as many men as women."""
    means, deviations = np.array([survey.men, survey.women]).T
    return float(means.mean()), float(np.sqrt(np.square(deviations).mean() + means.var()))


def _ends(verts: np.ndarray, high: np.ndarray, axis: int) -> tuple[int, int | None, int]:
    """The vertices between which the head is measured along an axis, and the axis; above the eyes it has one end."""
    index = np.flatnonzero(high)
    values = verts[index, axis]
    return int(index[values.argmax()]), None if axis == 1 else int(index[values.argmin()]), axis


def _deviation(components: np.ndarray, first: int, second: int | None, axis: int) -> float:
    moved = components[:, first, axis] - (0 if second is None else components[:, second, axis])
    return float(np.sqrt(np.square(moved).sum()))
