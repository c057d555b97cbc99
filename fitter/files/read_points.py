"""Landmark files: seven points in several notations."""

from __future__ import annotations

import xml.etree.ElementTree
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .schema import parse, read_text

POINTS = (".json", ".npy", ".txt", ".csv", ".pts", ".pp")


def read_points(path: Path) -> np.ndarray:
    """(N, 2) or (N, 3) points.

    JSON: a list of points, or an object with `landmarks7`, `landmarks` or `points`; a facefit result is one. NPY, and
    text with a point a line (commas or spaces); `.pts` of iBug; `.pp` of MeshLab.

    Raises:
        InputError: missing, damaged, or not a list of points.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in POINTS:
        raise InputError(f"{path}: points of format {suffix or '(none)'!r}; accepted: {', '.join(POINTS)}")
    try:
        if suffix == ".npy":
            value = np.load(path, allow_pickle=False)
        elif suffix == ".json":
            value = _points_of(parse(read_text(path), str(path)))
        elif suffix == ".pp":
            points = xml.etree.ElementTree.parse(path).iter("point")
            value = [[float(p.get(axis, "")) for axis in "xyz"] for p in points if p.get("active", "1") != "0"]
        else:
            text = path.read_text(encoding="utf-8")
            if suffix == ".pts":
                text = text.split("{")[1].split("}")[0]
            value = [[float(x) for x in line.replace(",", " ").split()] for line in text.splitlines() if line.strip()]
        value = np.asarray(value, np.float64)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
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
