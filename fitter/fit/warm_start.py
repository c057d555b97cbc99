"""What an earlier fit knows of a face before its photo is looked at."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from ..scene.parameters import Parameters
from .config import Steps


@dataclass(frozen=True)
class WarmStart:
    """Where a fit begins, and what it must leave as it is.

    Attributes:
        parameters: of B faces.
        fixed: names of parameters that stay as they are to the end.
        landmarks: begin with the landmark stage, which starts from these parameters and finds pose, expression and,
            unless it is fixed, identity; without it the parameters are the first iterate as they are.
        light: estimate the light from the photo; without it the light is that of the parameters.
    """

    parameters: Parameters
    fixed: tuple[str, ...] = ()
    landmarks: bool = False
    light: bool = False

    def __post_init__(self) -> None:
        unknown = sorted(set(self.fixed) - {f.name for f in fields(Parameters)})
        if unknown:
            names = ", ".join(f.name for f in fields(Parameters))
            raise ValueError(f"fixed: {', '.join(unknown)}; accepted: some of {names}")

    def steps(self, steps: Steps) -> Steps:
        """The optimiser's steps, 0 for what is fixed."""
        return replace(steps, **dict.fromkeys(self.fixed, 0.0))

    def __getitem__(self, face: int) -> WarmStart:
        return replace(self, parameters=self.parameters[face])
