"""The patch: its derivatives, its borders, and what belongs to it."""

import numpy as np
import pytest

from facefit.anatomy.parts import LABEL
from facefit.detail.patch import FADE, skin_patch, surface_patch


def sheet(side: int = 21, spacing: float = 2.0):
    """A flat sheet in the plane x, y, mm."""
    y, x = np.mgrid[:side, :side] * spacing
    number = np.arange(side * side).reshape(side, side)
    a, b, c, d = (
        number[r, q].reshape(-1) for r in (slice(0, -1), slice(1, None)) for q in (slice(0, -1), slice(1, None))
    )
    faces = np.concatenate([np.stack([a, b, d], 1), np.stack([a, d, c], 1)])
    return np.stack([x, y, 0 * x], -1).reshape(-1, 3), faces


@pytest.fixture(scope="module")
def flat():
    verts, faces = sheet()
    return surface_patch(verts, faces, np.ones(len(verts), bool), np.ones(len(verts), bool))


def test_the_gradient_of_a_linear_field_is_its_slope(flat):
    field = 0.3 * flat.points[:, 0] - 0.2 * flat.points[:, 1] + 5
    for part, slope in zip(flat.gradient, (0.3, -0.2, 0.0), strict=True):
        np.testing.assert_allclose(part @ field, slope, atol=1e-12)


def test_mass_and_stiffness_are_area_and_dirichlet_energy(flat):
    area = 40.0**2
    assert flat.mass.sum() == pytest.approx(area)
    field = 0.3 * flat.points[:, 0]
    assert field @ flat.stiffness @ field == pytest.approx(0.3**2 * area)


def test_smoothing_keeps_the_mean_and_takes_what_is_finer(flat):
    rng = np.random.default_rng(0)
    field = 2 + rng.normal(size=flat.count)
    smooth = flat.smoothed(field, 6.0)
    assert flat.mass @ smooth == pytest.approx(flat.mass @ field)
    assert smooth.std() < 0.25 * field.std()
    assert np.array_equal(flat.smoothed(field, 0.0), field)


def test_it_fades_towards_its_borders(flat):
    x, y = flat.points[:, 0], flat.points[:, 1]
    border = np.minimum(np.minimum(x, 40 - x), np.minimum(y, 40 - y))
    assert np.allclose(flat.fade[border == 0], 0)
    assert np.allclose(flat.fade[border >= FADE], 1)
    assert ((flat.fade > 0) & (flat.fade < 1))[border == 2].all()


def test_of_a_head_it_is_the_face_without_eyes_mouth_and_what_lies_hidden(default_model):
    verts = default_model.verts.numpy().astype(float)
    patch = skin_patch(default_model, verts)
    labels = set(default_model.vertex_label.numpy()[patch.vertices])
    assert labels <= {LABEL[name] for name in ("skin", "nose", "right_brow", "left_brow", "upper_lip", "lower_lip")}
    assert not (default_model.eyeball.numpy()[patch.vertices]).any()
    assert patch.normals[:, 2].min() > -0.75 and len(patch.faces) > 8000
    assert {LABEL["skin"], LABEL["nose"]} == set(default_model.vertex_label.numpy()[patch.vertices[patch.skin]])
