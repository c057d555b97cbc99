"""Sparse linear systems of meshes."""

from __future__ import annotations

from scipy import sparse
from scipy.sparse.linalg import SuperLU, splu


def factored(matrix: sparse.spmatrix) -> SuperLU:
    """A factorisation of a symmetric positive definite matrix, whose `solve` takes one right side or several columns.

    Such a matrix needs no pivoting, so that rows keep the order in which least is filled in.
    """
    return splu(matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
