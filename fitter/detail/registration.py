"""Laying photos of a patch on each other: fits of one person differ by a millimetre or two along the surface.

What is compared is chromaticity. Luminance would tell more, and most of it is what the surface is to be found from: a
flow that follows it lays the lit side of a fold on the unlit one of the next photo, and the fold is gone. On four
renders of each of two scans the displacement correlates with the scan's (3 to 6 mm) by .40 and .57 as the fits lie, by
.27 and .56 after luminance was followed, by .45 and .61 after chromaticity was. On all eight it is .52 and .73 as the
fits lie, and .64 and .81 with every pixel in its true place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from .patch import Patch
from .samples import PatchSample

_BROAD = 10.0  # mm: what changes more slowly is the colour of the light
_NOISE = 0.03  # of a log chromaticity, mean of _PER_AREA; differences beyond _FAR times of it count linearly
_PER_AREA, _FAR = 4.0, 3.5  # mm^2
_DEVIATION, _LENGTH = 1.5, 8.0  # mm: of a shift, and over which it varies
_MOST = 4.0  # mm; beyond, one of the photos shows something else
_STEP = 1.0  # mm to either side, of the differences that tell how colour changes
_ROUNDS = 2
_SEEN = 0.2  # photos that a vertex is at least divided by


def registered(patch: Patch, samples: Sequence[PatchSample]) -> list[PatchSample]:
    """The samples of P photos, each taken from where its paint lies on the mean of all.

    The shifts are smooth fields in the plane of each picture, found by Gauss-Newton (Lucas and Kanade 1981) with a
    membrane for prior. What moves alike in all photos cannot be seen, and stays.

    Args:
        samples: of one person. One without a crop cannot be taken from elsewhere, and then none is moved.
    """
    found = list(samples)
    if len(found) < 2 or any(sample.crop is None for sample in samples):
        return found
    weight = np.stack([sample.weight for sample in samples])
    around = weight.sum(0)
    prior = sparse.diags(patch.mass) / (_DEVIATION * _LENGTH) ** 2 + patch.stiffness / _DEVIATION**2
    shifts = [np.zeros((patch.count, 2)) for _ in samples]
    for _ in range(_ROUNDS):
        paint = np.stack([_paint(patch, sample) for sample in found])
        mean = np.einsum("pn,pnc->nc", weight, paint) / np.maximum(around, _SEEN)[:, None]
        for place, sample in enumerate(samples):
            counted = weight[place] * np.minimum(around - weight[place], 1)
            shifts[place] = _shift(patch, prior, sample, shifts[place], mean - paint[place], counted)
            found[place] = sample.moved(shifts[place])
    return found


def _paint(patch: Patch, sample: PatchSample) -> np.ndarray:
    """(N, 3) chromaticity without what is broad."""
    colour = sample.chromaticity
    broad = patch.smoothed(colour * sample.weight[:, None], _BROAD)
    return colour - broad / np.maximum(patch.smoothed(sample.weight, _BROAD), 1e-3)[:, None]


def _shift(
    patch: Patch, prior: sparse.spmatrix, sample: PatchSample, before: np.ndarray, off: np.ndarray, counted: np.ndarray
) -> np.ndarray:
    """(N, 2) mm right and down, from `before`; `off` (N, 3): what is wanted there beyond what is seen."""
    right, down = (
        (sample.moved(before + step).chromaticity - sample.moved(before - step).chromaticity) / (2 * _STEP)
        for step in _STEP * np.eye(2)
    )
    robust = 1 / np.maximum(np.linalg.norm(off, axis=1) / (_FAR * _NOISE), 1)
    sure = counted * robust * patch.mass / _PER_AREA / _NOISE**2
    wanted = off + right * before[:, :1] + down * before[:, 1:]
    across = sparse.diags(sure * (right * down).sum(1))
    system = sparse.bmat(
        [
            [prior + sparse.diags(sure * (right**2).sum(1)), across],
            [across, prior + sparse.diags(sure * (down**2).sum(1))],
        ]
    )
    slope = np.concatenate([sure * (side * wanted).sum(1) for side in (right, down)])
    found = splu(system.tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve(slope)
    found = found.reshape(2, -1).T
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return found * (np.minimum(length, _MOST) / np.maximum(length, 1e-9))
