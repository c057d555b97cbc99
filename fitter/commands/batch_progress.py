"""How a running batch looks: a bar on a terminal, a line per photo otherwise; a table at the end."""

from __future__ import annotations

import sys
import time
from collections import deque

from ..batch.manifest import Record

ROWS = 60  # a longer table shows its failures only
RECENT = 200  # photos that the speed is taken over: the first ones wait for the workers to start


class BatchProgress:
    """A context manager; tell it each record with `update`. Writes to stderr.

    Args:
        total: photos of the batch. quiet: show nothing.
        stream: where to; None is stderr.
    Attributes:
        done, skipped, failed: how many. rows: records for the table, all of them while they are few.
    """

    def __init__(self, total: int, quiet: bool = False, stream=None) -> None:
        self.total, self.quiet = total, quiet
        self.stream = sys.stderr if stream is None else stream
        self.done = self.skipped = self.failed = 0
        self.rows: list[Record] = []
        self._times: deque[float] = deque(maxlen=RECENT)
        self._bar = None

    def __enter__(self) -> BatchProgress:
        self._times.append(time.monotonic())
        if not self.quiet and self.stream.isatty():
            # imported here: rich costs more than the rest of the command line together
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            self._bar = Progress(
                BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("{task.description}", markup=False),
                console=Console(file=self.stream),
            )  # fmt: skip
            self._bar.start()
            self._task = self._bar.add_task("starting", total=self.total)
        return self

    def __exit__(self, *_) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    @property
    def seen(self) -> int:
        return self.done + self.skipped + self.failed

    def update(self, record: Record, skipped: bool = False) -> None:
        """A photo is done, has failed, or was left alone because of an earlier run (`skipped`)."""
        if record.status == "failed":
            self.failed += 1
        elif skipped:
            self.skipped += 1
        else:
            self.done += 1
        if self.total <= ROWS or record.status == "failed":
            self.rows.append(record)
        if not skipped:
            self._times.append(time.monotonic())
        if self.quiet:
            return
        name = shown(record.photo)
        if self._bar is not None:
            if record.status == "failed" and not skipped:
                self._bar.console.print(f"{name}: {shown(record.reason)}", markup=False, highlight=False)
            self._bar.update(self._task, completed=self.seen, description=self.describe())
            return
        if skipped:
            what = "done before" if record.status == "done" else f"failed before, {record.reason}"
        else:
            what = f"{record.status}, {record.seconds:.1f} s" if record.status == "done" else f"failed, {record.reason}"
        tail = "" if skipped else f" ({self.describe()})"
        print(f"[{self.seen}/{self.total}] {name}: {shown(what)}{tail}", file=self.stream, flush=True)

    def say(self, text: str) -> None:
        """A line of its own."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        elif not self.quiet:
            print(text, file=self.stream, flush=True)

    def describe(self) -> str:
        """Speed, counts and time left in words."""
        words = []
        if speed := self.speed():
            words.append(f"{speed:.2f} photos/s")
        words.append(f"{self.done} done")
        if self.skipped:
            words.append(f"{self.skipped} skipped")
        if self.failed:
            words.append(f"{self.failed} failed")
        if speed and self.total > self.seen:
            words.append(f"{duration((self.total - self.seen) / speed)} left")
        return ", ".join(words)

    def speed(self) -> float:
        """Photos per second over the recent ones; 0 before the first."""
        count = len(self._times) - 1
        seconds = self._times[-1] - self._times[0]
        return count / seconds if count > 0 and seconds > 0 else 0.0


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


def print_table(progress: BatchProgress) -> None:
    """What happened to each photo, on stdout; of a long batch the failures."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    counts = f"{progress.done} done, {progress.skipped} skipped, {progress.failed} failed"
    if not progress.rows:
        Console().print(counts, highlight=False)
        return
    table = Table(title=counts, title_justify="left")
    for name in ("photo", "result", "faces", "landmarks %", "part IoU", "s"):
        table.add_column(name, justify="left" if name in ("photo", "result") else "right", overflow="fold")
    for record in progress.rows:
        errors = [face["landmark_error"] for face in record.faces if face.get("landmark_error") is not None]
        shares = [face["part_iou"] for face in record.faces if face.get("part_iou") is not None]
        result = record.status if record.error is None else f"{record.exit_code}: {record.reason}"
        table.add_row(
            Text(shown(record.photo)),
            Text(shown(result)),
            str(len(record.faces) or ""),
            f"{100 * sum(errors) / len(errors):.1f}" if errors else "",
            f"{sum(shares) / len(shares):.2f}" if shares else "",
            f"{record.seconds:.1f}" if record.seconds else "",
        )
    Console().print(table)
