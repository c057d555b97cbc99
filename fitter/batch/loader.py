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

    def __call__(self) -> Callable[..., Any]:
        return load_calls(self.options, self.device)


def load_calls(options: BatchOptions, device: str | None = None) -> Callable[..., Any]:
    """What answers the calls of a batch, with all that it needs. Raises as `load_job`."""
    from .calls import StageCalls  # not before: the leading process does without torch
    from .steps import load_stages

    return StageCalls(load_stages(options, device))
