"""Processes that fit photos side by side, each on one thread."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor


def one_thread_each(jobs: int, begin: Callable[..., None], *given: object) -> ProcessPoolExecutor:
    """A pool of `jobs` processes; each calls `begin(*given)` first."""
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # before the workers import anything: a fork would share what is already running
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(jobs, mp_context=context, initializer=begin, initargs=given)
