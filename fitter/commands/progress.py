"""How work looks while it runs: a bar on a terminal, lines otherwise, nothing when quiet. All of it on stderr."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, TextIO

from ..batch.manifest import Record

BAR, LABEL = 14, 24  # characters of a fit's bar; at most so many of its label
ROWS = 60  # a longer table of a batch shows failures and doubtful fits only
RECENT = 200  # photos that the speed is taken over: the first ones wait for the workers to start


class Progress:
    """What the two kinds have in common: a context manager with a bar while its stream is a terminal.

    Args:
        quiet: show nothing at all.
        stream: where to; None is stderr.
    """

    def __init__(self, quiet: bool = False, stream: TextIO | None = None) -> None:
        self.quiet = quiet
        self.stream = sys.stderr if stream is None else stream
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        if not self.quiet and self.stream.isatty():
            self._start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def say(self, text: str) -> None:
        """A line of its own."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        elif not self.quiet:
            print(text, file=self.stream, flush=True)

    def interject(self, text: str) -> None:
        """As `say`, from a signal handler: Python refuses to write to a stream that it is just writing to."""
        try:
            self.say(text)
        except RuntimeError:
            os.write(self.stream.fileno(), f"{text}\n".encode())

    def _start(self) -> None:
        raise NotImplementedError

    def _open(self, *columns: Any, **options: Any) -> Any:
        # imported here: rich costs more than the rest of the command line together
        from rich.console import Console
        from rich.progress import Progress as Bar

        self._bar = Bar(*columns, console=Console(file=self.stream), **options)
        self._bar.start()
        return self._bar


