"""How a fit tells how far it is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called at every iteration of a stage."""

    def __call__(self, stage: str, iteration: int, iterations: int, energies: dict[str, float], /) -> None:
        """The stage's name, the iteration, their number at most, and the weighted energies of the first face."""
        ...
