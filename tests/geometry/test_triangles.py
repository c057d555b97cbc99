"""Normals, areas, weights and samples of triangles, by hand."""

import numpy as np
import pytest

from facefit.geometry.triangles import (
    moved_normals,
    sample_surface,
    sample_triangles,
    triangle_areas,
    triangle_normals,
    triangle_weights,
    vertex_normals,
    vertex_tangents,
)


def test_vertex_normals_of_a_tent():
    verts = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, -3], [9, 9, 9]], float)
    faces = np.array([[0, 1, 2], [0, 3, 1]])  # areas 0.5 and 1.5, towards +z and -y... by the right-hand rule
    normals = vertex_normals(verts, faces)
    np.testing.assert_allclose(normals[2], (0, 0, 1))
    np.testing.assert_allclose(normals[3], np.cross([0, 0, -3], [1, 0, 0]) / 3)
    np.testing.assert_allclose(normals[0], np.array([0, -3, 1]) / np.sqrt(10))
    np.testing.assert_allclose(normals[4], (0, 0, 1))  # in no triangle


def test_areas_and_normals():
    triangles = np.array([[[0, 0, 0], [2, 0, 0], [0, 4, 0]], [[0, 0, 0], [0, 0, 3], [0, 2, 0]], [[1, 1, 1]] * 3], float)
    assert triangle_areas(triangles).tolist() == [4, 3, 0]
    assert triangle_normals(triangles).tolist() == [[0, 0, 1], [-1, 0, 0], [0, 0, 0]]


def test_weights_of_points_on_triangles():
    triangles = np.array([[[0, 0, 0], [2, 0, 0], [0, 4, 0]]], float).repeat(4, 0)
    triangles[3] = [[1, 1, 1]] * 3  # no area
    weights = triangle_weights(np.array([[0.5, 1, 0], [2, 0, 0], [-1, -1, 0.0], [1, 1, 1]]), triangles)
    assert np.allclose(weights[0], [0.5, 0.25, 0.25]) and np.allclose(weights[1], [0, 1, 0])
    assert (weights >= 0).all() and np.allclose(weights.sum(1), 1)
    assert weights[3].tolist() == [1, 0, 0]


def test_weights_give_the_point_wherever_the_triangle_lies():
    rng = np.random.default_rng(4)
    triangles = rng.normal(size=(20, 3, 3)) * 30 + (100, -40, 7)
    weights = rng.dirichlet((1, 1, 1), 20)
    assert np.allclose(triangle_weights((triangles * weights[..., None]).sum(1), triangles), weights)


def test_samples_follow_the_area():
    verts = np.array([[0, 0, 0], [3, 0, 0], [0, 2, 0], [0, 0, 2]], float)
    faces = np.array([[0, 1, 2], [0, 2, 3], [1, 1, 2]])  # areas 3, 2 and 0
    chosen, weights = sample_triangles(verts[faces], 20_000, seed=3)
    assert np.bincount(chosen, minlength=3) / 20_000 == pytest.approx([0.6, 0.4, 0], abs=0.01)
    assert (weights >= 0).all() and np.allclose(weights.sum(1), 1)
    assert weights.mean(0) == pytest.approx([1 / 3] * 3, abs=0.01)  # the middle of each triangle
    points = sample_surface(verts, faces, 20_000, seed=3)
    assert np.array_equal(points, (verts[faces[chosen]] * weights[..., None]).sum(1))
    with pytest.raises(ValueError, match="no area"):
        sample_surface(verts, faces[2:], 5)


def test_normals_under_displacements_are_those_of_the_moved_mesh():
    rng = np.random.default_rng(2)
    grid = np.stack([*np.meshgrid(np.arange(6.0), np.arange(5.0)), rng.normal(0, 0.2, (5, 6))], -1).reshape(-1, 3)
    at = np.arange(30).reshape(5, 6)
    a, b, c, d = at[:-1, :-1], at[:-1, 1:], at[1:, 1:], at[1:, :-1]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    local, nothing = np.zeros((2, 30, 3))
    local[8] = 0.1, 0.2, 0.7
    normals, turned = moved_normals(grid, faces, [local, nothing])
    np.testing.assert_allclose(normals, vertex_normals(grid, faces), atol=1e-12)
    rows, turn = turned[0]
    assert len(rows) == 7  # the vertex and those around it
    moved = normals.copy()
    moved[rows] += turn
    np.testing.assert_allclose(moved, vertex_normals(grid + local, faces), atol=1e-12)
    assert len(turned[1][0]) == 0


def test_tangents_follow_the_layout():
    """On a quarter turn of a cylinder whose u goes around it and v up it; mirrored, the sign turns."""
    angle, height = np.meshgrid(np.linspace(0, np.pi / 2, 9), np.linspace(0, 1, 4))
    verts = np.stack([np.cos(angle), height, -np.sin(angle)], -1).reshape(-1, 3)
    uv = np.stack([angle, height], -1).reshape(-1, 2)
    low = (np.arange(3)[:, None] * 9 + np.arange(8)).reshape(-1)
    faces = np.concatenate([np.stack([low, low + 1, low + 9], 1), np.stack([low + 1, low + 10, low + 9], 1)])
    normals = np.stack([np.cos(angle), 0 * angle, -np.sin(angle)], -1).reshape(-1, 3)
    wanted = np.stack([-np.sin(angle), 0 * angle, -np.cos(angle)], -1).reshape(-1, 3)
    found = vertex_tangents(verts, uv, faces, normals)
    inner = np.tile(np.arange(9) % 8 > 0, 4)
    np.testing.assert_allclose(found[inner, :3], wanted[inner], atol=0.02)
    np.testing.assert_allclose((found[:, :3] * normals).sum(1), 0, atol=1e-12)
    up = found[:, 3:] * np.cross(normals, found[:, :3])
    np.testing.assert_allclose(up[inner], np.tile([0.0, 1, 0], (inner.sum(), 1)), atol=0.02)
    mirrored = vertex_tangents(verts, uv * (-1, 1), faces, normals)
    np.testing.assert_allclose(mirrored[:, 3], -found[:, 3])
    blank = vertex_tangents(verts, 0 * uv, faces, normals)
    np.testing.assert_allclose(np.linalg.norm(blank[:, :3], axis=1), 1)