class FitProgress(Progress):
    """To be called as (stage, iteration, total, energies) while a fit runs: a bar, or a line per stage.

    Args:
        label: what is being fitted.
    """

    def __init__(self, label: str, quiet: bool = False, stream: TextIO | None = None) -> None:
        super().__init__(quiet, stream)
        self.label = label
        self._shown = 4
        self._last: tuple[str, int, int, dict] | None = None

    def __call__(self, stage: str, iteration: int, total: int, energies: Mapping[str, float]) -> None:
        """Show an iteration of `total`, and the largest of the weighted energies."""
        if self.quiet:
            return
        if self._bar is not None:
            self._bar.update(
                self._task, description=stage, completed=iteration, total=total,
                energies=largest(energies, self._shown),
            )  # fmt: skip
            return
        if self._last is not None and (self._last[0] != stage or iteration < self._last[1]):  # or the next face
            self._line(*self._last)
        self._last = (stage, iteration, total, dict(energies))

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is None and self._last is not None and error is None:
            self._line(*self._last)
        self._last = None
        super().__exit__(kind, error, trace)

    def _start(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn

        bar = self._open(
            TextColumn("{task.fields[label]} {task.description}", markup=False), BarColumn(bar_width=BAR),
            MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.fields[energies]}", markup=False),
            transient=True,
        )  # fmt: skip
        label = self.label if len(self.label) <= LABEL else f"{self.label[: LABEL - 1]}…"
        # as many energies as the line has room for: rich would shorten the numbers of iterations as well
        self._shown = max(1, min(4, (bar.console.width - len(label) - BAR - 24) // 13))
        self._task = bar.add_task("start", total=None, label=label, energies="")

    def _line(self, stage: str, iteration: int, total: int, energies: Mapping[str, float]) -> None:
        self.say(f"{self.label}: {stage} {iteration}/{total}  {largest(energies)}".rstrip())


class BatchProgress(Progress):
    """To be told each record with `update`: a bar, or a line per photo.

    Args:
        total: photos of the batch.
        ignored: files beside them that are left out, for the summary.
        what: "photos", or "people" where each record is one's.
    Attributes:
        done, skipped, failed: how many; doubtful: of those that are done, now or before. rows: records for the table,
            all of them while they are few.
    """

    def __init__(
        self, total: int, quiet: bool = False, stream: TextIO | None = None, ignored: int = 0, what: str = "photos"
    ) -> None:
        super().__init__(quiet, stream)
        self.total, self.ignored, self.what = total, ignored, what
        self.done = self.skipped = self.failed = self.doubtful = 0
        self.rows: list[Record] = []
        self._times: deque[float] = deque(maxlen=RECENT)

    def __enter__(self) -> Self:
        self._times.append(time.monotonic())
        return super().__enter__()

    @property
    def seen(self) -> int:
        """Photos that are done, failed or left alone."""
        return self.done + self.skipped + self.failed

    def update(self, record: Record, skipped: bool = False) -> None:
        """A photo is done, has failed, or was left alone because of an earlier run (`skipped`)."""
        if record.status == "failed":
            self.failed += 1
        elif skipped:
            self.skipped += 1
        else:
            self.done += 1
        self.doubtful += record.doubtful
        if self.total <= ROWS or record.status == "failed" or record.doubtful:
            self.rows.append(record)
        if not skipped:
            self._times.append(time.monotonic())
            for each in record.left_out:
                self.say(f"left out: {shown(str(each.get('name')))}: {shown(str(each.get('reason')))}")
        if self._bar is not None:
            if record.status == "failed" and not skipped:
                self.say(f"{shown(record.photo)}: {shown(_why(record))}")
            self._bar.update(self._task, completed=self.seen, description=self.describe())
            return
        if skipped:
            what = f"{_done(record)} before" if record.status == "done" else f"failed before, {record.reason}"
        else:
            what = f"{_done(record)}, {record.seconds:.1f} s" if record.status == "done" else f"failed, {_why(record)}"
        tail = "" if skipped else f" ({self.describe()})"
        self.say(f"[{self.seen}/{self.total}] {shown(record.photo)}: {shown(what)}{tail}")

    def describe(self) -> str:
        """Speed, counts and time left in words."""
        words = []
        if speed := self.speed():
            words.append(f"{speed:.2f} {self.what}/s")
        words.append(f"{self.done} done")
        if self.skipped:
            words.append(f"{self.skipped} skipped")
        if self.failed:
            words.append(f"{self.failed} failed")
        if self.doubtful:
            words.append(f"{self.doubtful} doubtful")
        if speed and self.total > self.seen:
            words.append(f"{duration((self.total - self.seen) / speed)} left")
        return ", ".join(words)

    def speed(self) -> float:
        """Photos per second over the recent ones; 0 before the first."""
        count = len(self._times) - 1
        seconds = self._times[-1] - self._times[0]
        return count / seconds if count > 0 and seconds > 0 else 0.0

    def _start(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

        columns = BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("{task.description}", markup=False)
        self._task = self._open(*columns).add_task("starting", total=self.total)


def _done(record: Record) -> str:
    count = len(record.photos)
    words = f"done, {count - len(record.left_out)} of {count} photo{'s' * (count != 1)}" if count else "done"
    return f"{words}, doubtful" if record.doubtful else words


def _count(record: Record) -> int:
    """Of a photo the faces, of a person that was fitted the photos."""
    return len(record.photos) - len(record.left_out) if record.photos and record.faces else len(record.faces)


def _why(record: Record) -> str:
    return record.reason if record.final else f"{record.reason}; the next run tries again"


def largest(energies: Mapping[str, float], limit: int = 4) -> str:
    """The largest energies in words: "prdl 1.23  landmark 0.456"."""
    ordered = sorted(energies.items(), key=lambda item: -abs(float(item[1])))
    return "  ".join(f"{name} {float(value):.3g}" for name, value in ordered[:limit])


def duration(seconds: float) -> str:
    """75 -> 1:15 min; 4000 -> 1:07 h"""
    seconds = int(seconds + 0.5)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60}:{seconds % 60:02d} min"
    return f"{seconds // 3600}:{seconds % 3600 // 60:02d} h"


def shown(text: str) -> str:
    """For a terminal: names may hold bytes that are no text, and line breaks."""
    printable = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in printable)


def print_records(progress: BatchProgress) -> None:
    """What happened to each photo, as a table on stdout; of a long batch what failed or is doubtful."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    counts = f"{progress.done} done, {progress.skipped} skipped, {progress.failed} failed"
    if progress.doubtful:
        counts += f", {progress.doubtful} doubtful"
    if progress.ignored:
        counts += f"; {progress.ignored} files left out"
    if not progress.rows:
        Console().print(counts, highlight=False)
        return
    table = Table(title=counts, title_justify="left")
    first, count = ("person", "photos") if progress.what == "people" else ("photo", "faces")
    for name in (first, "result", count, "landmarks %", "part IoU", "s"):
        table.add_column(name, justify="left" if name in (first, "result") else "right", overflow="fold")
    for record in progress.rows:
        errors = [face["landmark_error"] for face in record.faces if face.get("landmark_error") is not None]
        shares = [face["part_iou"] for face in record.faces if face.get("part_iou") is not None]
        result = _done(record) if record.error is None else f"{record.exit_code}: {record.reason}"
        table.add_row(
            Text(shown(record.photo)),
            Text(shown(result)),
            str(_count(record) or ""),
            f"{100 * sum(errors) / len(errors):.1f}" if errors else "",
            f"{sum(shares) / len(shares):.2f}" if shares else "",
            f"{record.seconds:.1f}" if record.seconds else "",
        )
    Console().print(table)
