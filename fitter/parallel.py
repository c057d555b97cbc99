"""How CPU kernels share the cores: a pool of threads that claim chunks of work.

numba's own `parallel=True` brings a second OpenMP runtime beside torch's. The threads of each spin on the cores that
the other's need, and every loop waits at a barrier for the slowest: on a busy machine with two cores a pass of 10 ms
was seen to take 250 ms. Here the calling thread works too and never waits for a helper that has not begun. Which thread
runs a chunk changes nothing, so kernels that give each chunk its own output are repeatable bit for bit.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_pool: ThreadPoolExecutor | None = None


def run_chunks(kernel: Callable[..., None], count: int, *arguments) -> None:
    """Call kernel(*arguments, chunk) for each chunk in range(count), on up to `torch.get_num_threads()` cores.

    The kernel must release the GIL (numba's `nogil=True`) to gain from it, and chunks must not write to the same place.
    Callable from several threads at once, and in a forked child.
    """
    helpers = min(torch.get_num_threads(), _CORES, count) - 1
    claim = itertools.count().__next__  # one bytecode, hence atomic

    def work() -> None:
        while (chunk := claim()) < count:
            kernel(*arguments, chunk)

    if helpers <= 0:
        work()
        return
    pool = _threads()
    begun = [pool.submit(work) for _ in range(helpers)]
    try:
        work()
    finally:
        late = [future for future in begun if not future.cancel()]
        for future in late:
            future.result()


def _threads() -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(max(1, _CORES - 1), thread_name_prefix="facefit")
    return _pool


def _forget_pool() -> None:
    global _pool
    _pool = None  # its threads do not exist in a forked child


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
