"""Numba kernels over a range of tasks, on as many threads as torch uses.

Not numba's own `prange`: it compiles every kernel a second and third time (seconds, on the first run), its default
threading layer aborts the process when two threads of a program fit at once, and it does not follow
`torch.set_num_threads`, by which a program keeps several fits from fighting for the same cores.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

_pool: ThreadPoolExecutor | None = None


def in_parallel(kernel: Callable, tasks: int, *arguments) -> None:
    """Calls kernel(first, last, *arguments) for pieces of [0, tasks), the first of them on this thread.

    The kernel must release the GIL (`nogil=True`) and may write only what belongs to its tasks.
    """
    global _pool
    pieces = max(1, min(torch.get_num_threads(), tasks))
    bounds = [tasks * piece // pieces for piece in range(pieces + 1)]
    futures = []
    if pieces > 1:
        if _pool is None:
            _pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="facefit")
        futures = [_pool.submit(kernel, *piece, *arguments) for piece in zip(bounds[1:-1], bounds[2:], strict=True)]
    kernel(bounds[0], bounds[1], *arguments)
    for future in futures:
        future.result()


def _forget() -> None:
    global _pool
    _pool = None


# threads do not survive a fork: a child that kept the pool would wait for them for ever
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
