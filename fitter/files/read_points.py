"""Landmark files: seven points in several notations."""

from __future__ import annotations

import io
import xml.etree.ElementTree
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .npz import read_npy
from .schema import parse, read_text

POINTS = (".json", ".npy", ".txt", ".csv", ".pts", ".pp")
LARGEST_FILE = 4 << 20  # bytes; 50,000 points as text, and a face has 478


def read_points(path: Path) -> np.ndarray:
    """(N, 2) or (N, 3) points.

    JSON: a list of points, or an object with `landmarks7`, `landmarks` or `points`; a facefit result is one. NPY, and
    text with a point a line (commas or spaces); `.pts` of iBug; `.pp` of MeshLab.

    Raises:
        InputError: missing, damaged, larger than any list of points of a face, or none.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in POINTS:
        raise InputError(f"{path}: points of format {suffix or '(none)'!r}; accepted: {', '.join(POINTS)}")
    data = read_text(path, LARGEST_FILE)
    value: Any
    try:
        if suffix == ".npy":
            value = read_npy(data)
        elif suffix == ".json":
            value = _points_of(parse(data, str(path)))
        elif suffix == ".pp":
            points = xml.etree.ElementTree.parse(io.BytesIO(data)).iter("point")
            value = [[float(p.get(axis, "")) for axis in "xyz"] for p in points if p.get("active", "1") != "0"]
        else:
            text = data.decode("utf-8")
            if suffix == ".pts":
                text = text.split("{")[1].split("}")[0]
            value = [[float(x) for x in line.replace(",", " ").split()] for line in text.splitlines() if line.strip()]
        value = np.asarray(value, np.float64)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: not a readable list of points ({error})") from None
    if value.ndim != 2 or value.shape[1] not in (2, 3):
        raise InputError(f"{path}: an array of shape {value.shape}; expected (N, 2) or (N, 3)")
    return value


def _points_of(document: Any) -> Any:
    if isinstance(document, dict):
        for key in ("landmarks7", "landmarks", "points"):
            if key in document:
                return document[key]
        raise ValueError("no landmarks7, landmarks or points in it")
    return document
