"""Catmull-Clark as a matrix: a cube's known numbers, boundaries that stay, planes that stay planes."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from facefit.geometry.subdivide import catmull_clark, linear, padded, split_quads, triangulate

CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
CUBE_QUADS = np.array(
    [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
)  # fmt: skip


def sheet(rows=4, columns=5):
    grid = np.arange(rows * columns).reshape(rows, columns)
    quads = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], -1).reshape(-1, 4)
    y, x = np.mgrid[:rows, :columns]
    return np.stack([x, y, 0 * x], -1).reshape(-1, 3).astype(float), quads


@pytest.mark.parametrize("subdivide", [linear, catmull_clark])
def test_counts_order_and_rows_that_sum_to_one(subdivide):
    matrix, quads = subdivide(CUBE_QUADS, 8)
    assert matrix.shape == (8 + 12 + 6, 8) and quads.shape == (24, 4)
    assert np.allclose(np.asarray(matrix.sum(1)).ravel(), 1)
    assert (matrix.data >= 0).all()
    # the old vertices first: quad k's four children each keep one corner of it
    assert quads.reshape(6, 4, 4)[:, :, 0].tolist() == CUBE_QUADS.tolist()


def test_a_cube_by_hand():
    """Catmull and Clark 1978: face points at 1, edge points at 3/4, corners at (F + 2 R) / 3 = 5/9."""
    matrix, _ = catmull_clark(CUBE_QUADS, 8)
    fine = matrix @ CUBE
    assert np.allclose(np.abs(fine[:8]), 5 / 9)
    assert np.allclose(np.sort(np.abs(fine[8:20]), 1), [0, 0.75, 0.75])
    assert np.allclose(np.sort(np.abs(fine[20:]), 1), [0, 0, 1])


def test_children_keep_the_orientation():
    _, quads = catmull_clark(CUBE_QUADS, 8)
    matrix, _ = linear(CUBE_QUADS, 8)
    fine = matrix @ CUBE
    a, b, c = (fine[quads[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    outward = np.sign((normal * fine[quads].mean(1)).sum(1))
    assert (outward == outward[0]).all()


def test_the_boundary_is_a_cubic_spline_of_itself():
    verts, quads = sheet()
    fine = catmull_clark(quads, len(verts))[0] @ verts
    # vertex 1 lies on the lower edge between 0 and 2: 1/8, 6/8, 1/8 of its neighbours along the border, none inside
    row = catmull_clark(quads, len(verts))[0][1].toarray().ravel()
    assert row[0] == pytest.approx(1 / 8) and row[1] == pytest.approx(6 / 8) and row[2] == pytest.approx(1 / 8)
    assert np.count_nonzero(row) == 3
    assert fine[:, 2].max() == 0  # a plane stays a plane
    assert np.allclose(fine[0], [0.125, 0.125, 0])  # its corners round off; the rest of the border stays
    assert np.allclose(fine[1], verts[1])


def test_a_regular_inner_vertex_by_hand():
    """Valence 4: 9/16 of itself, 3/32 of each edge neighbour, 1/64 of each diagonal one."""
    verts, quads = sheet(5, 5)
    row = catmull_clark(quads, 25)[0][12].toarray().reshape(5, 5)
    assert row[2, 2] == pytest.approx(9 / 16)
    assert row[1, 2] == pytest.approx(3 / 32) and row[2, 3] == pytest.approx(3 / 32)
    assert row[1, 1] == pytest.approx(1 / 64) and np.count_nonzero(row) == 9


def test_linear_keeps_what_is_linear():
    verts, quads = sheet()
    slope = verts @ [[2.0, 0.5], [-1.0, 3.0], [0.0, 0.0]] + [7, 9]
    matrix, new = linear(quads, len(verts))
    assert np.allclose(matrix @ slope, (matrix @ verts) @ [[2.0, 0.5], [-1.0, 3.0], [0.0, 0.0]] + [7, 9])
    assert np.allclose((matrix @ verts)[: len(verts)], verts)
    area = (matrix @ verts)[new]
    width = np.linalg.norm(area[:, 1] - area[:, 0], axis=1)
    assert np.allclose(width, 0.5)


def test_both_number_the_fine_mesh_alike():
    assert np.array_equal(linear(CUBE_QUADS, 8)[1], catmull_clark(CUBE_QUADS, 8)[1])


def test_vertices_of_no_quad_stay():
    verts, quads = sheet()
    lonely = np.concatenate([verts, [[5.0, 5.0, 5.0]]])
    fine = catmull_clark(quads, len(lonely))[0] @ lonely
    assert np.allclose(fine[len(verts)], [5, 5, 5])


def test_shared_edges_get_one_vertex():
    _, edges, quad_edges = split_quads(CUBE_QUADS, 8)
    assert len(edges) == 12
    assert np.bincount(quad_edges.ravel()).tolist() == [2] * 12


def test_triangles_take_the_shorter_diagonal():
    verts = np.array([[0, 0, 0], [2, 0, 0], [3, 1, 0], [0, 1, 0]], float)  # 1-3 is shorter than 0-2
    triangles, corner = triangulate(np.array([[0, 1, 2, 3]]), verts)
    assert triangles.tolist() == [[0, 1, 3], [1, 2, 3]] and corner.tolist() == [[0, 1, 3], [1, 2, 3]]
    triangles, corner = triangulate(np.array([[1, 2, 3, 0]]), verts)
    assert {frozenset(t) for t in triangles.tolist()} == {frozenset((0, 1, 3)), frozenset((1, 2, 3))}
    cube, _ = triangulate(CUBE_QUADS, CUBE)
    a, b, c = (CUBE[cube[:, k]] for k in range(3))
    assert np.allclose(0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1).sum(), 24)


def test_padded_rows_give_the_same_product():
    matrix, _ = catmull_clark(CUBE_QUADS, 8)
    index, weight = padded(matrix)
    assert index.dtype == np.int32 and weight.dtype == np.float32
    assert np.allclose((CUBE[index] * weight[..., None]).sum(1), matrix @ CUBE, atol=1e-6)
    zero = csr_matrix((np.array([0.0, 2.0]), ([0, 0], [0, 1])), shape=(2, 2))
    index, weight = padded(zero)  # stored zeros take no place; an empty row is all padding
    assert index.shape == (2, 1) and weight.tolist() == [[2.0], [0.0]]
