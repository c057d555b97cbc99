"""`make bench`: one table of speed and quality on this machine, printed and written to docs/benchmarks.md.

    python -m benchmarks                        speed alone
    python -m benchmarks --data DATA_DIR        and the quality of the fits of the evaluation sets (some minutes)

The folder of the sets can also be named by FACEFIT_EVAL_DATA. What cannot be measured here is skipped and says so.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
import time
from pathlib import Path

from benchmarks.bars import HEAD, LEFT, Bar, markdown
from benchmarks.dataset import DATA_VARIABLE
from benchmarks.machine import attempt, machine
from benchmarks.summary import text_table

ROOT = Path(__file__).resolve().parent.parent


def write_page(path: Path, sections: dict[str, str]) -> None:
    """Write the page of results; a section that was not measured now stays as it is there."""
    old: dict[str, str] = {}
    if path.is_file():
        for part in re.split(r"^## ", path.read_text(), flags=re.MULTILINE)[1:]:
            title, _, body = part.partition("\n")
            old[title.strip()] = body.strip()
    merged = {**old, **sections}
    text = "# Benchmarks\n\nWritten by `python -m benchmarks`; each section says on which machine and how.\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "".join(f"\n## {title}\n\n{body.strip()}\n" for title, body in merged.items()))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=os.environ.get(DATA_VARIABLE), metavar="DATA_DIR")
    parser.add_argument("--only", choices=("speed", "quality"), help="measure one of the two")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes for quality")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N photos of each set; nothing is written then")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where each photo's figures and the sheets go")
    parser.add_argument("--doc", type=Path, default=ROOT / "docs" / "benchmarks.md", metavar="FILE")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.ERROR)
    here = machine()
    print(here)
    sections: dict[str, str] = {}
    stamp = f"{here}; {time.strftime('%Y-%m-%d')}."
    bars: list[Bar] = []
    if options.only != "quality":
        from benchmarks import speed

        bars += attempt("speed of a fit", speed.fit_times)
        bars += attempt("whole process", speed.process_times)
        bars += attempt("PRDL", speed.prdl_times)
        sections["Speed"] = f"{stamp} Command: `make bench`.\n\n{markdown(bars)}"
    if options.only != "speed":
        if options.data is None or not Path(options.data).is_dir():
            where = f"; {options.data} is absent" if options.data else ""
            print(f"quality: skipped, name the folder of the evaluation sets by --data or {DATA_VARIABLE}{where}")
        else:
            from benchmarks import quality

            tables: list[str] = []

            def measure() -> list[Bar]:
                found, text = quality.quality(Path(options.data), options.jobs, options.limit, options.out)
                tables.append(text)
                return found

            measured = attempt("quality", measure)
            command = f"Command: `{DATA_VARIABLE}=DATA_DIR make bench`."
            sections["Quality"] = f"{stamp} {command}\n\n{markdown(measured)}"
            if tables:
                sections["Quality"] += f"\n\n```\n{tables[0]}\n```"
                print(tables[0] + "\n")
            bars += measured
    print("\n".join(text_table(HEAD, [bar.cells() for bar in bars], LEFT)))
    if options.limit is None:
        write_page(options.doc, sections)
        print(f"written: {options.doc}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
