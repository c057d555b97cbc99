"""The proxies of one photo: what the mesh's own vertices can say of surface and paint, both strongly regularised.

One photo cannot tell shape from paint. A strongly regularised albedo lets the shape explain what it does not, and the
other way round (Tran et al. 2019, sec. 3.3, eq. 13). Both are found together (facefit.detail.shared_surface): albedo is
constant unless chromaticity changes (eq. 9), the displacement smooth (eq. 10).

The displacement of a single photo turns normals the right way, but it is no measure: on renders of two scans it makes
normals better by 5 and 7 %, and distances no better (one by 3 %, the other worse by 2 %). So what is broader than
TRUSTED stays in the normals alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..fit.result import FitResult
from .patch import Patch, skin_patch
from .refine import log_albedo
from .residual_shape import bare_skin
from .samples import sample_patch
from .shared_surface import lit_slopes, solve_surface
from .trust import FULL

TRUSTED = 8.0  # mm: of displacements that are broader a single photo knows nothing

_BROAD = 4.0  # mm over which a beard is told from bare skin, and its border is soft

_SEEN = 0.5  # weight from which on a vertex speaks for itself; below, the mirrored one does


@dataclass(frozen=True)
class Proxies:
    """What one photo says of a patch of N vertices as it is posed.

    Attributes:
        patch: of the fitted face, expression included.
        slope: (N, 3) gradient of the displacement. displacement: (N,) mm, what of it is trusted.
        shade: (N,) log luminance of white skin; explained: (N,) that of the proxies' skin.
        by_slope: (N, 3) what a further slope does to it.
        weight: (N,) in [0, 1] how far the finer residual at the vertex is to be believed.
    """

    patch: Patch
    slope: np.ndarray
    displacement: np.ndarray
    shade: np.ndarray
    explained: np.ndarray
    by_slope: np.ndarray
    weight: np.ndarray


def find_proxies(result: FitResult, believed: np.ndarray) -> Proxies:
    """Displacement and albedo of the mesh by one photo.

    Args:
        result: with its photo. believed: (V,) in [0, 1], how far the photo shows bare skin at a vertex.
    """
    weights, patch = FULL, skin_patch(result.model, result.verts)
    sample = sample_patch(result, patch)
    rotation, _ = result.pose()
    turn = np.broadcast_to(rotation, sample.turn.shape)  # the patch has the photo's expression already
    sample = replace(sample, weight=sample.weight * np.clip(believed[patch.vertices], 0, 1), turn=turn)
    found = solve_surface(patch, [sample], log_albedo(result)[patch.vertices], weights)
    shade, by_slope = lit_slopes(patch, found.displacement, turn, found.lights[0])
    explained = np.log(shade) + found.albedo
    # as in the solution itself: where luminance changes quickly, a fit that is a little off makes edges
    steep = np.linalg.norm(np.stack([part @ explained for part in patch.gradient], 1), axis=1)
    sure = weights.noise**2 / (weights.noise**2 + (weights.place * steep) ** 2)
    raised = found.displacement
    if (sample.weight > _SEEN).any():
        seen = sample.weight + 1e-3
        smooth = patch.smoothed(seen * (sample.luminance - np.log(shade)), _BROAD) / patch.smoothed(seen, _BROAD)
        raised = raised * patch.smoothed(bare_skin(smooth, sample.weight), _BROAD)
    raised = _mirrored(result, patch, raised, sample.weight)
    return Proxies(
        patch=patch, slope=np.stack([part @ raised for part in patch.gradient], 1),
        displacement=patch.fade * (raised - patch.smoothed(raised, TRUSTED / 2)),
        shade=np.log(shade), explained=explained, by_slope=by_slope, weight=patch.fade * patch.skin * sure,
    )  # fmt: skip


def _mirrored(result: FitResult, patch: Patch, displacement: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The displacement (N,), that of the mirrored vertex where the photo shows only that one (Tran 2019, eq. 16).

    A face is not symmetric; what its shading adds to the fitted one is more like the other side's than like nothing.
    """
    whole, shown = np.zeros((2, len(result.model.verts)))
    whole[patch.vertices], shown[patch.vertices] = displacement, np.clip(weight / _SEEN, 0, 1)
    other = result.model.symmetry.numpy()[patch.vertices]
    own = shown[patch.vertices]
    return own * displacement + (1 - own) * shown[other] * whole[other]
