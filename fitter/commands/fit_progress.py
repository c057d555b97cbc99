"""How a running fit looks: a bar with the current energies on a terminal, a line per stage otherwise."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import TracebackType

BAR, LABEL = 14, 24  # characters of the bar; at most so many of the label


def describe(energies: Mapping[str, float], limit: int = 4) -> str:
    """The largest energies in words: "prdl 1.23  landmark 0.456"."""
    ordered = sorted(energies.items(), key=lambda item: -abs(float(item[1])))
    return "  ".join(f"{name} {float(value):.3g}" for name, value in ordered[:limit])


class Progress:
    """A context manager to be called as (stage, iteration, total, energies) while a fit runs; writes to stderr.

    Args:
        label: what is being fitted.
        quiet: show nothing at all.
        stream: where to; None is stderr.
    """

    def __init__(self, label: str, quiet: bool = False, stream=None) -> None:
        self.label = label
        self.quiet = quiet
        self.stream = sys.stderr if stream is None else stream
        self._bar = None
        self._task = None
        self._shown = 4
        self._last: tuple[str, int, int, dict] | None = None

    def __enter__(self) -> Progress:
        if not self.quiet and self.stream.isatty():
            # imported here: rich costs more than the rest of the command line together
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as RichProgress

            self._bar = RichProgress(
                TextColumn("{task.fields[label]} {task.description}", markup=False),
                BarColumn(bar_width=BAR),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[energies]}", markup=False),
                console=Console(file=self.stream),
                transient=True,
            )
            label = self.label if len(self.label) <= LABEL else f"{self.label[: LABEL - 1]}…"
            # as many energies as the line has room for: rich would shorten the numbers of iterations as well
            self._shown = max(1, min(4, (self._bar.console.width - len(label) - BAR - 24) // 13))
            self._bar.start()
            self._task = self._bar.add_task("start", total=None, label=label, energies="")
        return self

    def __call__(self, stage: str, iteration: int, total: int, energies: Mapping[str, float]) -> None:
        if self.quiet:
            return
        if self._bar is not None:
            self._bar.update(
                self._task, description=stage, completed=iteration, total=total,
                energies=describe(energies, self._shown),
            )  # fmt: skip
            return
        if self._last is not None and (self._last[0] != stage or iteration < self._last[1]):  # or the next face
            self._line()
        self._last = (stage, iteration, total, dict(energies))

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        elif self._last is not None and error is None:
            self._line()
        self._last = None

    def _line(self) -> None:
        stage, iteration, total, energies = self._last
        print(f"{self.label}: {stage} {iteration}/{total}  {describe(energies)}".rstrip(), file=self.stream, flush=True)
