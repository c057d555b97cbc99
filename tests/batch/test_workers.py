"""Worker processes that do not read, or do not end what they began to say: nothing here waits for a pipe."""

import contextlib
import os
import signal
import socket
import struct
import time
from multiprocessing import connection

import pytest

from facefit.batch.workers import LocalWorkers, how_it_died

LARGE = bytes(4_000_000)  # more than a pipe takes that nobody reads


class Misbehaving:
    """A loader whose calls are functions of this file."""

    on_gpu = False

    def __call__(self):
        return lambda call, *arguments: globals()[call](*arguments)


def echo(value):
    return value


def stop(*_):
    os.kill(os.getpid(), signal.SIGSTOP)


def half():
    """Announces a megabyte, sends ten bytes of it and stops."""

    def send(pipe, message):
        os.write(pipe.fileno(), struct.pack("!i", 1_000_000) + b"x" * 10)
        stop()

    connection.Connection.send = send


def garbage():
    connection.Connection.send = lambda pipe, message: pipe.send_bytes(b"no pickle")


def fall_silent():
    """Closes its side of the pipe and lives on."""

    def send(pipe, message):
        socket.socket(fileno=os.dup(pipe.fileno())).shutdown(socket.SHUT_WR)
        time.sleep(60)

    connection.Connection.send = send


@pytest.fixture
def workers():
    team = LocalWorkers(preload=())
    yield team
    began = time.monotonic()
    team.close()
    assert time.monotonic() - began < 4


def events(workers, seconds=20.0):
    """The first events that come, which must not take long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := workers.wait(0.25):
            return found
    return []


def started(workers):
    worker = workers.start(Misbehaving())
    assert [event.kind for event in events(workers)] == ["ready"]
    return worker


def test_large_things_go_both_ways(workers):
    worker = started(workers)
    workers.submit(worker, "echo", LARGE)
    assert events(workers)[0].value == LARGE


def test_a_worker_that_does_not_read_keeps_nobody_waiting(workers):
    worker, other = started(workers), started(workers)
    workers.submit(worker, "stop")
    began = time.monotonic()
    for _ in range(3):
        workers.submit(worker, "echo", LARGE)
    workers.submit(other, "echo", 1)
    assert time.monotonic() - began < 1
    assert [(event.worker, event.value) for event in events(workers)] == [(other, 1)]
    workers.kill(worker)
    (event,) = events(workers)
    assert (event.worker, event.kind) == (worker, "died") and "SIGKILL" in event.value


def test_half_a_message_keeps_nobody_waiting(workers):
    worker, other = started(workers), started(workers)
    workers.submit(worker, "half")
    began = time.monotonic()
    assert events(workers, 0.3) == [] and time.monotonic() - began < 2
    workers.submit(other, "echo", 2)
    assert [(event.worker, event.value) for event in events(workers)] == [(other, 2)]
    workers.kill(worker)
    assert [(event.worker, event.kind) for event in events(workers)] == [(worker, "died")]


@pytest.mark.parametrize("call", ["garbage", "fall_silent"])
def test_who_cannot_be_understood_is_ended(workers, call, monkeypatch):
    monkeypatch.setattr("facefit.batch.workers.GRACE", 0.3)
    worker = started(workers)
    workers.submit(worker, call)
    (event,) = events(workers)
    assert (event.worker, event.kind) == (worker, "died") and "SIGKILL" in event.value


def test_nothing_is_left_of_a_closed_team():
    before = len(os.listdir("/proc/self/fd"))
    team = LocalWorkers(preload=())
    worker = started(team)
    team.submit(worker, "stop")
    team.submit(worker, "echo", LARGE)
    team.close()
    with contextlib.suppress(KeyError):
        team.submit(worker, "echo", 1)
    assert team.wait(0.01) == [] and len(os.listdir("/proc/self/fd")) <= before + 3  # of the server workers fork from


def test_deaths_in_words():
    assert how_it_died(-9) == "the worker process died (SIGKILL, out of memory?)"
    assert how_it_died(-11) == "the worker process died (SIGSEGV)"
    assert how_it_died(70) == "the worker process died (exit code 70)"
