"""How a process becomes a worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .options import BatchOptions


@dataclass(frozen=True)
class StageLoader:
    """Called in a worker process: loads the model and all else there, once, and returns what answers its calls.

    Attributes:
        options: of the batch.
        device: of this worker, in place of the options' one.
    """

    options: BatchOptions
    device: str | None = None

    @property
    def on_gpu(self) -> bool:
        """Whether the worker fits on a GPU."""
        return (self.device or self.options.job.device).startswith("cuda")

    def __call__(self) -> Callable[..., Any]:
        """See facefit.batch.workers.Loader. Raises as `facefit.job.job.load_job`."""
        return load_calls(self.options, self.device)


def load_calls(options: BatchOptions, device: str | None) -> Callable[..., Any]:
    """What answers the calls of a worker. Imports only now: the leading process does without torch."""
    from .calls import StageCalls
    from .steps import load_stages

    return StageCalls(load_stages(options, device))
