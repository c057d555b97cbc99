"""What was tried and what failed, as a table for the screen and for docs/reliability.md."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .areas import AREAS
from .watch import Outcome

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reliability.md"
BEGIN, END = "<!-- results of make fuzz -->", "<!-- end of the results -->"


@dataclass
class Tally:
    """Of one area. `codes`: exit code -> how often; `bytes`: of memory at the worst moment of all attacks."""

    tried: int = 0
    failed: int = 0
    bytes: int = 0
    codes: dict[int | None, int] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        """One more attack."""
        self.tried += 1
        self.failed += bool(outcome.problems)
        self.bytes = max(self.bytes, outcome.bytes)
        self.codes[outcome.code] = self.codes.get(outcome.code, 0) + 1


def rows(tallies: Mapping[str, Tally]) -> list[str]:
    """Lines of a Markdown table."""
    lines = ["| what | attacks | damaged files | signals and kills | failed | GB at most | exit codes |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    total = Tally()
    inputs = kills = 0
    for name, tally in tallies.items():
        area = AREAS[name]
        codes = ", ".join(f"{code}: {count}" for code, count in sorted(tally.codes.items(), key=lambda item: -item[1]))
        files, signals = area.inputs * tally.tried, area.kills * tally.tried
        lines.append(f"| {name} | {tally.tried} | {files or ''} | {signals or ''} | {tally.failed} | "
                     f"{tally.bytes / 1e9:.2f} | {codes} |")  # fmt: skip
        inputs, kills = inputs + files, kills + signals
        total.tried += tally.tried
        total.failed += tally.failed
        total.bytes = max(total.bytes, tally.bytes)
    lines.append(f"| all | {total.tried} | {inputs} | {kills} | {total.failed} | {total.bytes / 1e9:.2f} | |")
    return lines


def machine(cores: int) -> str:
    """In words."""
    names = [line for line in _text("/proc/cpuinfo").splitlines() if line.startswith("model name")]
    name = names[0].partition(":")[2].strip() if names else platform.machine()
    return f"{name}, {cores} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def write(lines: list[str], path: Path = PAGE) -> None:
    """Put the lines between the markers of the page; what people wrote stays. Raises ValueError: no markers."""
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path}: lacks the lines {BEGIN} and {END}")
    path.write_text("\n".join([before + BEGIN, "", *lines, "", END]) + after, encoding="utf-8")
