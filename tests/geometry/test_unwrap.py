"""A disc laid flat: nothing flips, and texels go where they are wanted."""

import numpy as np
import pytest

from facefit.geometry.unwrap import boundary_loops, unwrap_disc


def dome(rings=8, around=24, height=1.5):
    """Half an ellipsoid as triangles with a round border, (N, 3) mm, (F, 3)."""
    verts, faces = [[0.0, 0.0, 100 * height]], []
    for ring in range(1, rings + 1):
        polar = np.pi / 2 * ring / rings
        for k in range(around):
            angle = 2 * np.pi * k / around
            x, y, z = np.sin(polar) * np.cos(angle), np.sin(polar) * np.sin(angle), height * np.cos(polar)
            verts.append([100 * x, 100 * y, 100 * z])
    for k in range(around):
        faces.append([0, 1 + k, 1 + (k + 1) % around])
    for ring in range(rings - 1):
        a, b = 1 + ring * around, 1 + (ring + 1) * around
        for k in range(around):
            n = (k + 1) % around
            faces += [[a + k, b + k, b + n], [a + k, b + n, a + n]]
    return np.array(verts), np.array(faces)


def circle(count):
    angle = 2 * np.pi * np.arange(count) / count
    return 0.5 + 0.5 * np.stack([np.cos(angle), np.sin(angle)], 1)


def areas(uv, faces):
    a, b, c = (uv[faces[:, k]] for k in range(3))
    return 0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])


def surface(verts, faces):
    a, b, c = (verts[faces[:, k]] for k in range(3))
    return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)


@pytest.fixture(scope="module")
def flat():
    verts, faces = dome()
    (loop,) = boundary_loops(faces)
    return verts, faces, loop, unwrap_disc(verts, faces, loop, circle(len(loop)), np.ones(len(verts)))


def test_the_border_of_a_dome(flat):
    verts, faces, loop, _ = flat
    assert len(loop) == 24 and np.allclose(verts[loop, 2], 0, atol=1e-9)
    step = np.linalg.norm(np.diff(verts[loop], axis=0), axis=1)
    assert np.allclose(step, step[0])  # neighbours in order
    # counter-clockwise as the triangles are: an edge of the loop is an edge of a triangle
    edges = {(int(a), int(b)) for f in faces for a, b in zip(f, np.roll(f, -1), strict=True)}
    assert all((int(a), int(b)) in edges for a, b in zip(loop, np.roll(loop, -1), strict=True))


def test_loops_longest_first():
    _, faces = dome()
    holed = faces[~(faces == 0).any(1)]  # the top is cut off
    loops = boundary_loops(holed)
    assert [len(loop) for loop in loops] == [24, 24] and len(boundary_loops(faces[:0])) == 0
    single = np.array([[0, 1, 2]])
    assert sorted(boundary_loops(single)[0].tolist()) == [0, 1, 2]


def test_no_triangle_flips_and_the_disc_is_filled(flat):
    _, faces, loop, uv = flat
    assert (areas(uv, faces) > 0).all()
    assert np.allclose(uv[loop], circle(len(loop)))
    polygon = areas(circle(24), np.array([[0, k, k + 1] for k in range(1, 23)])).sum()
    assert areas(uv, faces).sum() == pytest.approx(polygon)


def test_even_density_spreads_texels_evenly(flat):
    verts, faces, loop, uv = flat
    ratio = areas(uv, faces) / surface(verts, faces)
    plain = unwrap_disc(verts, faces, loop, circle(len(loop)), np.ones(len(verts)), rounds=1)
    before = areas(plain, faces) / surface(verts, faces)
    assert ratio.std() / ratio.mean() < 0.7 * before.std() / before.mean()


def test_texels_follow_the_wanted_density(flat):
    verts, faces, loop, uv = flat
    wanted = np.where(verts[:, 2] > 100, 3.0, 1.0)
    dense = unwrap_disc(verts, faces, loop, circle(len(loop)), wanted)
    assert (areas(dense, faces) > 0).all()
    top = (verts[faces, 2] > 100).all(1)
    assert areas(dense, faces)[top].sum() > 2 * areas(uv, faces)[top].sum()


def test_a_hole_stays_a_hole_and_folds_nothing():
    verts, faces = dome()
    holed = faces[~np.isin(faces, [0]).any(1)]
    used = np.unique(holed)
    renumber = np.full(len(verts), -1)
    renumber[used] = np.arange(len(used))
    verts, holed = verts[used], renumber[holed]
    loop = next(loop for loop in boundary_loops(holed) if abs(verts[loop[0], 2]) < 1e-6)
    uv = unwrap_disc(verts, holed, loop, circle(len(loop)), np.ones(len(verts)))
    assert uv.shape == (len(verts), 2) and (areas(uv, holed) > 0).all()
