"""Finer triangles over a ball."""

import numpy as np
import trimesh

from facefit.geometry.tessellation import curved_middles, flat_middles, split_triangles
from facefit.geometry.triangles import triangle_areas, triangle_normals


def test_a_ball_becomes_rounder_and_keeps_its_vertices():
    ball = trimesh.creation.icosphere(subdivisions=1, radius=50)
    verts, faces = np.array(ball.vertices), np.array(ball.faces)
    split, edges = split_triangles(faces, len(verts))
    curved, flat = curved_middles(verts, faces, edges), flat_middles(verts, edges)
    assert len(split) == 4 * len(faces) and (np.unique(split) == np.arange(len(curved))).all()
    np.testing.assert_array_equal(curved[: len(verts)], verts)
    off = [np.abs(np.linalg.norm(points[len(verts) :], axis=1) - 50).max() for points in (flat, curved)]
    assert off[1] < 0.35 * off[0]
    outwards = (triangle_normals(curved[split]) * curved[split].mean(1)).sum(1)
    assert (outwards > 0).all()
    # four of one: they lie where it was
    np.testing.assert_allclose(triangle_areas(flat[split]).reshape(-1, 4).sum(1), triangle_areas(verts[faces]))
    np.testing.assert_allclose(flat[split].reshape(-1, 12, 3).mean(1), verts[faces].mean(1), atol=1e-9)
