"""Which photos show eyes that close, and the outlines of those that no label picture holds.

The outlines of `eyes.json` were drawn by hand along the lids, in pixels of the photos of `wild` and, for the scan with
closed eyes, in mm on the scan: the slit between the lids with the lashes that fill it.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np

from benchmarks.dataset import Case
from benchmarks.report import blinks
from facefit.anatomy.parts import LABEL
from facefit.geometry.polygon import polygon_pixels

EYES = ("right_eye", "left_eye")
# Of the rendered people of `ict_synthetic`: those whose lids the set's own expression closes to a part.
_HALF_CLOSED = ("ict_04", "ict_06")
_FILE = Path(__file__).with_name("eyes.json")


@functools.cache
def _outlines() -> dict[str, dict[str, list[list[float]]]]:
    """Of "wild/NAME" -> right_eye, left_eye -> points (x, y); "scans/NAME" -> points (x, y, z) mm."""
    return json.loads(_FILE.read_text()) if _FILE.is_file() else {}


def closing_eyes(case: Case) -> tuple[str, ...]:
    """The parts of this photo that count for the figures of closed eyes; none for most photos."""
    if case.set == blinks.SET:
        return blinks.closing(case)
    if case.set == "ict_synthetic":
        return EYES if case.name in _HALF_CLOSED else ()
    return tuple(_outlines().get(_key(case), {}))


def _key(case: Case) -> str:
    return f"scans/{case.group}" if case.set == "synthetic" else f"{case.set}/{case.name}"


def eye_polygons(case: Case, shape: tuple[int, int]) -> np.ndarray:
    """(H, W) uint8: labels of the outlined eyes in the photo's pixels, 0 elsewhere."""
    labels = np.zeros(shape, np.uint8)
    for name, points in _outlines()[_key(case)].items():
        outline = np.asarray(points, float)
        if case.set == "synthetic":
            outline = _projected(case, outline)
        labels[polygon_pixels(shape, outline)] = LABEL[name]
    return labels


def _projected(case: Case, points: np.ndarray) -> np.ndarray:
    """(N, 3) mm on the scan -> (N, 2) pixels."""
    about = json.loads(case.photo.with_suffix(".json").read_text())
    k, rotation, translation = (np.asarray(about[key], float) for key in ("K", "R", "t"))
    camera = points @ rotation.T + translation
    return camera[:, :2] / camera[:, 2:] * k[[0, 1], [0, 1]] + k[:2, 2]
