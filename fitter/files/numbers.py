"""Numbers for JSON: finite ones."""

from __future__ import annotations

import math


def finite(value: float) -> float | None:
    """None for NaN and infinity, which JSON does not know."""
    value = float(value)
    return value if math.isfinite(value) else None
