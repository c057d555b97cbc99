"""Factorised systems of meshes."""

import numpy as np
from scipy import sparse

from facefit.compute.sparse_solve import factored


def test_it_solves_what_it_is_of():
    rng = np.random.default_rng(0)
    edges = rng.integers(0, 40, (100, 2))
    between = sparse.coo_matrix((np.ones(100), edges.T), (40, 40))
    graph = sparse.csgraph.laplacian(between + between.T)
    system = sparse.coo_matrix(graph + sparse.diags(rng.uniform(0.1, 1, 40)))
    wanted = rng.normal(size=(40, 3))
    solver = factored(system)
    np.testing.assert_allclose(solver.solve(system @ wanted), wanted, atol=1e-9)
    np.testing.assert_allclose(solver.solve(system @ wanted[:, 0]), wanted[:, 0], atol=1e-9)
