"""The workers of a batch on a Ray cluster: the same lead, plan and steps as on one machine, with actors as processes.

Each actor loads the model once. Photos, and results that go to a folder, must lie where all machines see them under the
same path; results may go to an object store instead (`facefit.batch.store`). facefit is installed on every machine.

When an actor or its machine dies, the lead starts another one wherever the cluster has room, and gives it the photos
that were lost. Ray's own restarts would not do: they forget the photos that an actor had prepared. Until there is room
the others go on.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any

from ..errors import ExitCode, FaceFitError
from .workers import Event, Loader, start_error


class RayError(FaceFitError):
    """There is no Ray, or no cluster."""

    exit_code = ExitCode.FIT_FAILED


def resources(address: str) -> tuple[int, int]:
    """Cores and GPUs of the cluster, which is connected to when it is not yet. Raises RayError."""
    ray = connect(address)
    found = ray.cluster_resources()
    return max(1, int(found.get("CPU", 1))), int(found.get("GPU", 0))


def connect(address: str):
    """The ray module, connected. `address`: "auto", "local" (a new one on this machine), or as ray.init's.

    Raises:
        RayError: ray is not installed, or no cluster answers there.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise RayError(f"--ray: {error}; pip install 'facefit[ray]'") from None
    if not ray.is_initialized():
        try:
            ray.init(
                address, log_to_driver=False, configure_logging=False,
                **({"include_dashboard": False} if address == "local" else {}),
            )  # fmt: skip
        except (ConnectionError, ValueError, RuntimeError) as error:
            hint = "start one by `ray start --head`, or give --ray local"
            raise RayError(f"--ray {address}: no Ray cluster ({str(error).splitlines()[0]}); {hint}") from None
    return ray


class _Actor:
    """What runs on the cluster: loads, then answers calls."""

    def load(self, loader: Loader) -> tuple[int, str] | None:
        """None, or what keeps it from starting: exit code and text."""
        try:
            self.work = loader()
        except Exception as error:  # whatever it is, the lead has to know
            return start_error(error)
        return None

    def call(self, call: str, *arguments: Any) -> Any:
        """The answer of what was loaded."""
        return self.work(call, *arguments)


class RayWorkers:
    """`facefit.batch.workers.Workers` as actors of a cluster. Raises RayError as `connect`."""

    def __init__(self, address: str = "auto") -> None:
        self._ray = connect(address)
        self._actors: dict[int, Any] = {}
        self._calls: dict[Any, tuple[int, bool]] = {}  # what is to come -> worker, and whether it is its loading
        self._next = 0

    def start(self, loader: Loader, device: bool = False) -> int:
        """An actor that waits for room in the cluster. One that fits asks for a GPU and no core: hosts, of which there
        may be more than the cluster has room for after a machine is lost, must not keep it out."""
        actor = self._ray.remote(_Actor).options(
            num_cpus=int(not device), num_gpus=int(loader.on_gpu), scheduling_strategy="SPREAD", max_restarts=0,
            runtime_env={"env_vars": {"PYTHONPATH": python_path()}},
        ).remote()  # fmt: skip
        worker, self._next = self._next, self._next + 1
        self._actors[worker] = actor
        self._calls[actor.load.remote(loader)] = worker, True
        return worker

    def submit(self, worker: int, call: str, *arguments: Any) -> None:
        """See Workers."""
        self._calls[self._actors[worker].call.remote(call, *arguments)] = worker, False

    def wait(self, timeout: float) -> list[Event]:
        """See Workers."""
        if not self._calls:
            time.sleep(timeout)
            return []
        coming = list(self._calls)
        ready, _ = self._ray.wait(coming, num_returns=1, timeout=timeout)
        if ready:  # and whatever else there is by now; an actor's answers come in the order of its calls
            ready, _ = self._ray.wait(coming, num_returns=len(coming), timeout=0)
        events = []
        for reference in ready:
            if reference in self._calls:
                events.append(self._event(reference, *self._calls.pop(reference)))
        return events

    def kill(self, worker: int) -> None:
        """See Workers."""
        self._ray.kill(self._actors[worker])

    def close(self) -> None:
        """End all actors; the cluster stays."""
        for actor in self._actors.values():
            with contextlib.suppress(Exception):  # it may be dead, or the connection
                self._ray.kill(actor)
        self._actors.clear()
        self._calls.clear()

    def _event(self, reference, worker: int, loading: bool) -> Event:
        try:
            value = self._ray.get(reference)
        except self._ray.exceptions.RayActorError as error:
            return self._dead(worker, _reason(error))
        except self._ray.exceptions.RayError as error:
            # a fault of the program, or an answer that was lost with its machine: the actor counts as dead
            with contextlib.suppress(Exception):
                self.kill(worker)
            if loading and isinstance(error, self._ray.exceptions.RayTaskError):
                self._forget(worker)
                return Event(worker, "broken", (5, f"an actor cannot start: {_reason(error)}"))
            return self._dead(worker, _reason(error))
        if not loading:
            return Event(worker, "reply", value)
        if value is None:
            return Event(worker, "ready")
        self._forget(worker)
        return Event(worker, "broken", value)

    def _dead(self, worker: int, how: str) -> Event:
        self._forget(worker)
        return Event(worker, "died", f"the worker process died ({how.rstrip('.')})")

    def _forget(self, worker: int) -> None:
        """Its other calls will not be answered."""
        del self._actors[worker]
        self._calls = {reference: call for reference, call in self._calls.items() if call[0] != worker}


def _reason(error: Exception) -> str:
    """The last line of a chain of tracebacks, or the first of plain text."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if "Traceback" in str(error) or "ray::" in lines[0] else lines[0]


def python_path() -> str:
    """PYTHONPATH of an actor, with the folder in which `facefit` stands in front where it is not installed."""
    package = Path(__file__).absolute().parents[1]
    place = str(package.parent) if package.name == __name__.partition(".")[0] else ""
    return os.pathsep.join(filter(None, [place, os.environ.get("PYTHONPATH")]))
