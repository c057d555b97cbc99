"""The same pictures by actors of a Ray cluster, and one line when a worker dies."""

import importlib.util
import os
import subprocess
import sys
from concurrent.futures import Future

import pytest
from helpers.places import PYTHONPATH

from facefit.errors import FaceFitError
from facefit.synth.dataset import make_dataset

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")


@pytest.mark.ray
@needs_ray
def test_actors_make_the_same_pictures(toy_file, tmp_path):
    """In a process of its own: ray leaves sockets and child processes behind, which here are errors."""
    path = os.pathsep.join(filter(None, (PYTHONPATH, os.environ.get("PYTHONPATH"))))
    small = ["--people", "3", "--size", "64", "--model", os.path.relpath(toy_file, tmp_path)]
    for name, more in {"alone": [], "ray": ["--ray", "local", "--workers", "2"]}.items():
        command = [sys.executable, "-m", "facefit", "synth", "-o", name, *small, *more]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}
        )
        assert done.returncode == 0, done.stderr
        assert "3 made" in done.stdout

    def contents(name):
        folder = tmp_path / name
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    assert contents("ray") == contents("alone")
    assert sum(name.startswith("pictures/") and name.endswith(".png") for name in contents("ray")) == 3


def test_a_worker_that_dies_is_one_line_and_all_are_ended(toy_options, toy_studio, tmp_path):
    class Death(Exception):
        pass

    class Deadly:
        workers, died, closed = 2, (Death,), 0

        def submit(self, job):
            future = Future()
            if job == (0, 1):
                future.set_exception(Death())
            else:
                future.set_result(None)
            return future

        def close(self):
            self.closed += 1

    pool, given = Deadly(), []

    def pools(ready, workers):
        given.append((ready, workers))
        return pool

    with pytest.raises(FaceFitError, match="a worker died .*the same command goes on"):
        make_dataset(tmp_path / "data", toy_options, 8, load=lambda options: toy_studio, pools=pools)
    assert pool.closed == 1 and [workers for _, workers in given] == [toy_options.count]
    assert given[0][0]().func.__name__ == "make"
