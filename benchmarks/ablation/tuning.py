"""The same small search of the settings for each method, on the tuning split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from benchmarks.ablation.fitting import Settings
from benchmarks.ablation.losses import METHODS

STARTS = ("near", "far")  # the settings must serve both
BUDGET = 9  # settings that are tried for each method
FACTORS = {"step": 2.0, "weight": 4.0, "scale": 4.0}  # from one value to the next
GAIN = 0.001  # of IoU, that a change must bring


def search(method: str, value: Callable[[Settings], float], budget: int = BUDGET) -> tuple[Settings, float]:
    """Hill climbing, one setting after the other: on in a direction as long as it helps.

    Args:
        value: settings -> mean IoU over the tuning faces and starts; called at most `budget` times.
    Returns:
        The best settings and their value.
    """
    known: dict[Settings, float] = {}

    def look(settings: Settings) -> float:
        if settings not in known:
            if len(known) >= budget:
                return float("-inf")
            known[settings] = value(settings)
        return known[settings]

    best = Settings()
    look(best)
    for name in ("weight", *(("scale",) if METHODS[method].scaled else ()), "step"):
        for factor in (FACTORS[name], 1 / FACTORS[name]):
            moved = False
            while look(tried := replace(best, **{name: getattr(best, name) * factor})) > known[best] + GAIN:
                best, moved = tried, True
            if moved:
                break
    return best, known[best]
