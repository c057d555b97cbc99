"""Vertices as points of triangles."""

import numpy as np

from facefit.importers.dense_points import at_vertices


def test_each_point_is_the_vertex_it_was():
    faces = np.array([[0, 1, 2], [2, 1, 3], [3, 4, 0]])
    arrays = at_vertices(faces, np.array([4, 2, 0, 3]))
    corners = faces[arrays["dense_faces"]]
    assert (arrays["dense_bary"].sum(1) == 1).all() and (arrays["dense_bary"].max(1) == 1).all()
    np.testing.assert_array_equal(corners[np.arange(4), arrays["dense_bary"].argmax(1)], [4, 2, 0, 3])
