"""Edges and connected pieces of meshes, by hand."""

import numpy as np

from facefit.geometry.mesh_graph import (
    connected_pieces,
    edge_matrix,
    edge_table,
    largest_piece,
    mesh_edges,
    polygon_sides,
)

# two triangles with a side in common, one apart from them, one that meets the first two in a corner
FACES = np.array([[0, 1, 2], [2, 1, 3], [6, 5, 4], [3, 7, 8]])
QUADS = np.array([[0, 1, 2, 3], [1, 4, 5, 2]])


def test_sides_follow_the_winding():
    assert polygon_sides(QUADS).tolist() == [[0, 1], [1, 4], [1, 2], [4, 5], [2, 3], [5, 2], [3, 0], [2, 1]]


def test_every_edge_once_in_rising_order():
    assert mesh_edges(FACES).tolist() == [
        [0, 1], [0, 2], [1, 2], [1, 3], [2, 3], [3, 7], [3, 8], [4, 5], [4, 6], [5, 6], [7, 8]
    ]  # fmt: skip


def test_who_has_an_edge():
    edges, of_quad, uses = edge_table(QUADS.astype(np.int32))
    assert edges.tolist() == [[0, 1], [0, 3], [1, 2], [1, 4], [2, 3], [2, 5], [4, 5]]
    assert of_quad.tolist() == [[0, 2, 4, 1], [3, 6, 5, 2]]  # side k runs from corner k to the next
    assert uses.tolist() == [1, 1, 2, 1, 1, 1, 1]


def test_values_in_both_directions():
    matrix = edge_matrix(np.array([[0, 1], [1, 2]]), np.array([5.0, 7.0]), 4).toarray()
    assert matrix.tolist() == [[0, 5, 0, 0], [5, 0, 7, 0], [0, 7, 0, 0], [0, 0, 0, 0]]


def test_pieces():
    piece = connected_pieces(mesh_edges(FACES), 10)
    assert piece.tolist() == [0, 0, 0, 0, 1, 1, 1, 0, 0, 2]  # vertex 9 is on its own


def test_the_largest_piece_of_some_vertices():
    inside = np.ones(9, bool)
    inside[3] = False  # cuts the corner off
    assert np.flatnonzero(largest_piece(inside, FACES)).tolist() == [0, 1, 2]
    counted = np.isin(np.arange(9), (1, 7, 8))
    assert np.flatnonzero(largest_piece(inside, FACES, counted)).tolist() == [7, 8]
