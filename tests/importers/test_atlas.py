"""An atlas for a mesh without texture coordinates."""

import builtins

import numpy as np
import pytest

from facefit.errors import ModelError
from facefit.importers.atlas import texture_atlas


def area(points, triangles):
    a, b, c = (points[triangles[:, k]] for k in range(3))
    return 0.5 * np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])


def test_charts_do_not_overlap_and_the_face_has_more_texels(toy_model):
    pytest.importorskip("xatlas")
    verts, faces = toy_model.verts.numpy().astype(float), toy_model.faces.numpy()
    upper = (verts[:, 1] > 0).astype(float)
    uv, uv_faces = texture_atlas(verts, faces, upper)
    assert uv_faces.shape == faces.shape and uv.min() >= 0 and uv.max() <= 1
    texels = area(uv, uv_faces)
    assert (texels > 0).mean() > 0.99 and 0.2 < texels.sum() < 1
    size = 256  # no pixel lies in two triangles: count centres
    rows, columns = np.divmod(np.arange(size * size), size)
    at = np.stack([(columns + 0.5) / size, (rows + 0.5) / size], 1)
    covered = np.zeros(len(at), int)
    for a, b, c in uv[uv_faces]:
        d = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        p = ((at[:, 0] - a[0]) * (c[1] - a[1]) - (at[:, 1] - a[1]) * (c[0] - a[0])) / d
        q = ((b[0] - a[0]) * (at[:, 1] - a[1]) - (b[1] - a[1]) * (at[:, 0] - a[0])) / d
        covered += (p > 1e-6) & (q > 1e-6) & (p + q < 1 - 1e-6)
    assert covered.max() == 1
    high = upper[faces].min(1) > 0
    low = upper[faces].max(1) == 0
    side = verts[faces]
    surface = 0.5 * np.linalg.norm(np.cross(side[:, 1] - side[:, 0], side[:, 2] - side[:, 0]), axis=1)
    assert texels[high].sum() / surface[high].sum() > 2 * texels[low].sum() / surface[low].sum()


def test_without_xatlas_the_message_says_how_to_get_it(toy_model, monkeypatch):
    real = builtins.__import__

    def absent(name, *rest, **named):
        if name == "xatlas":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ModelError, match=r"facefit\[models\]"):
        texture_atlas(toy_model.verts.numpy(), toy_model.faces.numpy(), np.ones(len(toy_model.verts)))
