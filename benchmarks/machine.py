"""Where a benchmark runs, and what it says where it cannot."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.bars import Bar


def machine() -> str:
    """Processor, cores, memory, system and versions, in one line."""
    import numba
    import numpy
    import torch

    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.is_file():
        found = re.search(r"^model name\s*:\s*(.+)$", information.read_text(), re.MULTILINE)
        processor = found.group(1) if found else processor
    memory = ""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = f", {os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GB"
    return (
        f"{processor}, {os.cpu_count()} cores{memory}, {platform.system()} {platform.machine()}; "
        f"Python {platform.python_version()}, torch {torch.__version__}, numba {numba.__version__}, "
        f"numpy {numpy.__version__}"
    )


def attempt(what: str, measure: Callable[[], list[Bar]]) -> list[Bar]:
    """The bars, or one line that says why there are none: a benchmark that cannot run does not stop the others."""
    print(f"{what} ...", file=sys.stderr, flush=True)
    try:
        return measure()
    except Exception as error:  # whatever stops one measure is its result; the others go on
        return [Bar(what, None, note=f"{type(error).__name__}: {error}".splitlines()[0])]
