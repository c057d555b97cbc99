"""A measured figure beside the bar it is held to."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """One line of the table.

    Attributes:
        what: what was measured.
        value: None where it could not be; `note` then says why.
        bar: what is wanted, None for a figure that is only told.
        more: whether more is better.
        unit: printed behind both; "" for a share.
        digits: after the point.
    """

    what: str
    value: float | None
    bar: float | None = None
    more: bool = False
    unit: str = ""
    digits: int = 3
    note: str = ""

    @property
    def met(self) -> bool | None:
        if self.value is None or self.bar is None:
            return None
        return self.value >= self.bar if self.more else self.value <= self.bar

    def cells(self) -> list[str]:
        """what, value, bar, verdict, note."""
        unit = f" {self.unit}" if self.unit else ""
        value = "skipped" if self.value is None else f"{self.value:.{self.digits}f}{unit}"
        bar = "" if self.bar is None else f"{'>=' if self.more else '<='} {self.bar:.{self.digits}f}{unit}"
        return [self.what, value, bar, {None: "", True: "met", False: "missed"}[self.met], self.note]


HEAD = ["what", "measured", "bar", "", "note"]
LEFT = (0, 3, 4)  # columns of words


def markdown(bars: list[Bar]) -> str:
    """The bars as a table."""
    return markdown_table(HEAD, [bar.cells() for bar in bars], LEFT)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]], left: Container[int] = (0,)) -> str:
    """A table; the columns `left` are words."""
    marks = ["---" if column in left else "--:" for column in range(len(head))]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, marks, *rows])
