"""The pool that CPU kernels share."""

import os
import threading

import pytest
import torch

from facefit.compute.threads import only_kernels, run_chunks


@pytest.fixture(params=[1, 2, 4])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_each_chunk_runs_once_with_its_arguments(threads):
    done = []
    run_chunks(lambda add, chunk: done.append(chunk + add), 37, 100)
    assert sorted(done) == list(range(100, 137))
    run_chunks(lambda chunk: done.append(chunk), 0)
    assert len(done) == 37


def test_an_error_in_a_chunk_reaches_the_caller(threads):
    def fail(chunk):
        if chunk == 3:
            raise ValueError("chunk 3")

    with pytest.raises(ValueError, match="chunk 3"):
        run_chunks(fail, 8)


def test_several_threads_may_call_at_once(threads):
    sums = [0] * 6

    def caller(k):
        for _ in range(20):
            parts = [0] * 8
            run_chunks(lambda out, chunk: out.__setitem__(chunk, chunk), 8, parts)
            sums[k] += sum(parts)

    callers = [threading.Thread(target=caller, args=(k,)) for k in range(6)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join(30)
    assert sums == [20 * 28] * 6


def test_the_caller_does_not_wait_for_helpers_that_have_not_begun():
    before = torch.get_num_threads()
    torch.set_num_threads(max(2, os.cpu_count() or 1))
    release, blocked = threading.Event(), threading.Event()

    def block(chunk):
        blocked.set()
        release.wait(30)

    busy = threading.Thread(target=run_chunks, args=(block, 64))
    busy.start()
    try:
        blocked.wait(30)
        done = []
        run_chunks(lambda chunk: done.append(chunk), 5)  # all helpers sit in `block`
        assert sorted(done) == [0, 1, 2, 3, 4]
    finally:
        release.set()
        busy.join(30)
        torch.set_num_threads(before)


def test_torch_keeps_to_one_thread_while_kernels_use_all(monkeypatch):
    monkeypatch.setattr("facefit.compute.threads._CORES", 2)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    meet = threading.Barrier(2)
    try:
        with pytest.raises(KeyError), only_kernels():
            with only_kernels():
                assert torch.get_num_threads() == 1
            assert torch.get_num_threads() == 1  # until the last one is left
            run_chunks(lambda chunk: meet.wait(10), 2)  # two threads, or the barrier breaks
            raise KeyError
        assert torch.get_num_threads() == 2
        torch.set_num_threads(1)
        with only_kernels():
            run_chunks(lambda chunk: None, 3)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_fits_on_several_threads_leave_the_number_of_threads_as_it_was():
    before = torch.get_num_threads()

    def fit():
        for _ in range(50):
            with only_kernels():
                run_chunks(lambda chunk: None, 2)

    callers = [threading.Thread(target=fit) for _ in range(4)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join(30)
    assert torch.get_num_threads() == before
