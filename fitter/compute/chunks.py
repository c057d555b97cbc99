"""Shares of a kernel's work."""

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True)
def span(count, chunks, chunk):
    """Batch item, first and past-the-last element of one of batch * chunks chunks."""
    c = chunk % chunks
    return chunk // chunks, c * count // chunks, (c + 1) * count // chunks
