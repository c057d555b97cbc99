"""Which fits the report needs: a setting of the fit, how the input is spoilt, and on which photos."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.dataset import SETS, Case, cases, spread
from benchmarks.report.blinks import SET as BLINK_SET
from benchmarks.report.blinks import make_blinks
from facefit.fit.config import FitConfig

# The product question: what each energy adds.
VARIANTS = {
    "landmark": ("landmark",),
    "prdl": ("landmark", "prdl"),
    "photometric": ("landmark", "photometric"),
    "dense": ("landmark", "dense"),
    "outline": ("landmark", "outline"),
    "full": FitConfig().energies,
}
VARIANT_NAMES = {
    "landmark": "landmarks only", "prdl": "+ PRDL", "photometric": "+ photometric", "dense": "+ dense",
    "outline": "+ outline", "full": "all (default)", "prdl_only": "PRDL alone",
}  # fmt: skip
_ENERGIES = {**VARIANTS, "prdl_only": ("prdl",)}


@dataclass(frozen=True)
class Run:
    """One setting.

    Attributes:
        variant: of VARIANT_NAMES. corruption: of benchmarks.report.corruption.CORRUPTIONS.
    """

    variant: str
    corruption: str = "none"

    @property
    def name(self) -> str:
        return self.variant if self.corruption == "none" else f"{self.corruption}.{self.variant}"

    def config(self, default: FitConfig) -> FitConfig:
        """The settings, without a limit on time: on a slow machine that would change the figures."""
        return replace(default, energies=_ENERGIES[self.variant], max_seconds=math.inf)


CLEAN = tuple(Run(variant) for variant in VARIANTS)
SPOILT = (
    *(Run(variant, kind) for kind in ("landmarks_scattered", "landmarks_shifted")
      for variant in ("landmark", "prdl", "full")),
    *(Run(variant, kind) for kind in ("masks_ragged", "masks_missing", "masks_covered")
      for variant in ("prdl", "full")),
    *(Run(variant, "photo_covered") for variant in ("landmark", "prdl", "photometric", "full")),
)  # fmt: skip
SPOILT_PHOTOS = {"fasseg": 16, "ict_synthetic": 8}


@dataclass(frozen=True)
class Work:
    """All fits of one photo."""

    case: Case
    runs: tuple[Run, ...]


def plan(data: Path, out: Path, limit: int | None = None) -> tuple[list[Work], list[str]]:
    """What is to be fitted, photo by photo, and a line for each set that is absent.

    Args:
        out: where the pictures of closed eyes are written.
        limit: at most so many photos of each set.
    """
    work: list[Work] = []
    absent: list[str] = []
    for name in (*SETS, BLINK_SET):
        try:
            found = make_blinks(data, out) if name == BLINK_SET else cases(data, name)
        except FileNotFoundError as error:
            absent.append(str(error).replace(str(data), "DATA_DIR"))  # a page is read elsewhere
            continue
        found = spread(found, limit)
        spoilt = set(spread(found, SPOILT_PHOTOS.get(name, 1))) if name in SPOILT_PHOTOS else set()
        for case in found:
            runs = CLEAN if name != "wild" else (*CLEAN, Run("prdl_only"))
            work.append(Work(case, (*runs, *(SPOILT if case in spoilt else ()))))
    return work, absent
