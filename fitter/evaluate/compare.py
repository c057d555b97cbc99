"""Numbers over many fits: mean and spread, and two sets of fits of the same photos side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from ..metrics.part_iou import mean_iou
from ..output.overlay import overlay
from ..output.read_back import FitFile
from ..scene.scene import Scene

Shown = tuple[Scene, np.ndarray]


def summarise(rows: Sequence[dict[str, float | None]]) -> dict[str, dict[str, float | int | None]]:
    """name -> mean, std (of the sample, None for one), n, over the rows that have a number."""
    out = {}
    for name in dict.fromkeys(key for row in rows for key in row):
        values = np.array([row[name] for row in rows if row.get(name) is not None], float)
        out[name] = {
            "mean": float(values.mean()) if len(values) else None,
            "std": float(values.std(ddof=1)) if len(values) > 1 else None,
            "n": len(values),
        }
    return out


# Figure, what it is read from, and whether more is better.
FIGURES = (
    ("landmark_error", lambda d: d.get("landmark_error"), False),
    ("part_iou", lambda d: mean_iou(d.get("part_iou", {})), True),
    ("energy", lambda d: sum(v for v in d.get("energies", {}).values() if v is not None), False),
    ("seconds", lambda d: sum(v for v in d.get("seconds", {}).values() if v is not None), False),
)


def compare_fits(first: Sequence[FitFile], second: Sequence[FitFile]) -> dict:
    """Two sets of fits of the same photos, matched by name.

    Returns:
        `rows`: one per common name, each figure of both; `summary`: per figure the means, the mean difference (second -
        first), its standard error, and how often the second is better or worse; `only_first`, `only_second`: names.
    Raises:
        InputError: no name is in both.
    """
    sides = [{fit.name: fit for fit in fits} for fits in (first, second)]
    names = [name for name in sides[0] if name in sides[1]]
    if not names:
        raise InputError(f"no fit has the same name in both (such as {first[0].name!r} and {second[0].name!r})")
    figures: dict[str, list[list[float | None]]] = {
        figure: [[read(side[name].document) for side in sides] for name in names] for figure, read, _ in FIGURES
    }
    rows = [{"name": name, **{figure: both[k] for figure, both in figures.items()}} for k, name in enumerate(names)]
    summary = {}
    for figure, _, more in FIGURES:
        pairs = np.array([pair for pair in figures[figure] if None not in pair], float).reshape(-1, 2)
        change = pairs[:, 1] - pairs[:, 0]
        count = len(change)
        summary[figure] = {
            "first": float(pairs[:, 0].mean()) if count else None,
            "second": float(pairs[:, 1].mean()) if count else None,
            "difference": float(change.mean()) if count else None,
            "standard_error": float(change.std(ddof=1) / np.sqrt(count)) if count > 1 else None,
            "better": int((change > 0).sum() if more else (change < 0).sum()),
            "worse": int((change < 0).sum() if more else (change > 0).sum()),
            "n": count,
        }
    return {
        "rows": rows,
        "summary": summary,
        "only_first": [name for name in sides[0] if name not in sides[1]],
        "only_second": [name for name in sides[1] if name not in sides[0]],
    }


def sheet(pairs: Sequence[tuple[Shown, Shown]], panel: int = 256) -> np.ndarray:
    """(rows, 5 panel, 3) uint8: one row per pair of fits of a photo: the photo, the first one's mesh over it and its
    shape, and the same of the second.

    Args:
        pairs: of fits, each a scene and the photo (H, W, 3) uint8.
    """
    rows = []
    for first, second in pairs:
        rows.append(
            np.concatenate([
                overlay(*first, panel=panel, shown=("photo", "mesh over photo", "clay")),
                overlay(*second, panel=panel, shown=("mesh over photo", "clay")),
            ], 1)
        )  # fmt: skip
    return np.concatenate(rows)
