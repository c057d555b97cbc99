"""What a result can do that stands above it, files and pictures: found by name when it is asked for, as the package's
public names are (facefit.__getattr__). Fitting itself loads none of it."""

from __future__ import annotations

import importlib
from typing import Any

ABOVE = {  # function -> the module that has it, from here
    "textured": "..output.face",
    "write_result": "..output.write",
}


def load_above(name: str) -> Any:
    """One of the functions in ABOVE."""
    return getattr(importlib.import_module(ABOVE[name], __package__), name)
