"""Metrics that somebody else wrote from the protocols' definitions, to hold facefit's own against: `scan_error.py` and
`part_iou.py` in a folder of their own."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np

from facefit.anatomy.label_maps import FASSEG, fasseg_numbers
from facefit.anatomy.parts import INNER, LABEL, LABELS

# Number in the set's labels -> part, and the set's number of each of facefit's labels.
CLASSES = {
    "fasseg": ({FASSEG.index(name): name for name in ("nose", "eyes", "mouth")}, fasseg_numbers()),
    "ict_synthetic": ({LABEL[name]: name for name in INNER}, np.arange(len(LABELS))),
}


def script(folder: Path, name: str):
    """A module of the independent metrics, which import each other by bare names.

    Raises:
        FileNotFoundError: it is not there.
    """
    if not (folder / f"{name}.py").is_file():
        raise FileNotFoundError(f"{folder / name}.py is absent")
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    return importlib.import_module(name)
