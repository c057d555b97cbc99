"""What every photo is looked at and fitted with, loaded once."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..model.face_model import FaceModel
from ..observe.faces import LandmarkDetector
from ..observe.segment.contract import PartSegmenter
from ..render import Renderer
from .config import FitConfig


@dataclass(frozen=True)
class Instruments:
    """Attributes:
    model: the face model, on the device. renderer: of that device.
    detector: finds faces. segmenter: tells their parts.
    config: how a photo is fitted.
    """

    model: FaceModel
    detector: LandmarkDetector
    segmenter: PartSegmenter
    renderer: Renderer
    config: FitConfig

    @property
    def device(self) -> torch.device:
        """Where is fitted."""
        return self.model.device
