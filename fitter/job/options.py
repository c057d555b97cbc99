"""The options of a fit as a value: light to import, and it travels to other processes and machines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..fit.config import FitConfig, override, preset
from ..output.style import FileStyle
from ..vocabulary import SEGMENTERS


@dataclass(frozen=True)
class JobOptions(FileStyle):
    """What decides a fit, as names and numbers. Attributes as the options of `facefit fit`."""

    preset: str = "default"
    energies: tuple[str, ...] | None = None
    iterations: int | None = None
    max_seconds: float | None = None
    segmentation: str = "auto"
    label_map: str = "auto"
    model: str | None = None
    perceptual: str | None = None
    renderer: str = "auto"
    device: str = "auto"
    faces: str = "largest"
    focal: float | None = None
    fov: float | None = None

    def config(self) -> FitConfig:
        """The preset with what was given. Raises ValueError for values out of range."""
        config = override(
            preset(self.preset), energies=self.energies, iterations=self.iterations, max_seconds=self.max_seconds
        )
        if "perceptual" not in config.energies and self.perceptual is not None:
            config = override(config, energies=(*config.energies, "perceptual"))
        elif "perceptual" in config.energies and self.perceptual is None:
            raise ValueError(
                "the energy perceptual asks a face recognition network; give one by --perceptual FILE.onnx"
            )
        return config

    def inputs(self) -> tuple[Path, ...]:
        """Files that are named here and that no output may overwrite."""
        return tuple(
            Path(name) for name in (self.model, self.segmentation, self.perceptual) if name not in (None, *SEGMENTERS)
        )
