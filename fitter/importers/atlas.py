"""Texture coordinates for a mesh that has none, by xatlas: charts without overlap, the face with more texels."""

from __future__ import annotations

import numpy as np

from ..errors import ModelError

GUTTER = 4  # texels between charts of a 1024 px texture
FACE_SCALE = 2.0  # the face's edges count this much longer than those of the back of the head


def texture_atlas(verts: np.ndarray, faces: np.ndarray, front: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut and pack a surface.

    Args:
        verts: (V, 3) mm; faces: (F, 3); front: (V,) in [0, 1], smooth over the surface: how much a vertex is looked at.
    Returns:
        (T, 2) in [0, 1], v up, and (F, 3) indices into them.
    Raises:
        ModelError: xatlas is not installed.
    """
    try:
        import xatlas
    except ImportError:
        raise ModelError(
            "this model has no texture coordinates and xatlas, which makes them, is not installed; "
            "`pip install facefit[models]`"
        ) from None
    # xatlas gives texels by area: the face is enlarged about its own middle
    middle = np.average(verts, axis=0, weights=front + 1e-9)
    enlarged = (middle + (verts - middle) * (1 + (FACE_SCALE - 1) * front[:, None])).astype(np.float32)
    atlas = xatlas.Atlas()
    atlas.add_mesh(enlarged, faces.astype(np.uint32))
    chart = xatlas.ChartOptions()
    chart.max_cost = 8.0  # long seams cost more than stretch: a face in few pieces
    pack = xatlas.PackOptions()
    pack.resolution, pack.padding, pack.bilinear = 1024, GUTTER, True
    atlas.generate(chart_options=chart, pack_options=pack)
    _, corners, uv = atlas[0]
    if atlas.atlas_count != 1:
        raise ModelError(f"the surface fills {atlas.atlas_count} textures; one was expected")
    return np.clip(uv.astype(np.float64), 0, 1), corners.astype(np.int64)
