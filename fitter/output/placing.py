"""How the numbers of a mesh file stand for a face: the unit, and which way is up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..vocabulary import UNITS

_UNITS = {"mm": ("millimetre", 1.0), "m": ("metre", 0.001)}
Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])  # y up, facing +z -> z up, facing -y
_AXES = {"y": np.eye(3), "z": Z_UP}


@dataclass(frozen=True)
class Placing:
    """X_file = scale axes X.

    Attributes:
        unit: "millimetre" or "metre".
        up: "y", the face looking along +z as in model space, or "z", looking along -y as Blender has it.
        scale: of millimetres; axes: (3, 3) a rotation.
    """

    unit: str
    up: str
    scale: float
    axes: np.ndarray

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) mm, y up -> (N, 3) numbers of the file."""
        return self.scale * points @ self.axes.T

    @property
    def decimals(self) -> int:
        """Digits after the point for 1e-5 mm."""
        return 5 - round(np.log10(self.scale))

    def comment(self) -> str:
        """What somebody who opens the file must know, for its top."""
        blender = "; into Blender with a scale of 0.001" if self.unit == "millimetre" else ""
        return f"{self.unit}s, {self.up} up{blender}"


def placing(output: Path, space: str, units: str = "mm") -> Placing:
    """How a file is placed.

    OBJ is taken for y up and PLY for z up by programs for 3D modelling, so that both stand upright there. In "camera"
    space the axes are the camera's. GLB and USD say themselves what their numbers are: metres.

    Args:
        output: its suffix decides. space: "model" or "camera". units: "mm" or "m", of OBJ and PLY.
    Raises:
        ValueError: other units.
    """
    if units not in UNITS:
        raise ValueError(f"units are {units!r}; accepted: {', '.join(UNITS)}")
    suffix = output.suffix.lower()
    unit, scale = _UNITS[units if suffix in (".obj", ".ply") else "mm"]
    up = "z" if suffix == ".ply" and space == "model" else "y"
    return Placing(unit, up, scale, _AXES[up])
