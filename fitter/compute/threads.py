"""How CPU kernels share the cores: a pool of threads that claim chunks of work.

numba's own `parallel=True` brings a second OpenMP runtime beside torch's. The threads of each spin on the cores that
the other's need, and every loop waits at a barrier for the slowest: on a busy machine with two cores a pass of 10 ms
was seen to take 250 ms. Here the calling thread works too and never waits for a helper that has not begun. Which thread
runs a chunk changes nothing, so kernels that give each chunk its own output are repeatable bit for bit.

torch's own threads are no better company: between two operations they spin too, beside the pool's. `only_kernels`
keeps torch to the calling thread, which loses nothing on the small tensors of a fit.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_pool: ThreadPoolExecutor | None = None

Made = TypeVar("Made")

_local = threading.local()  # .threads: those of torch outside `only_kernels`; torch, too, has a number per thread


@contextlib.contextmanager
def only_kernels() -> Iterator[None]:
    """Inside, torch works on one thread of the CPU and `run_chunks` on as many as torch had before. It concerns the
    calling thread alone."""
    if getattr(_local, "threads", None) is not None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    _local.threads = before
    try:
        yield
    finally:
        _local.threads = None
        torch.set_num_threads(before)


def run_chunks(kernel: Callable[..., None], count: int, *arguments: object) -> None:
    """Call kernel(*arguments, chunk) for each chunk in range(count), on up to `torch.get_num_threads()` cores, as that
    was before `only_kernels`.

    The kernel must release the GIL (numba's `nogil=True`) to gain from it, and chunks must not write to the same place.
    Callable from several threads at once, and in a forked child.
    """
    threads = getattr(_local, "threads", None) or torch.get_num_threads()
    helpers = min(threads, _CORES, count) - 1
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


def beside(function: Callable[[], Made]) -> Future[Made]:
    """Call a function on another thread while the caller goes on; `.result()` waits for it and raises what it raised.

    For work that spends its time outside Python, reading networks or encoding a picture: beside Python code nothing is
    gained.
    """
    return _threads().submit(function)


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
